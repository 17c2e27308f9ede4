"""Leases in the cluster: which generations are being read by nodes that hold no lock on a file.

Belongs here: taking, renewing and giving back a lease, and the judgement whether a generation is in
use. Does not belong here: removing anything (``assets/published/retention.py``), the locks of the
folder (``generation_files.py``).

No clock of a node is believed. A node writes its lease again and again; whoever judges remembers, by
its own clock, since when it has seen the same writing. A lease counts as given up when the judge has
seen it unchanged for ``opensearch_lease_seconds``, so a node that died keeps its generation until the
second look, and clocks that differ do no harm.

A lease that cannot be written does not stop the node from answering: it is tried again at each look.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from schemas.errors import GenerationError, PassingFault
from search_api import logging
from search_api.cluster.client import Cluster
from search_api.cluster.small import SmallIndex, Stored
from search_api.settings import Settings

NAME = "ncrs-leases"
_LEASE, _JUDGED = "lease", "judged"
# A lease is written this many times within the span after which it counts as given up.
_RENEWALS = 4
_PATIENCE = 30.0


def leases_index(cluster: Cluster, settings: Settings, patience: float | None = None) -> SmallIndex:
    """The index of leases: one of its own, so that a node needs no right to write any other."""
    return SmallIndex(cluster, settings.opensearch_prefix + NAME, patience)


class ClusterLease:
    """A document that says which generation a node reads; ``node`` is a name no other process has."""

    def __init__(self, cluster: Cluster, settings: Settings, node: str, generation: str) -> None:
        self._index = leases_index(cluster, settings)
        self._document = Stored(f"{_LEASE}:{generation}:{node}", _LEASE, generation, {"node": node}, (0, 0))
        self._every = settings.opensearch_lease_seconds / _RENEWALS
        self._next = 0.0
        self._failing = False
        self._released = False
        self.renew()

    def renew(self) -> None:
        """Write it again when it is time."""
        if self._released or time.monotonic() < self._next:
            return
        try:
            self._index.put(self._document)
        except (PassingFault, GenerationError) as error:
            self._say(error.code)
        else:
            self._failing = False
            self._next = time.monotonic() + self._every

    def release(self) -> None:
        """Take it back; one that cannot be taken back runs out."""
        if self._released:
            return
        self._released = True
        try:
            self._index.remove(self._document.id)
        except (PassingFault, GenerationError) as error:
            self._say(error.code)

    def _say(self, code: str) -> None:
        if not self._failing:
            logging.event("GEN006", "warning", error=code, generation=self._document.generation)
        self._failing = True


def in_use(cluster: Cluster, settings: Settings, generation: str) -> bool:
    """Whether a node reads this generation, as far as is known: in doubt, yes.

    For the builder alone: it writes down what it saw, and takes out leases that were given up.
    """
    index = leases_index(cluster, settings, _PATIENCE)
    index.refresh()
    leases = list(index.of_kind(_LEASE, generation))
    _forget_judgements(index, generation, {lease.id for lease in leases})
    judged = [_given_up(index, lease, settings.opensearch_lease_seconds) for lease in leases]
    return not all(judged)


def _forget_judgements(index: SmallIndex, generation: str, leases: set[str]) -> None:
    """Take out what was seen of leases that were given back since."""
    for found in index.of_kind(_JUDGED, generation):
        if found.id.removeprefix(f"{_JUDGED}:") not in leases:
            index.remove(found.id)


def _given_up(index: SmallIndex, lease: Stored, seconds: float) -> bool:
    now = datetime.now(UTC)
    judged = Stored(f"{_JUDGED}:{lease.id}", _JUDGED, lease.generation, {}, (0, 0))
    before = index.get(judged.id)
    if before is not None and before.body.get("seen") == list(lease.version):
        since = datetime.fromisoformat(before.body["since"])
        if since <= now < since + timedelta(seconds=seconds):
            return False
        if since <= now:
            index.remove(lease.id)
            index.remove(judged.id)
            return True
    body = {"seen": list(lease.version), "since": now.isoformat()}
    index.put(Stored(judged.id, _JUDGED, lease.generation, body, (0, 0)))
    return False
