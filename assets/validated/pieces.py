"""An extract's rows as a sequence of frames, whatever format they came in.

Belongs here: pieces (parquet files with rows) and the two ways to go through them: frames of
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


def frames(pieces: Sequence[Piece], feed: Feed, most: int) -> Iterator[pl.DataFrame]:
    """All rows in order, in frames of at most about ``most`` rows with the feed's columns.

    Raises FileRefused when a supplier's file cannot be decoded.
    """
    held: list[Piece] = []
    for piece in pieces:
        if piece.first_row is not None:
            yield from _slices(piece, feed, most)
            continue
        if held and sum(one.rows for one in held) + piece.rows > most:
            yield _together(held, feed)
            held = []
        held.append(piece)
    if held:
        yield _together(held, feed)


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


def _slices(piece: Piece, feed: Feed, most: int) -> Iterator[pl.DataFrame]:
    assert piece.first_row is not None  # noqa: S101 - narrowed by the caller
    for start in range(0, piece.rows, most):
        scan = pl.scan_parquet(piece.path).select(list(feed.polars_schema)).slice(start, most)
        try:
            frame = scan.collect()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
            raise refused("FILE_FORMAT", piece.path.name) from None
        first = piece.first_row + start
        numbers = pl.int_range(first, first + frame.height, dtype=pl.Int64)
        yield frame.with_columns(numbers.alias("row_no"))


def _together(held: Sequence[Piece], feed: Feed) -> pl.DataFrame:
    found = pl.read_parquet([piece.path for piece in held])
    return found.select(list(feed.polars_schema)).sort("row_no")
