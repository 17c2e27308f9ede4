"""Completeness: how many accepted rows hold each column.

Belongs here: counts of values present. Does not belong here: counts of placeholders, which are
warnings of the rules (``rules/``), and any judgement on the counts.
"""

from __future__ import annotations

from collections import Counter

import polars as pl

from schemas.feeds import Feed
from schemas.types import ListOf, Scalar


def filled(frame: pl.DataFrame, feed: Feed) -> Counter[str]:
    """Rows with a value, by column; an empty text or list is no value."""
    if frame.is_empty():
        return Counter()
    counts = frame.select(_present(field.name, field.kind).sum() for field in feed.fields)
    return Counter({name: int(count) for name, count in counts.row(0, named=True).items() if count})


def _present(name: str, kind: object) -> pl.Expr:
    column = pl.col(name)
    if isinstance(kind, ListOf):
        return (column.list.len() > 0).fill_null(value=False)
    if kind in (Scalar.TEXT, Scalar.DATE_TEXT):
        return (column.str.len_bytes() > 0).fill_null(value=False)
    return column.is_not_null()
