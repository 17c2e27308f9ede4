"""The rows of validated parts as the replica takes them in: the columns it keeps, each record's text, and its place.

Belongs here: reading parts a piece at a time, the text of a record, leaving out rows that are not wanted, having texts
packed. Does not belong here: which rows are wanted (``apply.py``), SQL over the columns (``tables.py``), the files
(``search_api/record_files.py``).

A column that is NULL is left out of the text, for most are; within a column nothing is. So a record's text depends on
the record alone, not on what it came with, and equal records have equal texts. polars makes it, three times as fast as
the database would. Reading, packing and taking in work side by side, each a piece ahead of the next, so that both
processors have something to do and few pieces are in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assets.ahead import ahead
from assets.replica.tables import INVALIDATED
from assets.validated.pieces import Piece, cuts, frame_rows
from schemas.feeds import FEEDS
from schemas.fields import fields
from schemas.types import polars_type
from search_api import packed
from search_api.record_files import RecordWriter

# Row groups of a delivery hold about as many; a group cut in two is decoded twice.
PIECE_ROWS = 65_536
_BATCH_ROWS = 16_384
# Making texts takes longer than all that follows together.
_TELLERS = 2
# Where fewer rows have a value they are taken out first; of nested values taking out costs more than encoding.
_MANY = 0.25
# Which rows are wanted, by row number; None: all.
Wanted = npt.NDArray[np.bool_] | None

APART = "related_persons"
# What the tables keep as columns.
_NEEDED = {
    "pds_patient": ("nhs_number", "recorded_at", "row_no", "version_id", "security", "gender", "birth_date",
                    "deceased", "general_practitioner"),
    "scr_summary": ("nhs_number", "recorded_at", "row_no"),
}  # fmt: skip


class Rows:
    """All wanted rows in order, to be read once through ``reader``: the columns that ``tables.py`` speaks of. Their texts
    go into ``store``. ``error`` is what ended the reading, if anything did: the database makes its own of it."""

    def __init__(self, feed: str, parts: Sequence[Path], store: RecordWriter, wanted: Wanted = None) -> None:
        told = ahead(_frames(feed, parts, PIECE_ROWS), lambda frame: _told(feed, frame.collect(), wanted), _TELLERS)
        batches = self._batches(ahead(told, _Packer(store).placed))
        self.error: Exception | None = None
        self.reader = pa.RecordBatchReader.from_batches(_arrow(pl.DataFrame(schema=_columns(feed))).schema, batches)

    def _batches(self, frames: Iterator[pl.DataFrame]) -> Iterator[pa.RecordBatch]:
        try:
            for frame in frames:
                yield from _arrow(frame).to_batches(_BATCH_ROWS)
        except Exception as error:
            self.error = error
            raise


def _arrow(frame: pl.DataFrame) -> pa.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.newest())


def first_rows(feed: str, part: Path, count: int) -> pl.DataFrame:
    """The texts of the first rows of a part that are no deletes, for a dictionary."""
    frame = pl.scan_parquet(part).slice(0, count).collect().filter(pl.col("action") != "delete")
    lines = [pl.col(text_name(name)).str.head(-1) for name in _packed(feed)]
    return _told(feed, frame, None).with_columns(lines)


def text_name(column: str) -> str:
    """The column of a row that has the text whose place is to be kept in this one."""
    return f"{column}_text"


def _columns(feed: str) -> dict[str, pl.DataType]:
    kept = {entry.name: polars_type(entry.kind) for entry in fields(_NEEDED[feed])}
    texts = {text_name(name): pl.String() for name in _packed(feed)}
    return {**kept, **texts, **{name: pl.Int64() for name in _packed(feed)}}


def _packed(feed: str) -> tuple[str, ...]:
    return ("record", "related") if APART in FEEDS[feed].columns else ("record",)


def _record(feed: str) -> tuple[str, ...]:
    return tuple(name for name in FEEDS[feed].columns if name != APART)


def _frames(feed: str, parts: Sequence[Path], most: int) -> Iterator[pl.LazyFrame]:
    pieces = [Piece(path, pq.read_metadata(path).num_rows, 0) for path in parts]
    columns = dict.fromkeys((*_NEEDED[feed], *FEEDS[feed].columns))
    for cut in cuts(pieces, frame_rows(pieces, most)):
        yield pl.scan_parquet(cut.pieces[0].path).slice(cut.start, cut.rows).select(*columns)


def _told(feed: str, frame: pl.DataFrame, wanted: Wanted) -> pl.DataFrame:
    """What is needed of each row, and its texts as lines."""
    if wanted is not None:
        frame = frame.filter(pl.Series(wanted[frame["row_no"].to_numpy()]))
    texts = [record_lines(frame.select(*_record(feed))).alias(text_name("record"))]
    if APART in frame.columns:
        apart = _members(frame[APART]).str.slice(len(f',"{APART}":'))
        texts.append((apart + "\n").alias(text_name("related")))
    told = frame.select(*_NEEDED[feed]).with_columns(texts)
    return _without_invalidated(told) if "security" in _NEEDED[feed] else told


def _without_invalidated(frame: pl.DataFrame) -> pl.DataFrame:
    """Of an invalidated patient version and label stay, nothing of a person."""
    invalidated = frame["security"].eq(INVALIDATED).fill_null(value=False)
    if not invalidated.any():
        return frame
    markers = _spread(record_lines(frame.filter(invalidated).select("version_id", "security")), invalidated)
    record, related = text_name("record"), text_name("related")
    return frame.with_columns(
        pl.when(invalidated).then(markers).otherwise(pl.col(record)).alias(record),
        pl.when(~invalidated).then(pl.col(related)).alias(related),
    )


class _Packer:
    """Has the texts of frames packed, one frame after another."""

    def __init__(self, store: RecordWriter) -> None:
        self._store = store
        self._pack = store.packer()

    def placed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The same rows with the place of each text, and the texts themselves without the lines' ends."""
        names = [name for name in ("record", "related") if text_name(name) in frame.columns]
        places = {name: self._places(frame[text_name(name)]) for name in names}
        return frame.with_columns(*(pl.col(text_name(name)).str.head(-1) for name in names), **places)

    def _places(self, lines: pl.Series) -> pl.Series:
        held = lines.drop_nulls()
        places = pl.Series(self._store.add(packed.texts_of(held.to_arrow()), self._pack), dtype=pl.Int64)
        if len(held) == len(lines):
            return places
        there = lines.is_not_null()
        return _spread(places, there)


def record_lines(frame: pl.DataFrame) -> pl.Series:
    """Each row as one JSON object, columns in order, NULLs left out; and a line end."""
    said = [column for column in frame.get_columns() if column.null_count() < len(column)]
    if not said:
        return pl.Series(["{}\n"]).new_from_index(0, frame.height)
    members = [_members(column).alias(column.name) for column in said]
    begun = not said[0].null_count()
    if begun:
        members[0] = ("{" + members[0].str.slice(1)).alias(said[0].name)
    line = pl.concat_str(*(column.name for column in said), pl.lit("}\n"), ignore_nulls=True)
    text = pl.DataFrame(members).select(line).to_series()
    return text if begun else "{" + text.str.strip_prefix(",")


def _members(column: pl.Series) -> pl.Series:
    """What each row says of one column, a comma before it, NULL where it has no value."""
    there = column.is_not_null()
    held = len(column) - column.null_count()
    if not held:
        return _nothing(len(column), pl.String())
    if held == len(column):
        return _encoded(column)
    if held > len(column) * _MANY:
        return pl.select(pl.when(there).then(_encoded(column))).to_series()
    return _spread(_encoded(column.drop_nulls()), there)


def _spread(values: pl.Series, there: pl.Series) -> pl.Series:
    """Values put where they are to be, NULL everywhere else."""
    if not len(values):
        return _nothing(len(there), values.dtype)
    each = values.gather(pl.Series(np.cumsum(there.to_numpy()) - 1).clip(0))
    return pl.select(pl.when(there).then(each)).to_series()


def _nothing(rows: int, kind: pl.DataType) -> pl.Series:
    return pl.Series([None], dtype=kind).new_from_index(0, rows)


def _encoded(column: pl.Series) -> pl.Series:
    """Each value with its name and the comma before it. The comma is that behind a member of no meaning: what is cut
    off at the ends of a text is not copied, what is put before it would be."""
    before = pl.Series("_", [False]).new_from_index(0, len(column))
    text = pl.DataFrame([before, column]).to_struct("members").struct.json_encode()
    return text.str.slice(len('{"_":false')).str.head(-1)
