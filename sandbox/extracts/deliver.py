"""Deliver one's own file: a data file somebody made becomes a complete delivery in the drop folder.

Belongs here: counting, hashing, the next sequence, the manifest. Does not belong here: judging the
rows; that is the receiver's work, and this command must be able to deliver bad ones.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import polars as pl

from sandbox.extracts.files import measured
from schemas.errors import ConfigurationError
from schemas.extract import MANIFEST_NAME, ExtractManifest, FileFormat
from schemas.feeds import FEEDS, ExtractKind
from schemas.fhir.scr import bundle_subject

_FORMATS: dict[str, FileFormat] = {".ndjson": "ndjson", ".ndjson.gz": "ndjson.gz", ".parquet": "parquet"}


@dataclass(frozen=True)
class Delivery:
    """What is delivered. ``as_at`` (with offset) is when the data is true."""

    drop: Path
    feed: str
    kind: ExtractKind
    as_at: datetime


def deliver(delivery: Delivery, file: Path) -> ExtractManifest:
    """Copy the file into the drop folder under the next sequence and write its manifest last.

    Raises ConfigurationError for an unknown feed or ending.
    """
    feed = FEEDS.get(delivery.feed)
    if feed is None:
        raise ConfigurationError(f"There is no feed {delivery.feed}.", remedy=f"Feeds: {', '.join(FEEDS)}.")
    form = _format(file)
    source = feed.sources[0]
    last = _last_sequence(delivery.drop / feed.name / source)
    folder = delivery.drop / feed.name / source / f"{last + 1:08d}"
    folder.mkdir(parents=True)
    copy = folder / f"part-00000{next(end for end, name in _FORMATS.items() if name == form)}"
    shutil.copyfile(file, copy)
    numbers = list(_numbers(file, form))
    written = measured(copy, form, len(numbers), reduce(xor, (n for n in numbers if n is not None), 0))
    manifest = ExtractManifest(
        source=source,
        feed=feed.name,
        kind=delivery.kind,
        sequence=last + 1,
        previous_sequence=last or None,
        window_from=delivery.as_at - timedelta(days=1),
        window_to=delivery.as_at,
        created_at=delivery.as_at,
        schema_version=feed.schema_version,
        files=(written.file,),
        record_count=written.file.rows,
        control=written.control,
    )
    temporary = folder / "manifest.tmp"
    temporary.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    temporary.replace(folder / MANIFEST_NAME)
    return manifest


def _format(file: Path) -> FileFormat:
    for end in sorted(_FORMATS, key=len, reverse=True):
        if file.name.endswith(end):
            return _FORMATS[end]
    raise ConfigurationError("The file's ending is not known.", remedy=f"Endings: {', '.join(_FORMATS)}.")


def _last_sequence(folder: Path) -> int:
    if not folder.exists():
        return 0
    return max((int(path.name) for path in folder.iterdir() if path.name.isdigit()), default=0)


def _numbers(file: Path, form: FileFormat) -> Iterator[int | None]:
    """The NHS number of each row as it enters the control total; None where there are not ten digits."""
    if form == "parquet":
        texts: list[Any] = pl.read_parquet(file, columns=["nhs_number"])["nhs_number"].cast(pl.String).to_list()
        yield from (_as_number(text) for text in texts)
        return
    with gzip.open(file, "rb") if form == "ndjson.gz" else file.open("rb") as lines:
        yield from (_as_number(_number_text(line)) for line in lines if line.strip())


def _number_text(line: bytes) -> Any:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict):
        return None
    if "resourceType" in row:
        return _subject(row)
    payload = row.get("payload")
    # An envelope need not repeat the number that its payload names.
    return row.get("nhs_number") or (_subject(payload) if isinstance(payload, dict) else None)


def _subject(resource: dict[str, Any]) -> Any:
    return bundle_subject(resource) if resource.get("resourceType") == "Bundle" else resource.get("id")


def _as_number(text: Any) -> int | None:
    return int(text) if isinstance(text, str) and len(text) == 10 and text.isascii() and text.isdigit() else None
