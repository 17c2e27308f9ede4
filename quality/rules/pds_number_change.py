"""Rules of ``pds_number_change``: events that a number was superseded or invalidated.

Belongs here: what makes one event rejected. Does not belong here: following chains of events.
Sources: reference/services.md 19.7 (key, no deletes), pds.md 2.1, 2.3.
"""

from __future__ import annotations

import polars as pl

from quality.contract import live
from quality.expressions import nhs_number_valid, outside
from quality.rule import Context, RuleSet

PDS_NUMBER_CHANGE_RULES = RuleSet()
_rule = PDS_NUMBER_CHANGE_RULES.rule

CHANGE_TYPES = ("superseded", "invalidated")


@_rule("REC_INVALID_VALUE", "action", "services.md 19.7", releasable=False)
def change_deleted(_context: Context) -> pl.Expr:
    """An event is deleted, though the feed has no deletes."""
    return ~live()


@_rule("REC_INVALID_VALUE", "source_key", "services.md 19.7", releasable=False)
def key_without_old_number(_context: Context) -> pl.Expr:
    """The key does not start with the old number."""
    return ~pl.col("source_key").str.starts_with(pl.col("nhs_number"))


@_rule("REC_INVALID_VALUE", "change_type", "pds.md 2.1", releasable=False)
def change_type_unknown(_context: Context) -> pl.Expr:
    """The change is neither superseded nor invalidated."""
    return outside(pl.col("change_type"), CHANGE_TYPES)


@_rule("REC_NHS_NUMBER_INVALID", "new_nhs_number", "services.md 19.4", releasable=False)
def new_number_invalid(_context: Context) -> pl.Expr:
    """A superseded number has no successor, or one that is no NHS number."""
    valid = nhs_number_valid(pl.col("new_nhs_number")).fill_null(value=False)
    return (pl.col("change_type") == "superseded") & ~valid


@_rule("REC_INVALID_VALUE", "new_nhs_number", "pds.md 2.3", releasable=False)
def invalidated_with_successor(_context: Context) -> pl.Expr:
    """An invalidated number names a successor; joining old and new identity would betray a person."""
    return (pl.col("change_type") == "invalidated") & pl.col("new_nhs_number").is_not_null()


@_rule("REC_INVALID_VALUE", "new_nhs_number", "services.md 19.7", releasable=False)
def number_supersedes_itself(_context: Context) -> pl.Expr:
    """Old and new number are the same."""
    return pl.col("new_nhs_number") == pl.col("nhs_number")


@_rule("REC_QUESTIONABLE", "recorded_at", "services.md 19.3")
def change_without_time(_context: Context) -> pl.Expr:
    """The event does not say when it was recorded; it is ordered by sequence and row."""
    return pl.col("recorded_at").is_null()
