"""Placeholders: values that stand for "we do not know".

Belongs here: the lists, as vectorised tests. Does not belong here: what matching does about them
(``search_api/matching``). The replica keeps placeholders as sent; they are flagged and counted.
Sources: matching.md 1, style.md principle 10, pds.md 3.2 (ZZ99 is no fixed abode and the like).
"""

from __future__ import annotations

import polars as pl

NAMES = (
    "BABY",
    "INFANT",
    "NEWBORN",
    "TWIN",
    "TWIN 1",
    "TWIN 2",
    "UNKNOWN",
    "NOT KNOWN",
    "NOTKNOWN",
    "NK",
    "N/K",
    "NONE",
    "NO NAME",
    "NOT GIVEN",
    "NOT STATED",
    "TEST",
    "DUMMY",
    "X",
    "XX",
    "XXX",
    "A",
    "MALE",
    "FEMALE",
    "ANON",
    "ANONYMOUS",
)
BIRTH_DATES = ("1900-01-01", "1800-01-01", "1901-01-01", "1900", "1900-01")


def is_placeholder_name(text: pl.Expr) -> pl.Expr:
    """True for a name that is nobody's, or "baby of" somebody."""
    plain = text.str.strip_chars(" .-").str.to_uppercase()
    return plain.is_in(list(NAMES)) | plain.str.starts_with("BABY ") | (plain.str.len_chars() == 0)


def is_placeholder_birth_date(text: pl.Expr) -> pl.Expr:
    """True for the dates that systems fill in."""
    return text.is_in(list(BIRTH_DATES))


def is_placeholder_postcode(text: pl.Expr) -> pl.Expr:
    """True for ZZ99 codes: no fixed abode, abroad, not known."""
    return text.str.to_uppercase().str.starts_with("ZZ99")
