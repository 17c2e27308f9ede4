"""Columns made of texts, each distinct text once.

Belongs here: a table of what texts come to that grows with each slice. Does not belong here: normalisation
(``memo.py`` names what is made of a text).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from search_api.matching.person import SLOT

MOST_ENTRIES = 400_000


class Distinct:
    """What texts come to, as a frame: made once for each, then only looked up."""

    def __init__(self, make: Callable[[str], tuple[Any, ...]], schema: Mapping[str, Any]) -> None:
        self._make = make
        self._schema = dict(schema)
        self._places: dict[str, int] = {}
        self._table = pl.DataFrame(schema=self._schema)

    def of(self, texts: pl.Series) -> pl.DataFrame:
        """One row a text, in the order of the texts; null counts as the empty text."""
        if texts.is_empty():
            return self._table.clear()
        texts = texts.cast(pl.String).fill_null("")
        found = texts.unique()
        places = self._places
        different = found.to_list()
        new = [text for text in different if text not in places]
        if new:
            self._add(new)
        at = pl.Series(values=[places[text] for text in different], dtype=pl.UInt32)
        return self._table[texts.replace_strict(found, at, return_dtype=pl.UInt32)]

    def trim(self) -> None:
        """Forget everything when too much is held; only between slices."""
        if len(self._places) > MOST_ENTRIES:
            self._places = {}
            self._table = self._table.clear()

    def _add(self, texts: list[str]) -> None:
        start = len(self._places)
        self._places.update({text: start + at for at, text in enumerate(texts)})
        parts = zip(*[self._make(text) for text in texts], strict=True)
        made = pl.DataFrame(
            [_column(name, kind, part) for (name, kind), part in zip(self._schema.items(), parts, strict=True)]
        )
        self._table = pl.concat([self._table, made], rechunk=True)


def _column(name: str, kind: Any, values: Sequence[Any]) -> pl.Series:
    """Lists of texts are written as one text and parted again: one by one they would take five times as long."""
    if kind != pl.List(pl.String):
        return pl.Series(name, values, dtype=kind)
    joined = pl.Series(name, [SLOT.join(each) for each in values], dtype=pl.String)
    parted = joined.str.split(SLOT)
    if not joined.eq("").any():
        return parted
    nothing = pl.lit([], dtype=kind)
    return pl.select(pl.when(joined.eq("")).then(nothing).otherwise(parted).alias(name)).to_series()
