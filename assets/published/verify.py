"""Verifying a generation: every byte, every count, every checksum.

Belongs here: the whole check of a folder against its manifest, for ``ncrs verify`` and before a
roll-back. Does not belong here: the quick check before serving (``search_api/generations.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from assets.published.mirror import Mirror
from assets.replica.checksums import table_state
from assets.stores import Stores
from schemas.errors import GenerationError, NcrsError
from schemas.generation import REPLICA_NAME, GenerationManifest
from search_api import db
from search_api import generation_files as files
from search_api.index.provider import IndexEngine
from search_api.opened import check_engine


@dataclass(frozen=True)
class Check:
    """One check: its name, whether it passed, and a sentence without values."""

    name: str
    passed: bool
    text: str


@dataclass(frozen=True)
class Verification:
    """The checks of one generation, in order; later ones are left out when the folder is unreadable."""

    generation: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)


class Cluster(Protocol):
    """Where records may be besides."""

    def verify_records(self, manifest: GenerationManifest) -> str:
        """What was compared. Raises NcrsError when it is not as published, or cannot be asked."""
        ...


def verify(
    stores: Stores,
    engine: IndexEngine,
    generation: str,
    progress: files.Progress | None = None,
    cluster: Cluster | None = None,
) -> Verification:
    """Check one generation whole. Never raises for damage: it is in the result.

    ``cluster``: the records there are checked too.
    """
    folder = stores.generations / generation
    try:
        manifest = files.read_manifest(folder, _published_sha256(stores, generation))
    except GenerationError as error:
        return Verification(generation, (Check("manifest", False, error.message),))
    damaged = [state.path for state in files.damaged_files(folder, manifest, progress)]
    text = f"damaged: {', '.join(damaged)}" if damaged else f"{len(manifest.files)} files as published"
    checks = [Check("manifest", True, "readable"), Check("files", not damaged, text)]
    if not damaged:
        checks += [
            _attempt("tables", lambda: _tables(stores, manifest)),
            _attempt("index", lambda: _index(stores, engine, manifest)),
        ]
        if cluster is not None:
            checks.append(_attempt("records", lambda: Check("records", True, cluster.verify_records(manifest))))
    return Verification(generation, tuple(checks))


def catalogue_check(mirror: Mirror, stores: Stores) -> Check:
    """Whether nodes that follow the cluster are told of the generation that is current."""
    return _attempt("catalogue", lambda: _said(mirror.lag(stores)))


def _said(lag: str) -> Check:
    return Check("catalogue", not lag, lag or "the marker in the cluster names what is current")


def _published_sha256(stores: Stores, generation: str) -> str | None:
    """The manifest's hash where the marker names this generation; otherwise none is known."""
    try:
        current = files.read_current(stores.generations)
    except GenerationError:
        return None
    return current.manifest_sha256 if current and current.generation == generation else None


def _attempt(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except NcrsError as error:
        return Check(name, False, error.message)
    except db.DatabaseError as error:
        return Check(name, False, f"the replica cannot be read ({type(error).__name__})")


def _tables(stores: Stores, manifest: GenerationManifest) -> Check:
    path = stores.generations / manifest.generation / REPLICA_NAME
    with closing(db.open_scan(path, 2.0, threads=2)) as connection:
        wrong = [table.table for table in manifest.tables if table_state(connection, table.table) != table]
    text = f"differ: {', '.join(wrong)}" if wrong else f"{len(manifest.tables)} tables, rows and checksums equal"
    return Check("tables", not wrong, text)


def _index(stores: Stores, engine: IndexEngine, manifest: GenerationManifest) -> Check:
    check_engine(manifest, engine)
    with closing(engine.open(files.index_place(stores.generations / manifest.generation, manifest))) as reader:
        equal = (reader.count(), reader.checksum()) == (manifest.index.documents, manifest.index.checksum)
    text = f"{manifest.index.documents} documents" if equal else "documents or checksum differ"
    return Check("index", equal, text)
