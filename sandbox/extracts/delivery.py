"""Putting an extract into the drop folder: parts, then the manifest, renamed into place last.

Belongs here: folders, parts, the manifest. Does not belong here: rows (``full.py``, ``deltas.py``).
A delivery is complete when its manifest exists; a folder without one is a torn delivery and is
written anew. A complete one is never touched.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import reduce
from operator import xor
from pathlib import Path

import polars as pl

from sandbox.extracts.files import WrittenFile, write_ndjson, write_parquet
from sandbox.extracts.plan import Plan
from schemas.errors import Refused
from schemas.extract import MANIFEST_NAME, ExtractManifest
from schemas.feeds import FEEDS, PDS_NUMBER_CHANGE

_DELIVERY_DELAY = timedelta(minutes=12)


def open_folder(plan: Plan, feed: str) -> Path:
    """An empty folder for this delivery; raises Refused when it is already complete."""
    folder = plan.folder(feed)
    if (folder / MANIFEST_NAME).exists():
        raise Refused(
            f"Extract {plan.sequence} of feed {feed} is already in the drop folder.",
            remedy="Choose a later day or another drop folder; deliveries are never changed.",
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def part_name(plan: Plan, number: int) -> str:
    """Plain file name of a part."""
    return f"part-{number:05d}.{'parquet' if plan.form == 'parquet' else 'ndjson.gz'}"


def write_part(plan: Plan, feed: str, number: int, frames: Iterable[pl.DataFrame]) -> WrittenFile:
    """One part of the delivery, in the plan's format."""
    path = plan.folder(feed) / part_name(plan, number)
    return write_parquet(path, frames) if plan.form == "parquet" else write_ndjson(path, feed, frames)


def numbered(frames: Iterable[pl.DataFrame], first: int = 1) -> Iterator[pl.DataFrame]:
    """The frames with row_no counting through."""
    for frame in frames:
        yield frame.with_columns(row_no=pl.int_range(first, first + len(frame), dtype=pl.Int64))
        first += len(frame)


def close(plan: Plan, feed: str, parts: Iterable[WrittenFile]) -> ExtractManifest:
    """Write the manifest: temporary file, then rename."""
    made = list(parts)
    full = plan.day == 0 and feed != PDS_NUMBER_CHANGE.name
    manifest = ExtractManifest(
        source=FEEDS[feed].sources[0],
        feed=feed,
        kind="full" if full else "delta",
        sequence=plan.sequence,
        previous_sequence=plan.sequence - 1 or None,
        window_from=plan.window_from,
        window_to=plan.window_to,
        created_at=plan.window_to + _DELIVERY_DELAY,
        schema_version=FEEDS[feed].schema_version,
        files=tuple(part.file for part in made),
        record_count=sum(part.file.rows for part in made),
        control=reduce(xor, (part.control for part in made), 0),
    )
    path = plan.folder(feed) / MANIFEST_NAME
    temporary = path.with_suffix(".tmp")
    temporary.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
    return manifest
