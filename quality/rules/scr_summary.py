"""Rules of ``scr_summary``: one GP summary a patient.

Belongs here: what makes a summary row rejected or flagged. Does not belong here: whether its
patient is known (decided when a generation is built). Sources: reference/services.md 2.3 to 2.7.
"""

from __future__ import annotations

import polars as pl

from quality.contract import live
from quality.expressions import after, is_moment, is_ods_code, is_uuid, outside
from quality.rule import Context, RuleSet
from quality.rules.json_text import not_json

SCR_SUMMARY_RULES = RuleSet()
_rule = SCR_SUMMARY_RULES.rule

PERMISSIONS = ("No", "Ask", "Yes")


@_rule("REC_INVALID_VALUE", "source_key", "services.md 2.7", releasable=False)
def summary_key_not_number(_context: Context) -> pl.Expr:
    """The key of a summary is not the NHS number."""
    return pl.col("source_key") != pl.col("nhs_number")


@_rule("REC_INVALID_VALUE", "permission", "services.md 2.3", releasable=False)
def permission_unknown(_context: Context) -> pl.Expr:
    """The permission is not No, Ask or Yes, so whether it may be shown is not known."""
    return outside(pl.col("permission"), PERMISSIONS)


@_rule("REC_INVALID_VALUE", "scr_uuid", "services.md 2.3", releasable=False)
def summary_id_shape(_context: Context) -> pl.Expr:
    """The summary's identifier is not a UUID."""
    return ~is_uuid(pl.col("scr_uuid"))


@_rule("REC_INVALID_VALUE", "bundle_json", "schemas/fields.py", releasable=False)
def bundle_not_json(_context: Context) -> pl.Expr:
    """The document is missing or not a JSON object."""
    return live() & not_json("bundle_json").fill_null(value=True)


@_rule("REC_INVALID_VALUE", "created", "services.md 19.4")
def created_in_future(context: Context) -> pl.Expr:
    """The summary was created after the extract's as-at day."""
    return is_moment(pl.col("created")) & after(pl.col("created"), context.day)


@_rule("REC_QUESTIONABLE", "created", "services.md 2.3")
def created_shape(_context: Context) -> pl.Expr:
    """The time of creation is not a FHIR dateTime; it is shown as sent."""
    return ~is_moment(pl.col("created"))


@_rule("REC_QUESTIONABLE", "permission", "services.md 2.7")
def content_without_permission(_context: Context) -> pl.Expr:
    """The permission is No, which should come as a delete; kept, and never shown."""
    return live() & (pl.col("permission") == "No")


@_rule("REC_QUESTIONABLE", "sections", "services.md 2.4")
def summary_without_sections(_context: Context) -> pl.Expr:
    """The summary has no section."""
    return live() & (pl.col("sections").list.len().fill_null(0) == 0)


@_rule("REC_QUESTIONABLE", "practice_code", "services.md 2.4")
def summary_practice_shape(_context: Context) -> pl.Expr:
    """The practice's code has not an ODS code's shape."""
    return ~is_ods_code(pl.col("practice_code"))
