"""Putting an extract into the drop folder: parts, then the manifest, renamed into place last.

Belongs here: folders, parts, the manifest. Does not belong here: rows (``full.py``, ``deltas.py``).
A delivery is complete when its manifest exists, and is never touched again. A folder without one is
a torn delivery: the same plan goes on with it at the part it stopped at, another writes it anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import reduce
from operator import xor
from pathlib import Path

import polars as pl

from sandbox.extracts.files import WrittenFile, measured, write_ndjson, write_parquet
from sandbox.extracts.plan import Plan
from schemas.errors import Refused
from schemas.extract import MANIFEST_NAME, ExtractManifest
from schemas.feeds import FEEDS, PDS_NUMBER_CHANGE

_PLAN = "plan"
_DELIVERY_DELAY = timedelta(minutes=12)


def begin(plan: Plan) -> list[str]:
    """Make ready for the feeds that are not delivered yet, in feed order, and name them.

    What an interrupted attempt at the very same plan finished is kept, and so are the feeds it
    delivered; anything else that is no complete delivery is removed. Raises Refused when a feed
    is delivered already and no such attempt is there to go on with.
    """
    missing = [feed for feed in FEEDS if not (plan.folder(feed) / MANIFEST_NAME).exists()]
    going_on = any(_noted(plan, feed) for feed in missing)
    for feed in FEEDS:
        if feed not in missing and not going_on:
            raise Refused(
                f"Extract {plan.sequence} of feed {feed} is already in the drop folder.",
                remedy="Choose a later day or another drop folder; deliveries are never changed.",
            )
    for feed in missing:
        if not _noted(plan, feed):
            _open(plan, feed)
    return missing


def _open(plan: Plan, feed: str) -> None:
    notes = _notes(plan, feed)
    for folder in (plan.folder(feed), notes):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    # The note comes last: with it the folders are known to be empty, or of this plan.
    _write(notes / _PLAN, _told(plan))


def _notes(plan: Plan, feed: str) -> Path:
    """Folder beside the delivery for what an attempt has to remember; nobody reads it as a delivery."""
    folder = plan.folder(feed)
    return folder.with_name(f".{folder.name}.making")


def _noted(plan: Plan, feed: str) -> bool:
    note = _notes(plan, feed) / _PLAN
    return note.is_file() and note.read_bytes() == _told(plan)


def _told(plan: Plan) -> bytes:
    return repr(replace(plan, drop=Path())).encode()


def part_name(plan: Plan, number: int) -> str:
    """Plain file name of a part."""
    return f"part-{number:05d}.{'parquet' if plan.form == 'parquet' else 'ndjson.gz'}"


def write_part(plan: Plan, feed: str, number: int, frames: Iterable[pl.DataFrame]) -> WrittenFile:
    """One part of the delivery, in the plan's format, with a note of what it holds."""
    path = plan.folder(feed) / part_name(plan, number)
    made = write_parquet(path, frames) if plan.form == "parquet" else write_ndjson(path, feed, frames)
    _write(_note_of(plan, feed, number), made.model_dump_json().encode())
    return made


def finished_part(plan: Plan, feed: str, number: int) -> WrittenFile | None:
    """A part that an earlier attempt at this plan finished; its bytes are as it left them."""
    note, path = _note_of(plan, feed, number), plan.folder(feed) / part_name(plan, number)
    if not note.is_file() or not path.is_file():
        return None
    said = WrittenFile.model_validate_json(note.read_bytes())
    return said if measured(path, said.file.format, said.file.rows, said.control) == said else None


def _note_of(plan: Plan, feed: str, number: int) -> Path:
    return _notes(plan, feed) / f"{part_name(plan, number)}.json"


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


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
    _write(plan.folder(feed) / MANIFEST_NAME, manifest.model_dump_json(indent=2).encode() + b"\n")
    shutil.rmtree(_notes(plan, feed), ignore_errors=True)
    return manifest


def manifest_of(plan: Plan, feed: str) -> ExtractManifest:
    """The manifest of a complete delivery."""
    return ExtractManifest.model_validate_json((plan.folder(feed) / MANIFEST_NAME).read_bytes())
