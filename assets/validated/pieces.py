"""An extract's rows as a sequence of frames, whatever format they came in.

Belongs here: pieces (parquet files with rows) and the two ways to go through them: cuts of
bounded size for polars, SQL for DuckDB. Does not belong here: parsing, judging.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from quality.reasons import refused
from schemas.feeds import Feed

FRAME_ROWS = 200_000
# Judging holds a frame a few times over; this keeps it within a gigabyte.
FRAME_BYTES = 192 << 20


@dataclass(frozen=True)
class Piece:
    """A parquet file with rows of one extract.

    ``first_row`` numbers the rows of a supplier's own parquet by position; None where the piece's
    ``row_no`` is already ours.
    """

    path: Path
    rows: int
    first_row: int | None = None


@dataclass(frozen=True)
class Cut:
    """Rows that are judged together: some of one supplier's file, or all of a few pieces of ours.

    ``start`` and ``rows`` are places in the supplier's file.
    """

    number: int
    pieces: tuple[Piece, ...]
    start: int
    rows: int

    @property
    def landed(self) -> Path | None:
        """The supplier's file the rows lie in; None for pieces of ours."""
        return self.pieces[0].path if self.pieces[0].first_row is not None else None


def frames(pieces: Sequence[Piece], feed: Feed, most: int) -> Iterator[pl.DataFrame]:
    """All rows in order, in frames of at most about ``most`` rows with the feed's columns.

    Raises FileRefused when a supplier's file cannot be decoded.
    """
    for cut in cuts(pieces, most):
        yield numbered(cut, rows_of(cut, feed))


def cuts(pieces: Sequence[Piece], most: int) -> Iterator[Cut]:
    """All rows in order, in cuts of at most ``most`` rows; a piece of ours is never cut.

    A supplier's file is cut where its row groups end if they are not larger than that: a group that
    lies in two cuts has to be decoded twice.
    """
    number, held = 0, list[Piece]()
    for piece in pieces:
        if piece.first_row is not None:
            for start, rows in _stretches(piece.path, most):
                yield Cut(number, (piece,), start, rows)
                number += 1
            continue
        if held and sum(one.rows for one in held) + piece.rows > most:
            yield Cut(number, tuple(held), 0, sum(one.rows for one in held))
            number, held = number + 1, []
        held.append(piece)
    if held:
        yield Cut(number, tuple(held), 0, sum(one.rows for one in held))


def _stretches(path: Path, most: int) -> Iterator[tuple[int, int]]:
    """Start and rows of each cut of a supplier's file."""
    start = held = 0
    for size in row_groups(path):
        if held and held + size > most:
            yield start, held
            start, held = start + held, 0
        held += size
        while held > most:
            yield start, most
            start, held = start + most, held - most
    if held:
        yield start, held


def row_groups(path: Path) -> list[int]:
    """Rows of each row group of a parquet file."""
    footer = pq.read_metadata(path)
    return [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]


def rows_of(cut: Cut, feed: Feed) -> pl.DataFrame:
    """The cut's rows with the feed's columns; a supplier's are numbered as they number them.

    Raises FileRefused when a supplier's file cannot be decoded.
    """
    if cut.landed is None:
        found = pl.read_parquet([piece.path for piece in cut.pieces])
        return found.select(list(feed.polars_schema)).sort("row_no")
    scan = pl.scan_parquet(cut.landed).select(list(feed.polars_schema)).slice(cut.start, cut.rows)
    try:
        return scan.collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        raise refused("FILE_FORMAT", cut.landed.name) from None


def numbered(cut: Cut, rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows with our row numbers: those of a supplier's file count by position."""
    if cut.pieces[0].first_row is None:
        return rows
    first = cut.pieces[0].first_row + cut.start
    numbers = pl.int_range(first, first + rows.height, dtype=pl.Int64, eager=True).alias("row_no")
    # A column in one piece beside columns in several has every later step put all of them together anew.
    return rows if rows["row_no"].equals(numbers) else rows.with_columns(numbers).rechunk()


def frame_rows(pieces: Sequence[Piece], most: int) -> int:
    """How many rows a frame may hold: at most ``most``, fewer where rows are large (documents)."""
    rows = sum(piece.rows for piece in pieces)
    if rows == 0:
        return most
    size = sum(_unpacked_size(piece.path) for piece in pieces)
    return max(1, min(most, rows * FRAME_BYTES // max(size, 1)))


def rows_sql(pieces: Sequence[Piece], feed: Feed) -> str:
    """SQL that selects all rows with the feed's columns and our row numbers."""
    columns = ", ".join(f'"{name}"' for name in feed.polars_schema if name != "row_no")
    ours = [_quoted(piece.path) for piece in pieces if piece.first_row is None]
    parts = [
        f"SELECT {columns}, file_row_number + {piece.first_row} AS row_no "  # noqa: S608 - names of the catalogue, paths of ours
        f"FROM read_parquet({_quoted(piece.path)}, file_row_number=true)"
        for piece in pieces
        if piece.first_row is not None
    ]
    if ours:
        parts.append(f"SELECT {columns}, row_no FROM read_parquet([{', '.join(ours)}])")  # noqa: S608 - as above
    return " UNION ALL ".join(parts)


def _unpacked_size(path: Path) -> int:
    footer = pq.read_metadata(path)
    return sum(footer.row_group(group).total_byte_size for group in range(footer.num_row_groups))


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
