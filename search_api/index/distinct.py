"""Columns made of texts, each distinct text once.

Belongs here: a table of what texts come to that grows with each slice. Does not belong here: normalisation
(``memo.py`` names what is made of a text).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from search_api.matching.person import SLOT

MOST_ENTRIES = 400_000


@dataclass(frozen=True)
class Making:
    """What is made of texts. ``schema``: the columns. ``one``: of any one text. ``plain``, of texts of the form ``form``: the
    same of all of them, column by column in the order of the schema; most are plain, and so take a fifth of the time."""

    schema: Mapping[str, Any]
    one: Callable[[str], tuple[Any, ...]]
    form: str = ""
    plain: Callable[[pl.Series], Iterable[pl.Series]] | None = None


class Distinct:
    """What texts come to, as a frame: made once for each, then only looked up."""

    def __init__(self, making: Making) -> None:
        self._making = making
        self._places: dict[str, int] = {}
        self._table = pl.DataFrame(schema=dict(making.schema))

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
            self._add(pl.Series(values=new, dtype=pl.String))
        at = pl.Series(values=[places[text] for text in different], dtype=pl.UInt32)
        return self._table[texts.replace_strict(found, at, return_dtype=pl.UInt32)]

    def trim(self) -> None:
        """Forget everything when too much is held; only between slices."""
        if len(self._places) > MOST_ENTRIES:
            self._places = {}
            self._table = self._table.clear()

    def _add(self, texts: pl.Series) -> None:
        """Plain ones first, then the others."""
        making = self._making
        plain, odd = texts.clear(), texts
        if making.plain is not None:
            is_plain = texts.str.contains(making.form)
            plain, odd = texts.filter(is_plain), texts.filter(~is_plain)
        added = [self._table]
        if making.plain is not None and len(plain):
            made = zip(making.schema, making.plain(plain), strict=True)
            added.append(pl.DataFrame([series.alias(name) for name, series in made], schema=dict(making.schema)))
        if len(odd):
            added.append(self._one_by_one(odd.to_list()))
        start = len(self._places)
        self._places.update({text: start + at for at, text in enumerate([*plain.to_list(), *odd.to_list()])})
        self._table = pl.concat(added, rechunk=True)

    def _one_by_one(self, texts: list[str]) -> pl.DataFrame:
        columns = zip(*[self._making.one(text) for text in texts], strict=True)
        made = zip(self._making.schema.items(), columns, strict=True)
        return pl.DataFrame([_column(name, kind, values) for (name, kind), values in made])


def lists(texts: pl.Series) -> pl.Series:
    """Texts that hold parts, as lists of them; of the empty text a list of none."""
    parted = texts.str.split(SLOT)
    if not texts.eq("").any():
        return parted
    nothing = pl.lit([], dtype=pl.List(pl.String))
    return pl.select(pl.when(texts.eq("")).then(nothing).otherwise(parted)).to_series()


def _column(name: str, kind: Any, values: Sequence[Any]) -> pl.Series:
    """Lists of texts are written as one text and parted again: one by one they would take five times as long."""
    if kind != pl.List(pl.String):
        return pl.Series(name, values, dtype=kind)
    return lists(pl.Series(values=[SLOT.join(each) for each in values], dtype=pl.String)).alias(name)
