"""The quarantine's files: rejected rows as received, with level, code and rule.

Belongs here: writing and reading quarantine parquet. Does not belong here: who may see it
(``quarantine.py``), which rows are rejected (``quality``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from assets.landing.acknowledge import QUARANTINE_FILES
from assets.validated.parsing import BadLine
from quality.judge import REJECTED_SCHEMA

QUARANTINE_SCHEMA: dict[str, pl.DataType] = {**REJECTED_SCHEMA, "received": pl.String()}
RECEIVED_SCHEMA: dict[str, pl.DataType] = {"row_no": pl.Int64(), "received": pl.String()}


def write_quarantine(folder: Path, number: int, rejected: pl.DataFrame, received: pl.DataFrame) -> None:
    """Write one part: rejections joined with the rows as received (row_no, received)."""
    rows = rejected.join(received, on="row_no", how="left", maintain_order="left")
    rows.select(list(QUARANTINE_SCHEMA)).write_parquet(folder / f"quarantine-{number:05d}.parquet")


def write_bad_lines(folder: Path, number: int, bad: Sequence[BadLine]) -> None:
    """Write lines that never became rows; key and number are not known."""
    rows = [
        {
            "row_no": line.row_no,
            "source_key": None,
            "nhs_number": None,
            "code": line.code,
            "rule": line.rule,
            "level": "record",
            "rules": [line.rule],
            "received": line.received,
        }
        for line in bad
    ]
    frame = pl.DataFrame(rows, schema=QUARANTINE_SCHEMA)
    frame.write_parquet(folder / f"quarantine-{number:05d}.parquet")


def as_received(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of a supplier's parquet as JSON text: row_no, received."""
    if frame.is_empty():
        return pl.DataFrame(schema=RECEIVED_SCHEMA)
    return frame.select("row_no", pl.struct(pl.all()).struct.json_encode().alias("received"))


def read_quarantine(folder: Path) -> pl.DataFrame:
    """All rejected rows of one extract, by row number; empty when there are none."""
    if not any(folder.glob(QUARANTINE_FILES)):
        return pl.DataFrame(schema=QUARANTINE_SCHEMA)
    return pl.read_parquet(folder / QUARANTINE_FILES).sort("row_no")
