"""What a supplier delivers: the manifest of an extract, and our acknowledgement of it.

Belongs here: the shapes of the files in the drop folder and the ack folder.
Does not belong here: reading, checking or writing them.

Layout: ``{drop}/{feed}/{source}/{sequence:08d}/manifest.json`` plus data files. The manifest is
written last and renamed into place: a delivery is complete when its manifest exists.
Source: reference/services.md sections 19.2 to 19.5.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MANIFEST_NAME = "manifest.json"

FileFormat = Literal["ndjson", "ndjson.gz", "parquet"]
Outcome = Literal["accepted", "partial", "refused", "deferred"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class DataFile(_Strict):
    """One data file: plain name (no folders), rows, bytes as delivered, SHA-256 in hex."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")
    format: FileFormat
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class ExtractManifest(_Strict):
    """Everything known of an extract before a row of it is read.

    ``window_to`` is the as-at time. ``control`` is the exclusive or of all NHS numbers (as 64-bit
    integers) over the rows that hold one.
    """

    source: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    feed: str
    kind: Literal["full", "delta"]
    sequence: int = Field(ge=1)
    previous_sequence: int | None = Field(default=None, ge=1)
    window_from: datetime | None = None
    window_to: datetime
    created_at: datetime
    schema_version: str
    files: tuple[DataFile, ...]
    record_count: int = Field(ge=0)
    control: int = Field(ge=0)


class RecordResult(_Strict):
    """One record that was not loaded: row number, code and rule, no names, no addresses."""

    row_no: int
    code: str
    rule: str = ""
    level: Literal["record", "warning", "group"]


class Acknowledgement(_Strict):
    """Our answer to one extract, at ``{drop}/../ack/{feed}/{source}/{sequence:08d}.json``.

    The receipt (readable, complete, not yet judged) lies beside it as ``{sequence:08d}.receipt.json``.
    """

    stage: Literal["receipt", "result"] = "result"
    source: str
    feed: str
    sequence: int
    sha256: str
    outcome: Outcome
    code: str
    text: str
    record_count: int
    accepted: int
    quarantined: int
    warnings: int
    received_at: datetime
    finished_at: datetime
    results: tuple[RecordResult, ...] = ()
