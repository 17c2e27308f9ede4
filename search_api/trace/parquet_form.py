"""Trace files in parquet: their rows, and the same file with columns added.

Belongs here: reading and writing parquet batch by batch. Does not belong here: rules of rows, separated values.

Columns are read as text, dates as yyyy-mm-dd; every other column goes through as it is.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from search_api.trace.columns import ANSWER, REQUEST, canonical
from search_api.trace.form import Chunk, places, refused


@dataclass(frozen=True)
class ParquetForm:
    """A parquet file. ``at`` is where the used columns stand."""

    at: tuple[int, ...]
    rows: int
    media_type: str = "application/vnd.apache.parquet"
    suffix: str = ".parquet"

    def chunks(self, path: Path, size: int) -> Iterator[Chunk]:
        """Rows as record batches of ``size``, whatever the file's row groups are."""
        with _reading():
            file = pq.ParquetFile(path)
            for index, batch in enumerate(_even(file.iter_batches(batch_size=size), size)):
                yield Chunk(index, batch, batch.num_rows)

    def fields(self, chunk: Chunk) -> list[tuple[str, ...] | None]:
        """Every row has every field."""
        empty = [""] * chunk.count
        columns = [_texts(chunk.rows.column(place)) if place >= 0 else empty for place in self.at]
        return list(zip(*columns, strict=True))

    def surplus(self, chunk: Chunk, row: int) -> bool:  # noqa: ARG002 - a table has one width
        """Never."""
        return False

    def written(self, chunk: Chunk, answers: Sequence[Sequence[str]]) -> bytes:
        """The batch with the added columns as text, as a small file of its own."""
        table = pa.Table.from_batches([chunk.rows])
        for name, values in zip(ANSWER, zip(*answers, strict=True), strict=True):
            table = table.append_column(name, pa.array(values, pa.string()))
        out = io.BytesIO()
        pq.write_table(table, out)
        return out.getvalue()

    def join(self, parts: Sequence[Path], target: Path) -> None:
        """One row group a part."""
        with target.open("wb") as out:
            with pq.ParquetWriter(out, pq.read_schema(parts[0])) as writer:
                for part in parts:
                    writer.write_table(pq.read_table(part, partitioning=None))
            out.flush()
            os.fsync(out.fileno())


def inspect_parquet(path: Path) -> ParquetForm:
    """Read a file once from end to end. Raises FileRefused."""
    with _reading():
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        at = places(schema.names)
        for name, kind in zip(schema.names, schema.types, strict=True):
            if canonical(name) in {column.name for column in REQUEST} and pa.types.is_nested(kind):
                raise refused("column_type", f"The column {canonical(name)} holds lists or groups.")
        rows = sum(batch.num_rows for batch in file.iter_batches())
    if not rows:
        raise refused("no_rows", "The file has no row.")
    return ParquetForm(at, rows)


@contextmanager
def _reading() -> Iterator[None]:
    """The library's texts may quote values; only the kind goes on."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise refused("parquet", f"The file is no whole parquet file ({type(error).__name__}).") from None


def _even(batches: Iterator[Any], size: int) -> Iterator[Any]:
    """Batches of exactly ``size``, the last one smaller."""
    waiting: list[Any] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        while count >= size:
            whole = pa.Table.from_batches(waiting)
            yield _one(whole.slice(0, size))
            waiting = whole.slice(size).to_batches()
            count -= size
    if count:
        yield _one(pa.Table.from_batches(waiting))


def _one(table: Any) -> Any:
    return table.combine_chunks().to_batches()[0]


def _texts(column: Any) -> list[str]:
    kind = column.type
    if pa.types.is_temporal(kind) and not pa.types.is_time(kind) and not pa.types.is_duration(kind):
        column = pc.strftime(column, format="%Y-%m-%d")
    elif pa.types.is_floating(kind):
        column = _whole(column)
    try:
        return ["" if value is None else value for value in column.cast(pa.string()).to_pylist()]
    except pa.ArrowException:
        # What cannot be text is answered as a field with a control character: of the wrong format.
        return ["\x00"] * len(column)


def _whole(column: Any) -> Any:
    """Numbers that a tool made fractions of (9000000009.0) as whole ones; others as they are."""
    try:
        return column.cast(pa.int64())
    except pa.ArrowException:
        return column
