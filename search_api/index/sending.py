"""Sending documents to an index in bulk requests: every item acknowledged, or a fault that says why.

Belongs here: one request after the other, what of it is sent again, the pauses between. Does not belong
here: what a line holds (``opensearch_mapping.py``), how far a build has come (``progress.py``).

Requests go to the loading alias with ``require_alias``: a bulk request to an index that is gone would
otherwise make a new one, without our mapping, out of patients' documents.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from schemas.errors import ClusterUnavailable, PermanentFault
from search_api.cluster.answers import BLOCKED, REFUSED_ACCOUNT
from search_api.cluster.client import Answer, Cluster

REQUEST_SECONDS = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 15.0
# ``timeout``: so long a request waits inside the cluster for a shard without a node; it is sent again anyway.
_PARAMS = {
    "require_alias": "true",
    "timeout": "10s",
    "filter_path": "items.*.status,items.*.error.type,error.type,status",
}
_BLOCKED = "cluster_block_exception"
_GONE = "index_not_found_exception"
_TOO_LARGE = 413
_TOO_MANY = 429


@dataclass(frozen=True)
class Outcome:
    """What became of the lines of one batch."""

    created: int = 0
    deleted: int = 0


class Sender:
    """Sends to one loading alias. One request at a time; the cluster's refusals slow it down."""

    def __init__(self, cluster: Cluster, alias: str, patience: float) -> None:
        self._cluster = cluster
        self._alias = alias
        self._patience = patience

    def send(self, lines: Sequence[bytes]) -> Outcome:
        """Send lines of actions (each with its document) until each of them is acknowledged.

        What the cluster puts off (too busy, a shard away, blocked, a lost connection) is sent again after
        growing pauses. Raises ClusterUnavailable when it takes nothing for as long as the patience lasts,
        PermanentFault at once for what it will never take.
        """
        waiting, created, deleted = list(lines), 0, 0
        pauses = _Pauses(self._patience)
        while waiting:
            try:
                left, outcome, reason = self._once(waiting)
            except ClusterUnavailable as error:
                if error.reason == REFUSED_ACCOUNT:
                    raise
                left, outcome, reason = waiting, Outcome(), error.reason
            created, deleted = created + outcome.created, deleted + outcome.deleted
            if len(left) < len(waiting):
                pauses = _Pauses(self._patience)
            waiting = left
            if waiting:
                pauses.wait(self._alias, reason)
        return Outcome(created, deleted)

    def _once(self, lines: list[bytes]) -> tuple[list[bytes], Outcome, str]:
        """One request: the lines that are put off, what became of the others, and why the last was put off."""
        answer = self._cluster.repeat(
            "POST", f"/{self._alias}/_bulk", b"".join(lines), params=_PARAMS, budget=REQUEST_SECONDS
        )
        if answer.status != 200:
            return self._refused(answer, lines)
        items = answer.body.get("items") if isinstance(answer.body, dict) else None
        if not isinstance(items, list) or len(items) != len(lines):
            raise ClusterUnavailable("The search cluster did not say what became of each document.", reason="broken")
        put_off, created, deleted, kind = [], 0, 0, ""
        for line, item in zip(lines, items, strict=True):
            ((action, result),) = item.items()
            status = int(result["status"])
            if status in (200, 201) or (action == "delete" and status == 404 and "error" not in result):
                created += status == 201
                deleted += action == "delete" and status == 200
            elif _passes(status, _type(result)):
                put_off.append(line)
                kind = _type(result)
            else:
                raise self._never(status, _type(result))
        return put_off, Outcome(created, deleted), _reason(kind)

    def _refused(self, answer: Answer, lines: list[bytes]) -> tuple[list[bytes], Outcome, str]:
        if answer.status == _TOO_LARGE:
            raise PermanentFault(
                "The search cluster refuses bulk requests of this size.", remedy="Lower NCRS_OPENSEARCH_BULK_BYTES."
            )
        kind = _type(answer.body) if isinstance(answer.body, dict) else ""
        if _passes(answer.status, kind):
            return lines, Outcome(), _reason(kind)
        raise self._never(answer.status, kind)

    def _never(self, status: int, kind: str) -> PermanentFault:
        """The type and the status only: the engine's texts quote documents."""
        gone = kind == _GONE
        return PermanentFault(
            f"The search cluster will not take documents into {self._alias}: status {status}, {kind or 'no type'}.",
            remedy="The index was removed while it was filled; build again."
            if gone
            else "See docs/opensearch.md: what each failure looks like.",
        )


class _Pauses:
    """Growing pauses with jitter, until the patience is at its end."""

    def __init__(self, patience: float) -> None:
        self._until = time.monotonic() + patience
        self._patience = patience
        self._pause = FIRST_PAUSE

    def wait(self, alias: str, reason: str) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise ClusterUnavailable(
                f"The search cluster took no document into {alias} for {self._patience:g} seconds ({reason}).",
                remedy="Mend the cluster, then build again: it goes on where it stopped.",
                reason=reason,
            )
        time.sleep(min(self._pause * random.uniform(0.5, 1.0), left))
        self._pause = min(self._pause * 2, LONGEST_PAUSE)


def _passes(status: int, kind: str) -> bool:
    """Whether the same may be taken later: too busy, a shard away, a block that somebody can lift."""
    return status == _TOO_MANY or status >= 500 or kind == _BLOCKED


def _reason(kind: str) -> str:
    """A block is named: somebody must lift it, or make room on the disk. The rest passes by itself, or does not."""
    return BLOCKED if kind == _BLOCKED else "put_off"


def _type(result: Any) -> str:
    error = result.get("error")
    return str(error.get("type", "")) if isinstance(error, dict) else ""
