"""Probes: is the process alive, can it answer, and how is each part.

Belongs here: the checks behind ``/readyz`` and ``/healthz``. Does not belong here: freshness of the
feeds (``freshness.py``), metrics. No patient data: names of parts, codes, counts and times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from schemas.errors import NcrsError
from schemas.feeds import FEEDS
from schemas.generation import GenerationManifest
from search_api.access.audit_store import read_head
from search_api.ops.database import write_connection
from search_api.services import Services


@dataclass(frozen=True)
class Check:
    """One part: its name, whether it works, and what ops want to know of it."""

    part: str
    ok: bool
    detail: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return {"part": self.part, "ok": self.ok, **self.detail}


def check_generation(parts: Services) -> Check:
    """Whether a generation can be pinned, and which."""
    try:
        with parts.generations.pin() as generation:
            manifest = generation.manifest
            detail = {
                "generation": manifest.generation,
                "asAt": manifest.as_at.isoformat(),
                "builtAt": manifest.built_at.isoformat(),
                "documents": manifest.index.documents,
                "engine": manifest.index.engine,
                "rows": {table.table: table.rows for table in manifest.tables},
            }
    except NcrsError as error:
        return Check("generation", False, {"code": error.code})
    return Check("generation", True, {**detail, "problem": parts.generations.serving.problem})


def check_audit(parts: Services) -> Check:
    """Whether the audit log can take a write lock; without it no patient is shown."""
    try:
        with write_connection(parts.audit.engine) as connection:
            sequence = read_head(connection).sequence
    except (SQLAlchemyError, OSError) as error:
        return Check("audit", False, {"error": type(error).__name__})
    return Check("audit", True, {"events": sequence})


def check_ledger(parts: Services) -> Check:
    """Whether the ledger can be read; answers do not depend on it."""
    try:
        counts = {feed: len(parts.ledger.entries(feed)) for feed in FEEDS}
    except (SQLAlchemyError, OSError) as error:
        return Check("ledger", False, {"error": type(error).__name__})
    return Check("ledger", True, {"deliveries": counts})


def check_cluster(parts: Services) -> list[Check]:
    """Whether the search cluster can answer from what is served; nothing for an embedded index."""
    if parts.watch is None:
        return []
    from search_api.cluster.condition import wanted_of

    found = parts.watch.look(wanted_of(served(parts)))
    return [Check("cluster", not found.reason, found.document())]


def served(parts: Services) -> GenerationManifest | None:
    """Manifest of the generation served; None when there is none."""
    try:
        with parts.generations.pin() as generation:
            return generation.manifest
    except NcrsError:
        return None


def readiness(parts: Services) -> list[Check]:
    """What an answer needs: a generation, an audit log that can be written, and the cluster if there is one."""
    return [check_generation(parts), check_audit(parts), *check_cluster(parts)]


def health(parts: Services) -> list[Check]:
    """Every part."""
    return [*readiness(parts), check_ledger(parts)]
