"""Nested columns built from long tables: one row a value, grouped under its person.

Belongs here: the step from a long table to a list column. Does not belong here: what the values
are. Arrow's list layout (offsets beside values) is used as it is, so nothing is copied a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from sandbox.population.randomness import I64
from schemas.feeds import FEEDS


def item_type(feed: str, column: str) -> pl.DataType:
    """The dtype of the items of a list column of a feed."""
    dtype = FEEDS[feed].polars_schema[column]
    if not isinstance(dtype, pl.List):
        raise TypeError(f"Column {column} of feed {feed} is no list.")
    return dtype.inner  # type: ignore[return-value]


def grouped(values: pl.Series, owner: I64, people: int) -> pl.Series:
    """List column of ``people`` rows from values sorted by ``owner`` (row number); null without any."""
    counts = np.bincount(owner, minlength=people)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    array = pa.LargeListArray.from_arrays(
        pa.array(offsets), values.rechunk().to_arrow(), mask=pa.array(counts == 0, type=pa.bool_())
    )
    return pl.Series(values.name, array)


class LongTable:
    """Values of one list column, gathered layer by layer; the layers' order is the order in the list."""

    def __init__(self, feed: str, column: str) -> None:
        self._dtype = item_type(feed, column)
        self._layers: list[pl.DataFrame] = []
        self.column = column

    def add(self, owner: I64, fields: Mapping[str, Any]) -> None:
        """One layer: for each of ``owner`` (row numbers) a value; fields left out are null.

        A field is a Series as long as ``owner``, or one text for all.
        """
        if not len(owner):
            return
        frame = pl.DataFrame({"_owner": owner, "_layer": np.full(len(owner), len(self._layers), dtype=np.int32)})
        if not isinstance(self._dtype, pl.Struct):
            raise TypeError("Only lists of structs are built in layers.")
        columns = []
        for field in self._dtype.fields:
            value = fields.get(field.name)
            made = value if isinstance(value, pl.Series) else pl.lit(value)
            columns.append((pl.lit(made) if isinstance(made, pl.Series) else made).cast(field.dtype).alias(field.name))
        self._layers.append(frame.with_columns(columns))

    def column_of(self, people: int) -> pl.Series:
        """The list column; null for people without a value."""
        if not self._layers:
            return pl.Series(self.column, [None] * people, dtype=pl.List(self._dtype))
        table = pl.concat(self._layers).sort("_owner", "_layer", maintain_order=True)
        owner = table["_owner"].to_numpy()
        values = table.drop("_owner", "_layer").to_struct(self.column)
        return grouped(values, owner, people)


def texts(*columns: pl.Series) -> pl.Series:
    """List of the texts beside each other that are not null; null where there is none."""
    return beside(pl.Series("texts", [], dtype=pl.String), *columns)


def beside(empty: pl.Series, *columns: pl.Series) -> pl.Series:
    """List of the values beside each other that are not null; ``empty`` gives name and dtype.

    Many times faster than concat_list and drop_nulls.
    """
    width, rows = len(columns), len(columns[0])
    present = np.column_stack([column.is_not_null().to_numpy() for column in columns]).ravel()
    found = np.flatnonzero(present)
    owner, place = np.divmod(found, width)
    values = pl.concat([column.cast(empty.dtype).alias(empty.name) for column in columns]).gather(place * rows + owner)
    return grouped(values, owner, rows)
