"""Data files of an extract: gzipped NDJSON of FHIR, or parquet in the row form.

Belongs here: writing one file and measuring it. Does not belong here: which rows, the manifest.
The same rows give the same bytes: gzip without a time stamp, parquet with one writer's settings.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from schemas.extract import DataFile, FileFormat
from schemas.feeds import SCR_SUMMARY
from schemas.fhir.envelope import write_line

_GZIP_LEVEL = 3
_BARE = frozenset({"action", "source_key", "nhs_number", "payload"})


class WrittenFile(BaseModel):
    """A data file and what it adds to the manifest's totals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: DataFile
    control: int


def control_total(frames: Iterable[pl.DataFrame]) -> int:
    """Exclusive or of all NHS numbers, as 64-bit integers."""
    totals = (int(np.bitwise_xor.reduce(f["nhs_number"].cast(pl.Int64).to_numpy())) for f in frames if len(f))
    return reduce(xor, totals, 0)


def write_parquet(path: Path, frames: Iterable[pl.DataFrame]) -> WrittenFile:
    """One parquet file, a row group a frame; memory holds one frame at a time."""
    rows = control = 0
    writer: Any = None
    try:
        for frame in frames:
            table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd", compression_level=1)
            writer.write_table(table)
            rows, control = rows + len(frame), control ^ control_total([frame])
    finally:
        if writer is not None:
            writer.close()
    return measured(path, "parquet", rows, control)


def write_ndjson(path: Path, feed: str, frames: Iterable[pl.DataFrame]) -> WrittenFile:
    """One gzipped NDJSON file of envelopes, or of bare resources where nothing else is needed."""
    rows = control = 0
    with (
        path.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0, compresslevel=_GZIP_LEVEL) as out,
    ):
        for frame in frames:
            lines = _summary_lines(frame) if feed == SCR_SUMMARY.name else _lines(feed, frame)
            out.write(b"".join(lines))
            rows, control = rows + len(frame), control ^ control_total([frame])
    return measured(path, "ndjson.gz", rows, control)


def _lines(feed: str, frame: pl.DataFrame) -> Iterable[bytes]:
    for row in frame.iter_rows(named=True):
        yield orjson.dumps(_bare_or_envelope(write_line(feed, row)), option=orjson.OPT_APPEND_NEWLINE)


def _bare_or_envelope(line: dict[str, Any]) -> dict[str, Any]:
    """A new record whose envelope says no more than the resource goes without envelope."""
    resource: dict[str, Any] | None = line.get("payload")
    if resource is None or "resourceType" not in resource or line["action"] != "new":
        return line
    return resource if _BARE.issuperset(line) else line


def _summary_lines(frame: pl.DataFrame) -> Iterable[bytes]:
    """As write_line, but the Bundle's text goes in as it is: parsing it costs ten times as much."""
    for row in frame.iter_rows(named=True):
        if row["action"] == "delete":
            yield orjson.dumps(write_line(SCR_SUMMARY.name, row), option=orjson.OPT_APPEND_NEWLINE)
            continue
        line = {
            "action": row["action"],
            "source_key": row["source_key"],
            "nhs_number": row["nhs_number"],
            "recorded_at": row["recorded_at"].isoformat(),
            "permission": row["permission"],
            "payload": orjson.Fragment(row["bundle_json"]),
        }
        yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def measured(path: Path, form: FileFormat, rows: int, control: int) -> WrittenFile:
    """The file's entry in the manifest: its size and SHA-256 as it lies there."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    file_facts = DataFile(name=path.name, format=form, rows=rows, bytes=size, sha256=digest.hexdigest())
    return WrittenFile(file=file_facts, control=control)
