"""Waiting for the shards of one index: until they are there, or until no more of them is coming.

Belongs here: the health of an index and how far its copies are. Does not belong here: the requests that change an
index (``opensearch_indices.py``), the health of the cluster (``search_api/cluster/condition.py``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from schemas.errors import ClusterUnavailable, PassingFault
from search_api.cluster.answers import REFUSED_ACCOUNT, reason_of, unavailable
from search_api.cluster.client import Cluster

ADMIN_SECONDS = 60.0
HEALTH_STEP = 5


class Health:
    """``patience``: seconds without any progress after which waiting ends."""

    def __init__(self, cluster: Cluster, patience: float) -> None:
        self._cluster = cluster
        self._patience = patience

    def wait_for(self, name: str, status: str) -> None:
        """Wait until the index has this health. The patience begins anew whenever more of its shards are there, or
        more of a copy that is being made.

        Raises PassingFault with what is missing when it does not get there.
        """
        patience, best = self._patience, (-1, -1)
        until = time.monotonic() + patience
        params = {"wait_for_status": status, "timeout": f"{HEALTH_STEP}s"}
        while True:
            body = self._health(name, params)
            if body.get("timed_out") is False:
                return
            reached = (int(body.get("active_shards", -1)), self._copied(name) if body.get("initializing_shards") else 0)
            if reached > best:
                best, until = reached, time.monotonic() + patience
            if time.monotonic() >= until:
                raise PassingFault(
                    f"The index {name} is not {status} after {patience:g} seconds: it is {body.get('status', 'unknown')},"
                    f" {body.get('unassigned_shards', '?')} shards have no node.",
                    remedy="Add nodes or disk, or lower NCRS_OPENSEARCH_REPLICAS; then build again, it goes on from here.",
                )

    def lost(self, name: str) -> bool:
        """Whether a primary shard has no node, and gets none for as long as a build waits."""
        try:
            self.wait_for(name, "yellow")
        except PassingFault:
            return self._health(name, {}).get("status") == "red"
        return False

    def _copied(self, name: str) -> int:
        """How much of the copies under way has arrived: bytes and documents. An account that may not see it could not
        tell a slow copy from one that stands still, and is refused."""
        try:
            answer = self._cluster.call(
                "GET", f"/{name}/_recovery", params={"active_only": "true"}, budget=ADMIN_SECONDS
            )
        except ClusterUnavailable as error:
            if error.reason == REFUSED_ACCOUNT:
                raise
            return 0
        under_way = answer.body.get(name, {}).get("shards", []) if answer.status == 200 else []
        return sum(
            int(each["index"]["size"]["recovered_in_bytes"]) + int(each["translog"]["recovered"]) for each in under_way
        )

    def _health(self, name: str, params: Mapping[str, str]) -> dict[str, Any]:
        try:
            answer = self._cluster.call(
                "GET", f"/_cluster/health/{name}", params=params, budget=HEALTH_STEP + ADMIN_SECONDS
            )
        except ClusterUnavailable:
            time.sleep(1.0)
            return {}
        if answer.status not in (200, 408) or not isinstance(answer.body, dict):
            raise unavailable(reason_of(answer))
        return answer.body
