"""Reading deliveries of the sandbox back, as a test sees them.

Belongs here: rows of a delivered extract in both formats. Does not belong here: what is expected.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl

from schemas.extract import ExtractManifest
from schemas.feeds import FEEDS
from schemas.fhir.envelope import read_line


def manifest_of(folder: Path) -> ExtractManifest:
    return ExtractManifest.model_validate_json((folder / "manifest.json").read_bytes())


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """Parsed NDJSON lines of a delivery, in order of parts."""
    parts = sorted(folder.glob("*.ndjson.gz"))
    return [json.loads(line) for part in parts for line in gzip.decompress(part.read_bytes()).splitlines()]


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Rows of a delivery in either format, as the feed's columns."""
    manifest = manifest_of(folder)
    if any(file.format == "parquet" for file in manifest.files):
        frames = [pl.read_parquet(folder / file.name) for file in manifest.files]
        return pl.concat(frames).cast(dict(FEEDS[manifest.feed].polars_schema)).to_dicts()
    as_at = manifest.window_to.isoformat()
    return [read_line(manifest.feed, line, number, as_at) for number, line in enumerate(lines_of(folder), 1)]
