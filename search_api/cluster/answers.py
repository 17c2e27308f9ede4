"""Whether a search answer is whole: one that is not must never be shown.

Belongs here: what an answer must say of itself before its hits count. Does not belong here: asking
(``client.py``), what the hits mean, the proof by sentinel (the index engine's).

OpenSearch answers 200 with fewer hits when a shard failed, was skipped or ran out of time (promises.md
R15; its issue 15193), so the status alone says nothing. Each refusal is a code, for logs and metrics;
the server's texts quote questions and documents, so none is passed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.errors import ClusterUnavailable

# Why an answer was refused. The values are labels of a metric and are documented in docs/opensearch.md.
TIMED_OUT = "timed_out"
FAILED_SHARDS = "failed_shards"
SKIPPED_SHARDS = "skipped_shards"
PARTIAL = "partial"
WRONG_INDEX = "wrong_index"
NOT_FOUND = "not_found"
TOO_BUSY = "too_busy"
UNREACHABLE = "unreachable"
REFUSED_ACCOUNT = "refused_account"
REFUSED_REQUEST = "refused_request"
UNTRUSTED = "untrusted"
BLOCKED = "blocked"
NOT_READY = "not_ready"
BROKEN = "broken"

_SAYS = {
    TIMED_OUT: "did not answer in time",
    FAILED_SHARDS: "could not ask every shard",
    SKIPPED_SHARDS: "left shards out",
    PARTIAL: "answered for a part of the index only",
    WRONG_INDEX: "answered for another index than was asked",
    NOT_FOUND: "does not have the index, or it is closed",
    TOO_BUSY: "is too busy",
    UNREACHABLE: "cannot be reached",
    REFUSED_ACCOUNT: "refuses the account",
    UNTRUSTED: "has a certificate that is not trusted, or does not trust ours",
    BLOCKED: "blocks the index",
    NOT_READY: "has no cluster manager, or has not recovered its state",
    REFUSED_REQUEST: "refused the question",
    BROKEN: "gave an answer that cannot be read",
}

# Types of OpenSearch's errors, as its 4xx and 5xx answers name them.
_BY_TYPE = {
    "index_not_found_exception": NOT_FOUND,
    "index_closed_exception": NOT_FOUND,
    "task_cancelled_exception": TIMED_OUT,
    "circuit_breaking_exception": TOO_BUSY,
    "opensearch_rejected_execution_exception": TOO_BUSY,
    "rejected_execution_exception": TOO_BUSY,
    "no_shard_available_action_exception": FAILED_SHARDS,
    "cluster_manager_not_discovered_exception": NOT_READY,
    "security_exception": REFUSED_ACCOUNT,
}
# The second one: every node's disk is too full for another index, or somebody forbade making any.
_BLOCKS = frozenset({"cluster_block_exception", "index_create_block_exception"})
_TIME_EXCEEDED = ("query_phase_execution_exception", "Time exceeded")
_BY_STATUS = {401: REFUSED_ACCOUNT, 403: REFUSED_ACCOUNT, 404: NOT_FOUND, 429: TOO_BUSY}
# What something in front of the cluster says when no node answers it; a node of its own accord names an error.
NO_NODE = frozenset({502, 503, 504})
# Statuses that a proxy or the security plugin may give with any text, and that say enough. With every other one a
# text that is not JSON is no word of a node: a "404 not found" of a balancer is no index that is missing.
_WORDLESS = frozenset({401, 403, 413, 429})
# What became of a request without an answer (connection.py).
_BY_FAULT = {
    "not_sent": UNREACHABLE,
    "lost": UNREACHABLE,
    "late": TIMED_OUT,
    "untrusted": UNTRUSTED,
    "account": REFUSED_ACCOUNT,
}


@dataclass(frozen=True)
class Answer:
    """A status and the body, parsed; None for a body that is not JSON."""

    status: int
    body: Any


def unavailable(reason: str) -> ClusterUnavailable:
    """The fault of this reason: one of the codes above."""
    return ClusterUnavailable(f"The search cluster {_SAYS[reason]}.", reason=reason)


def answer_of(status: int, body: bytes, fault: str) -> Answer:
    """The answer of one request. Raises ClusterUnavailable when there is none, or one that is no answer."""
    if not status:
        raise unavailable(_BY_FAULT[fault])
    answer = Answer(status, _parsed(body))
    if status in NO_NODE and _error(answer.body) is None:
        raise unavailable(UNREACHABLE)
    if 300 <= status < 400 or (status not in _WORDLESS and body and not isinstance(answer.body, dict | list)):
        raise unavailable(BROKEN)
    if status >= 500 or status == 401 or (status == 403 and reason_of(answer) == REFUSED_ACCOUNT):
        raise unavailable(reason_of(answer))
    return answer


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        return None


def whole_search(answer: Answer, index: str) -> dict[str, Any]:
    """The body of a search of one concrete index, when every shard answered in full.

    Raises ClusterUnavailable with the reason otherwise.
    """
    if answer.status != 200:
        raise unavailable(reason_of(answer))
    body = answer.body
    reason = _not_whole(body) if isinstance(body, dict) else BROKEN
    reason = reason or _hits_amiss(body["hits"]["hits"], index)
    if reason:
        raise unavailable(reason)
    return dict(body)


def reason_of(answer: Answer) -> str:
    """Why an answer other than 200 is none, by the types it names, else by its status."""
    named = set(_types(answer.body))
    kinds = {kind for kind, _ in named}
    if kinds & _BLOCKS:
        return NOT_READY if answer.status == 503 else BLOCKED
    if _TIME_EXCEEDED in named:
        return TIMED_OUT
    known = next((reason for kind, reason in _BY_TYPE.items() if kind in kinds), None)
    fallback = REFUSED_REQUEST if 400 <= answer.status < 500 else FAILED_SHARDS
    return known or _BY_STATUS.get(answer.status, fallback)


def _not_whole(body: dict[str, Any]) -> str | None:
    shards, hits = body.get("_shards"), body.get("hits")
    if not isinstance(shards, dict) or not isinstance(hits, dict) or not isinstance(hits.get("hits"), list):
        return BROKEN
    counts: list[Any] = [shards.get(name) for name in ("total", "successful", "skipped", "failed")]
    if any(type(count) is not int for count in counts) or type(body.get("timed_out")) is not bool:
        return BROKEN
    total, successful, skipped, failed = counts
    amiss = (
        (body["timed_out"], TIMED_OUT),
        (failed != 0, FAILED_SHARDS),
        (skipped != 0, SKIPPED_SHARDS),
        (total < 1 or successful != total, PARTIAL),
        (body.get("terminated_early", False) is not False, PARTIAL),
    )
    return next((reason for wrong, reason in amiss if wrong), None)


def _hits_amiss(hits: list[Any], index: str) -> str | None:
    for hit in hits:
        if not isinstance(hit, dict):
            return BROKEN
        if hit.get("_index") != index:
            return WRONG_INDEX
    return None


def _error(body: Any) -> Any:
    return body.get("error") if isinstance(body, dict) else None


def _types(body: Any) -> Iterator[tuple[str, str]]:
    """Type and reason of the error and of the failures below it; a reason is compared, never passed on."""
    waiting = [_error(body)]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict):
            continue
        if isinstance(part.get("type"), str):
            yield part["type"], str(part.get("reason"))
        for name in ("root_cause", "failed_shards"):
            below = part.get(name)
            waiting.extend(below if isinstance(below, list) else ())
        waiting.extend((part.get("reason"), part.get("caused_by")))
