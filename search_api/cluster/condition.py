"""How a cluster is: reachable, in which state, and whether it can answer from the indexes that are served.

Belongs here: the looks behind ``/readyz``, ``/healthz`` and freshness. Does not belong here: how they are
shown (``ops/health.py``), what an operator's cluster ought to be like (``pipelines/doctor_cluster.py``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.errors import ClusterUnavailable
from schemas.generation import GenerationManifest
from search_api.cluster.answers import NOT_FOUND, WRONG_INDEX, unavailable
from search_api.cluster.client import Cluster

# Probes come from several sides; the cluster is asked once for all of them in this time.
FRESH_S = 1.0
LOOK_S = 0.5


@dataclass(frozen=True)
class Wanted:
    """An index that is served: its name and uuid."""

    name: str
    uuid: str


@dataclass(frozen=True)
class Condition:
    """What was found. ``reason`` is a code of ``answers.py``, empty when the cluster can answer.

    ``reached`` is False when it could not even be asked, and then ``since`` says since when. ``manager``: whether
    the node that was asked knows a cluster manager. Without one questions are answered and nothing can be built.
    """

    reason: str
    reached: bool
    since: datetime | None
    status: str | None
    nodes: int | None
    manager: bool | None
    unassigned_shards: int | None
    indexes: tuple[Wanted, ...]

    def document(self) -> dict[str, Any]:
        """As JSON values; names and codes only."""
        return {
            "state": "reachable" if self.reached else "unreachable",
            "since": self.since.isoformat() if self.since else None,
            "reason": self.reason or None,
            "status": self.status,
            "nodes": self.nodes,
            "clusterManager": self.manager,
            "unassignedShards": self.unassigned_shards,
            "indexes": [{"index": each.name, "uuid": each.uuid} for each in self.indexes],
        }


def wanted_of(manifest: GenerationManifest | None) -> tuple[Wanted, ...]:
    """The indexes of a generation that are in the cluster."""
    parts = (manifest.index, manifest.records) if manifest else ()
    return tuple(Wanted(part.location, part.uuid) for part in parts if part and part.engine == "opensearch")


class Watch:
    """Looks at one cluster, at most once in ``FRESH_S`` however many ask."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._last: tuple[float, tuple[Wanted, ...], Condition] | None = None

    def look(self, wanted: Sequence[Wanted]) -> Condition:
        """How the cluster is now, or was within the last second."""
        asked = tuple(wanted)
        with self._lock:
            if self._last and self._last[1] == asked and time.monotonic() - self._last[0] < FRESH_S:
                return self._last[2]
            found = self._look(asked)
            self._last = (time.monotonic(), asked, found)
            return found

    def _look(self, wanted: tuple[Wanted, ...]) -> Condition:
        found: list[Wanted] = []
        health: dict[str, Any] = {}
        reason = ""
        try:
            health = self._health()
            found = [self._present(each.name) for each in wanted]
            for each, there in zip(wanted, found, strict=True):
                self._answers(each, there)
        except ClusterUnavailable as error:
            reason = error.reason
        return Condition(
            reason=reason,
            reached=bool(health),
            since=None if health else self._cluster.silent_since,
            status=health.get("status"),
            nodes=health.get("number_of_nodes"),
            manager=health.get("discovered_cluster_manager"),
            unassigned_shards=health.get("unassigned_shards"),
            indexes=tuple(found),
        )

    def _health(self) -> dict[str, Any]:
        """As the node that is asked sees it: a cluster without a manager still answers questions, so is not down."""
        health: dict[str, Any] = self._cluster.call("GET", "/_cluster/health?local=true", budget=LOOK_S).body
        return health

    def _present(self, name: str) -> Wanted:
        answer = self._cluster.call("GET", f"/{name}/_settings/index.uuid?local=true", budget=LOOK_S)
        if answer.status != 200:
            raise unavailable(NOT_FOUND)
        try:
            return Wanted(name, answer.body[name]["settings"]["index"]["uuid"])
        except (KeyError, TypeError):
            raise unavailable(WRONG_INDEX) from None

    def _answers(self, wanted: Wanted, there: Wanted) -> None:
        """The same index as was published, and every shard of it answers a question that costs nothing."""
        if wanted.uuid and wanted.uuid != there.uuid:
            raise unavailable(WRONG_INDEX)
        self._cluster.search(wanted.name, {"size": 0, "track_total_hits": False}, budget=LOOK_S)
