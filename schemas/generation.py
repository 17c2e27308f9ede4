"""The generation manifest: the only thing that building and serving share.

Belongs here: the shape of ``generations/<id>/manifest.json`` and ``generations/current.json``.
Does not belong here: building, verifying or opening a generation.
Decision: docs/decisions/0001-the-manifest-is-the-only-seam.md.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

GENERATION_SCHEMA_VERSION = 4
CURRENT_NAME = "current.json"
GENERATION_MANIFEST_NAME = "manifest.json"
REPLICA_NAME = "replica.duckdb"
INDEX_NAME = "index"
FREQUENCIES_NAME = "frequencies.parquet"


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FeedState(_Frozen):
    """One feed inside a generation: last sequence applied, as-at time, rows held."""

    feed: str
    source: str
    sequence: int
    as_at: datetime
    kind: str


class TableState(_Frozen):
    """One replica table: rows and an order-free checksum over its content (hex, 16 digits)."""

    table: str
    rows: int
    checksum: str


class IndexState(_Frozen):
    """The search index: engine, its concrete name or folder, documents and an order-free checksum.

    ``uuid`` tells two indexes of one name apart (OpenSearch); empty for a folder.
    """

    engine: str
    location: str
    documents: int
    checksum: str
    uuid: str = ""


class RecordsState(_Frozen):
    """The records of the replica held in a cluster as well: concrete index name and its uuid, documents
    and an order-free checksum."""

    engine: str
    location: str
    uuid: str
    documents: int
    checksum: str


class WeightsState(_Frozen):
    """The match weights that a generation was built for: name, SHA-256, and the file itself (a few kilobytes),
    so that whoever serves it has them. They hold no value of a patient."""

    version: str
    sha256: str
    content: str


class FileState(_Frozen):
    """One file of the generation folder: relative path, bytes, SHA-256."""

    path: str
    bytes: int
    sha256: str


class GenerationManifest(_Frozen):
    """Names a replica and an index that belong together. Immutable once published.

    ``base`` is the generation it was built on (None: from nothing), ``previous`` the one that was
    current when it was built. ``as_at`` is the oldest as-at time of the feeds inside. ``weights`` None:
    built before weights were pinned.
    """

    generation: str
    number: int
    base: str | None
    previous: str | None = None
    built_at: datetime
    as_at: datetime
    schema_version: int
    code_version: str
    weights_version: str
    weights: WeightsState | None = None
    feeds: tuple[FeedState, ...]
    tables: tuple[TableState, ...]
    index: IndexState
    records: RecordsState | None = None
    files: tuple[FileState, ...]


class CurrentGeneration(_Frozen):
    """The marker that says which generation is served; replaced in one atomic rename."""

    generation: str
    manifest_sha256: str
    published_at: datetime
    reason: str
