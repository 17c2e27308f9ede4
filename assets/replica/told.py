"""The rows of validated parts as the replica takes them in: the columns it keeps, and each record as one JSON text.

Belongs here: reading parts a piece at a time, the text of a record, leaving out rows that are not wanted. Does not
belong here: which rows those are (``apply.py``), SQL over the columns (``tables.py``), packing the texts.

A column that is NULL is left out of the text, for most are; within a column nothing is. So a record's text depends on
the record alone, not on what it came with, and equal records have equal texts. polars makes it, three times as fast as
the database would; it works one piece ahead of who takes the rows in, so that both processors have something to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assets.validated.pieces import Piece, cuts, frame_rows
from schemas.feeds import FEEDS
from schemas.fields import fields
from schemas.types import polars_type

# Row groups of a delivery hold about as many; a group cut in two is decoded twice.
PIECE_ROWS = 65_536
_BATCH_ROWS = 16_384
# Where fewer rows have a value they are taken out first; of nested values taking out costs more than encoding.
_MANY = 0.25
# Which rows are wanted, by row number; None: all.
Wanted = npt.NDArray[np.bool_] | None

APART = "related_persons"
_NEEDED = {
    "pds_patient": ("nhs_number", "recorded_at", "row_no", "version_id", "security", "gender", "birth_date",
                    "deceased", "general_practitioner", APART),
    "scr_summary": ("nhs_number", "recorded_at", "row_no"),
}  # fmt: skip


def rows(feed: str, parts: Sequence[Path], wanted: Wanted = None) -> pa.RecordBatchReader:
    """All wanted rows in order, to be read once: the columns that ``tables.py`` speaks of, and ``told``."""
    schema = _columns(feed)
    frames = _ahead(_frames(feed, parts, PIECE_ROWS), feed, wanted)
    empty = pl.DataFrame(schema=schema).to_arrow(compat_level=pl.CompatLevel.newest())
    batches = (
        batch
        for frame in frames
        for batch in frame.to_arrow(compat_level=pl.CompatLevel.newest()).to_batches(_BATCH_ROWS)
    )
    return pa.RecordBatchReader.from_batches(empty.schema, batches)


def first_rows(feed: str, part: Path, count: int) -> pl.DataFrame:
    """The first rows of a part that are no deletes, for a dictionary."""
    frame = pl.scan_parquet(part).slice(0, count).collect().filter(pl.col("action") != "delete")
    return _told(feed, frame, None)


def _columns(feed: str) -> dict[str, pl.DataType]:
    kept = {entry.name: polars_type(entry.kind) for entry in fields(_NEEDED[feed])}
    return {**kept, "told": pl.String()}


def _record(feed: str) -> tuple[str, ...]:
    return tuple(name for name in FEEDS[feed].columns if name != APART)


def _frames(feed: str, parts: Sequence[Path], most: int) -> Iterator[pl.LazyFrame]:
    pieces = [Piece(path, pq.read_metadata(path).num_rows, 0) for path in parts]
    columns = dict.fromkeys((*_NEEDED[feed], *FEEDS[feed].columns))
    for cut in cuts(pieces, frame_rows(pieces, most)):
        yield pl.scan_parquet(cut.pieces[0].path).slice(cut.start, cut.rows).select(*columns)


def _ahead(frames: Iterator[pl.LazyFrame], feed: str, wanted: Wanted) -> Iterator[pl.DataFrame]:
    """Each frame told, the next one meanwhile made."""
    with ThreadPoolExecutor(1) as worker:
        coming: Future[pl.DataFrame] | None = None
        for frame in frames:
            ready, coming = coming, worker.submit(_collected, feed, frame, wanted)
            if ready is not None:
                yield ready.result()
        if coming is not None:
            yield coming.result()


def _collected(feed: str, frame: pl.LazyFrame, wanted: Wanted) -> pl.DataFrame:
    return _told(feed, frame.collect(), wanted)


def _told(feed: str, frame: pl.DataFrame, wanted: Wanted) -> pl.DataFrame:
    if wanted is not None:
        frame = frame.filter(pl.Series(wanted[frame["row_no"].to_numpy()]))
    text = record_texts(frame.select(*_record(feed))).alias("told")
    return frame.select(*_NEEDED[feed]).with_columns(text).select(*_columns(feed))


def record_texts(frame: pl.DataFrame) -> pl.Series:
    """Each row as one JSON object, columns in order, NULLs left out."""
    members = [_members(frame[name]).alias(name) for name in frame.columns]
    together = pl.concat_str(frame.columns, separator=",", ignore_nulls=True)
    return pl.DataFrame(members).select(pl.concat_str(pl.lit("{"), together, pl.lit("}"))).to_series()


def _members(column: pl.Series) -> pl.Series:
    """What each row says of one column, NULL where it has no value."""
    there = column.is_not_null()
    held = len(column) - column.null_count()
    if not held:
        return pl.Series([None], dtype=pl.String).new_from_index(0, len(column))
    if held > len(column) * _MANY:
        texts = _encoded(column)
    else:
        texts = _encoded(column.drop_nulls()).gather(pl.Series(np.cumsum(there.to_numpy()) - 1).clip(0))
    return pl.select(pl.when(there).then(texts)).to_series()


def _encoded(column: pl.Series) -> pl.Series:
    """Each value with its name, without the braces around them."""
    text = column.to_frame().to_struct("members").struct.json_encode()
    return text.str.strip_prefix("{").str.strip_suffix("}")
