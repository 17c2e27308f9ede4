"""The people of a replica as the validated extracts tell them from which it was just made.

Belongs here: which rows of which file a piece is, and reading it. Does not belong here: people whose extract is not
at hand (``frames.py``, from their records), documents.

A full build makes a document of everybody. The names, addresses and telecoms of a person lie in columns in the
validated files, from which the replica made its rows; to unpack every record instead costs ten times as much. Who is
in the replica, and with what number, label and print, the replica says: a row is found by its extract and row number,
and a row that the replica no longer holds makes no document. Reconciling samples records, not these files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from assets.ahead import ahead
from assets.index.frames import EVERYBODY, FLAT, FOUND
from assets.replica.tables import PATIENT_TABLE
from schemas.errors import PermanentFault
from search_api import db

PIECE_ROWS = 50_000
# Of each nested column what documents are made of; the rest of it is not even read.
_WANTED = {
    "names": frozenset(("state", "given", "family")),
    "addresses": frozenset(("state", "lines", "postcode")),
    "telecoms": frozenset(("state", "system", "value")),
}
_ROW = "row_no"


@dataclass(frozen=True)
class Extract:
    """A patient extract that was applied, and its validated files."""

    source: str
    sequence: int
    parts: tuple[Path, ...]

    @property
    def condition(self) -> str:
        """SQL: rows of the replica that came from it."""
        return f"source = {db.literal(self.source)} AND sequence = {int(self.sequence)}"

    @property
    def in_order(self) -> bool:
        """Whether row numbers ascend from one piece to the next, as they do when rows are written as they came."""
        ends = [end for path in self.parts for _, first, last in _ranges(path) for end in (first, last)]
        return ends == sorted(ends)


@dataclass(frozen=True)
class Piece:
    """People of some row groups of one file. ``people``: their flat columns from the replica, and their row numbers."""

    path: Path
    groups: tuple[int, ...]
    people: pl.DataFrame

    def __len__(self) -> int:
        return self.people.height

    def frame(self, nested: Sequence[str] = tuple(_WANTED)) -> pl.DataFrame:
        """The people with these nested columns, in the order of their rows.

        Raises:
            PermanentFault: the file no longer has the rows that the replica was made from.
        """
        told = _nested(self.path, self.groups, nested)
        rows = self.people[_ROW]
        if not told[_ROW].equals(rows):
            told = self.people.select(_ROW).join(told, on=_ROW, how="inner", maintain_order="left")
        if not told[_ROW].equals(rows):
            raise PermanentFault(
                f"The validated file {self.path.name} has changed since the replica was made from it.",
                remedy="Validate the landed extract again, then build from nothing with ncrs build --full.",
            )
        return self.people.drop(_ROW).hstack(told.drop(_ROW))


def others(extracts: Sequence[Extract]) -> str:
    """SQL: rows of the replica that came from none of these."""
    return " AND ".join(f"NOT ({extract.condition})" for extract in extracts) or EVERYBODY


def pieces(connection: db.Connection, extracts: Sequence[Extract]) -> Iterator[Piece]:
    """Everybody of these extracts who is to be found; a piece is read by whoever makes its documents."""
    for extract in extracts:
        for path in extract.parts:
            for groups, first, last in _ranges(path):
                people = _people(connection, f"{extract.condition} AND {_ROW} BETWEEN {first} AND {last}")
                if people.height:
                    yield Piece(path, groups, people)


def name_pieces(connection: db.Connection, extracts: Sequence[Extract]) -> Iterator[pl.DataFrame]:
    """The names alone of the same people; each piece is read while the one before it is counted."""
    return ahead(pieces(connection, extracts), lambda piece: piece.frame(("names",)))


def _people(connection: db.Connection, condition: str) -> pl.DataFrame:
    query = (
        f'SELECT {_ROW}, {", ".join(FLAT)}, print AS fingerprint FROM "{PATIENT_TABLE}" WHERE {FOUND} AND {condition}'
    )
    found = pl.from_arrow(connection.sql(f"{query} ORDER BY {_ROW}").to_arrow_table())
    return found if isinstance(found, pl.DataFrame) else found.to_frame()


def _ranges(path: Path) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Row groups that make a piece together, and the lowest and highest row number in them."""
    with pq.ParquetFile(path) as file:
        groups: list[int] = []
        rows, first, last = 0, 1 << 62, -1
        for group in range(file.num_row_groups):
            low, high = _extent(file, group)
            groups.append(group)
            rows, first, last = rows + file.metadata.row_group(group).num_rows, min(first, low), max(last, high)
            if rows >= PIECE_ROWS or group == file.num_row_groups - 1:
                yield tuple(groups), first, last
                groups, rows, first, last = [], 0, 1 << 62, -1


def _extent(file: pq.ParquetFile, group: int) -> tuple[int, int]:
    """Lowest and highest row number of a row group."""
    held = file.metadata.row_group(group)
    for at in range(held.num_columns):
        column = held.column(at)
        if column.path_in_schema == _ROW and column.statistics is not None and column.statistics.has_min_max:
            return int(column.statistics.min), int(column.statistics.max)
    numbers = file.read_row_group(group, columns=[_ROW]).column(0).to_numpy()
    return int(numbers.min()), int(numbers.max())


def _nested(path: Path, groups: tuple[int, ...], nested: Sequence[str]) -> pl.DataFrame:
    with pq.ParquetFile(path) as file:
        held = file.metadata.row_group(groups[0])
        paths = [held.column(at).path_in_schema for at in range(held.num_columns)]
        leaves = [each for each in paths if each == _ROW or _is_wanted(each.split("."), nested)]
        found = pl.from_arrow(file.read_row_groups(list(groups), columns=leaves, use_threads=False))
    return found if isinstance(found, pl.DataFrame) else found.to_frame()


def _is_wanted(path: list[str], nested: Sequence[str]) -> bool:
    """Whether a leaf belongs to a part of a nested column that documents are made of."""
    return path[0] in nested and not _WANTED[path[0]].isdisjoint(path[1:])
