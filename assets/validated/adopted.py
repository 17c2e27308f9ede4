"""Landed parquet files that stand as validated parts as they lie.

Belongs here: when a file that landed is, byte for byte, what validation would have written in other
bytes. Does not belong here: judging its rows (``judging.py``).

Most files of a full hold nothing to reject. Writing their rows out again costs as much time as
judging them and as much disk as the landing copy, and changes nothing. Such a file becomes a part
by a second name (hard link) for the landing copy, which is ours and which nobody changes; a file
of the drop folder is never linked (decision 0010).

Readers of a validated part trust it, so a supplier's file has to be all that one of ours is:
- exactly the feed's columns, in its order and the same physical types, packed in a way every reader knows;
- numbered by position through the whole extract, as we number;
- written by a well-known library, and with bounds in its footer that hold: readers skip row groups
  by them, so a wrong bound would lose rows without a word.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assets.validated.pieces import Cut
from schemas.feeds import Feed

_WRITERS = ("parquet-cpp-arrow ", "Polars", "DuckDB ")
_PACKINGS = frozenset({"UNCOMPRESSED", "SNAPPY", "ZSTD"})


class Adoption:
    """The landed files of one extract that may still become parts as they lie; used by several threads."""

    def __init__(self, feed: Feed, cuts: Sequence[Cut], most_rows: int) -> None:
        self._lock = threading.Lock()
        self._unwritten: dict[Path, list[Cut]] = {}
        self._footers: dict[Path, pq.FileMetaData] = {}
        for path in {cut.landed for cut in cuts if cut.landed is not None}:
            footer = pq.read_metadata(path)
            if footer.num_rows <= most_rows and _formed_like_ours(footer, feed):
                self._footers[path] = footer

    def keeps(self, cut: Cut, raw: pl.DataFrame, frame: pl.DataFrame, clean: bool) -> bool:
        """Whether a cut need not be written, since its file may stand; else its file does not."""
        path = cut.landed
        footer = self._footers.get(path) if path is not None else None
        if path is None or footer is None:
            return False
        sound = clean and raw["row_no"].equals(frame["row_no"], null_equal=True) and _bounds_hold(footer, cut, raw)
        with self._lock:
            if not sound:
                self._footers.pop(path, None)
                return False
            self._unwritten.setdefault(path, []).append(cut)
            return True

    def link(self, folder: Path) -> Iterator[Cut]:
        """Link the files that stand into ``folder``; yields the cuts that have to be written after all."""
        for path, cuts in self._unwritten.items():
            first = min(cut.number for cut in cuts)
            if path not in self._footers or not _linked(path, folder / part_name(first)):
                yield from cuts


def part_name(number: int) -> str:
    """File name of a validated part."""
    return f"part-{number:05d}.parquet"


def _linked(path: Path, target: Path) -> bool:
    try:
        os.link(path, target)
    except OSError:
        # Stages on two file systems, or one that has no links.
        return False
    return True


def _formed_like_ours(footer: pq.FileMetaData, feed: Feed) -> bool:
    if not str(footer.created_by).startswith(_WRITERS):
        return False
    ours = pl.DataFrame(schema=feed.polars_schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    found = footer.schema.to_arrow_schema()
    if found.names != ours.names:
        return False
    alike = all(_plain(found.field(name).type) == _plain(ours.field(name).type) for name in ours.names)
    return alike and all(_packing(footer, group) <= _PACKINGS for group in range(footer.num_row_groups))


def _packing(footer: pq.FileMetaData, group: int) -> set[str]:
    columns = footer.row_group(group)
    return {columns.column(place).compression for place in range(columns.num_columns)}


def _plain(kind: pa.DataType) -> object:
    """A type without the differences that parquet does not have: widths of offsets, names of list items."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return ("list", _plain(kind.value_type))
    if pa.types.is_struct(kind):
        fields = [kind.field(place) for place in range(kind.num_fields)]
        return ("struct", tuple((field.name, _plain(field.type)) for field in fields))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return kind


def _bounds_hold(footer: pq.FileMetaData, cut: Cut, rows: pl.DataFrame) -> bool:
    """Whether what the footer says of the cut's row groups is true of its rows."""
    start = 0
    for group in range(footer.num_row_groups):
        said = footer.row_group(group)
        first, end = max(start, cut.start), min(start + said.num_rows, cut.start + cut.rows)
        if first < end:
            found = rows.slice(first - cut.start, end - first)
            if not all(_holds(said.column(place), said.num_rows, found) for place in range(said.num_columns)):
                return False
        start += said.num_rows
    return True


def _holds(said: Any, group_rows: int, rows: pl.DataFrame) -> bool:
    """The same for one column; ``rows`` may be a part of its group, of ``group_rows`` rows."""
    statistics = said.statistics
    name, *inner = said.path_in_schema.split(".")
    if statistics is None or isinstance(rows.schema[name], pl.List):
        # No reader skips by the bounds of what lies inside a list.
        return True
    values = rows[name]
    for part in inner:
        values = values.struct.field(part)
    missing = values.null_count()
    # Readers skip a group that is said to have no nulls, or nothing else.
    if (statistics.null_count == 0 and missing) or (statistics.null_count == group_rows and missing != values.len()):
        return False
    return not statistics.has_min_max or missing == values.len() or _between(statistics, values)


def _between(statistics: Any, values: pl.Series) -> bool:
    least, most = statistics.min, statistics.max
    try:
        return bool(least <= values.min() and values.max() <= most)
    except TypeError:
        # Bounds that are not even of the column's type.
        return False
