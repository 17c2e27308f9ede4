"""What will go wrong with the search cluster, and what to do about each finding.

Belongs here: one function per thing looked at in a cluster. Does not belong here: this machine
(``doctor.py``), repairs.

To know the account's rights, one small index of the installation's prefix is made, written, closed to
writing, cloned, and removed with its clone. Nothing else is changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from pipelines.doctor import Finding, Level
from schemas.errors import ClusterUnavailable, ConfigurationError
from search_api.cluster import answers
from search_api.cluster.answers import Answer
from search_api.cluster.client import Cluster
from search_api.cluster.shared import cluster_of
from search_api.settings import Settings

NAME = "cluster"
# The first that can leave the recovery source out (recovery_source_enabled), which halves the index.
LEAST_VERSION = (2, 15)
TRIED = "3.8"
LEAST_HEAP = 1_000_000_000
SECONDS = 20.0
MAKE = "make an index"
_LEVELS: dict[str, Level] = {"green": "ok", "yellow": "warn", "red": "fail"}
_UNITS = {"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40, "pb": 1 << 50}

REMEDIES = {
    answers.UNREACHABLE: "Is it running? Do NCRS_INDEX and the network lead to it? See docs/opensearch.md.",
    answers.TIMED_OUT: "Look at its load and at the network; see docs/opensearch.md.",
    answers.UNTRUSTED: "NCRS_OPENSEARCH_CA must hold the authority that signs its certificates, NCRS_INDEX the host"
    " name inside them; if it wants a client certificate, set NCRS_OPENSEARCH_CERTIFICATE.",
    answers.REFUSED_ACCOUNT: "Mend NCRS_OPENSEARCH_USER and NCRS_OPENSEARCH_PASSWORD, or the AWS account, or give the"
    " account the rights that docs/opensearch.md lists.",
    answers.NOT_READY: "Wait until it has chosen a cluster manager; more than half of those eligible must run.",
    answers.BROKEN: "NCRS_INDEX leads to something that is not OpenSearch, or through something that changes answers.",
}


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding about the cluster of these settings, in order; the first it cannot answer ends the list."""
    try:
        asked = cluster_of(settings)
    except ConfigurationError as error:
        yield Finding(NAME, "fail", error.message, error.remedy)
        return
    looks: tuple[Callable[[Cluster, Settings], Iterator[Finding]], ...] = (version, health, disks, heaps, rights)
    for look in looks:
        try:
            yield from look(asked, settings)
        except ClusterUnavailable as error:
            if error.reason == answers.REFUSED_ACCOUNT and look in (disks, heaps):
                text = f"the account may not see {look.__name__}."
                yield Finding(NAME, "warn", text, "Ask with the builder's account: an API node's needs no such right.")
                continue
            yield Finding(NAME, "fail", f"{error.message} ({error.reason})", REMEDIES.get(error.reason, error.remedy))
            return


def version(cluster: Cluster, _settings: Settings) -> Iterator[Finding]:
    """A version that has what our indexes need."""
    said = cluster.call("GET", "/", budget=SECONDS).body.get("version", {})
    number = str(said.get("number", ""))
    parts = tuple(int(part) for part in number.split(".")[:2] if part.isdigit())
    if said.get("distribution") != "opensearch" or len(parts) < 2:
        yield Finding(NAME, "fail", "what answers is not OpenSearch.", "Set NCRS_INDEX to an OpenSearch cluster.")
    elif parts < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        yield Finding(
            NAME, "fail", f"OpenSearch {number} is older than {least}.", f"Use {TRIED}, with which all is tried."
        )
    elif parts[0] != 3:
        yield Finding(NAME, "warn", f"OpenSearch {number} is not tried.", f"Use {TRIED}, with which all is tried.")
    else:
        yield Finding(NAME, "ok", f"OpenSearch {number} answers; {TRIED} is what is tried")


def health(cluster: Cluster, settings: Settings) -> Iterator[Finding]:
    """Its state, and whether it has nodes enough for the copies that the settings promise."""
    said = cluster.call("GET", "/_cluster/health", budget=SECONDS).body
    status, unassigned = said["status"], said["unassigned_shards"]
    text = f"{status}, {said['number_of_nodes']} nodes, {unassigned} shards without a node"
    level = _LEVELS.get(status, "fail")
    if level == "ok":
        yield Finding(NAME, "ok", text)
    else:
        yield Finding(NAME, level, f"{text}.", "GET /_cluster/allocation/explain says why a shard has no node.")
    wanted, nodes = settings.opensearch_replicas + 1, said["number_of_data_nodes"]
    if nodes < wanted:
        text = (
            f"each shard is promised {wanted} nodes and there are {nodes} that hold data; a build would wait for ever."
        )
        yield Finding(NAME, "fail", text, f"Add nodes, or set NCRS_OPENSEARCH_REPLICAS to {nodes - 1}.")
    elif settings.opensearch_replicas == 0:
        text = "indexes have one copy only, so the loss of a node is the loss of the index."
        yield Finding(NAME, "warn", text, "Run three nodes, and set NCRS_OPENSEARCH_REPLICAS to 1.")


def disks(cluster: Cluster, _settings: Settings) -> Iterator[Finding]:
    """How near each disk is to the marks at which the cluster places no more shards, moves them, or stops writing."""
    params = {"include_defaults": "true", "filter_path": "*.cluster.routing.allocation.disk"}
    marks = _watermarks(cluster.call("GET", "/_cluster/settings", params=params, budget=SECONDS).body)
    low, flood = marks.get("low", "85%"), marks.get("flood_stage", "95%")
    for name, node in _nodes(cluster, "fs", "nodes.*.fs.total"):
        total, free = node["fs"]["total"]["total_in_bytes"], node["fs"]["total"]["available_in_bytes"]
        text = f"disk of {name}: {free / 1e9:.1f} of {total / 1e9:.1f} GB free"
        if free < must_be_free(flood, total):
            remedy = "Free space: the cluster has blocked writing, and a build cannot go on."
            yield Finding(NAME, "fail", f"{text}, beyond the flood mark ({flood}).", remedy)
        elif free < must_be_free(low, total):
            remedy = "Free space or add a node: no new index is placed there."
            yield Finding(NAME, "warn", f"{text}, beyond the low mark ({low}).", remedy)
        else:
            yield Finding(NAME, "ok", text)


def heaps(cluster: Cluster, _settings: Settings) -> Iterator[Finding]:
    """The heap of each node."""
    for name, node in _nodes(cluster, "jvm", "nodes.*.jvm.mem.heap_max_in_bytes"):
        size = node["jvm"]["mem"]["heap_max_in_bytes"]
        text = f"heap of {name}: {size / 1e9:.1f} GB"
        if size < LEAST_HEAP:
            yield Finding(NAME, "warn", f"{text}, enough to try things.", "Give it half of its memory, at most 31 GB.")
        else:
            yield Finding(NAME, "ok", text)


def rights(cluster: Cluster, settings: Settings) -> Iterator[Finding]:
    """Whether the account may do what a build does, shown by doing it."""
    name = f"{settings.opensearch_prefix}ncrs-doctor-{uuid4().hex[:12]}"
    copy = f"{name}-clone"
    try:
        failed = _first_refused(cluster, name, copy)
    finally:
        left = [each for each in (copy, name) if _remove(cluster, each) not in (200, 404)]
    remedy = f"Give the account the rights on {settings.opensearch_prefix}* that docs/opensearch.md lists."
    if failed and failed == (MAKE, answers.REFUSED_ACCOUNT):
        text = "the account may not make an index: right for an API node, and nothing can be built with it."
        yield Finding(NAME, "warn", text, f"On a builder: {remedy[0].lower()}{remedy[1:]}")
    elif failed:
        step, why = failed
        yield Finding(NAME, "fail", f"the account may not {step} ({why}).", remedy)
    elif left:
        yield Finding(
            NAME, "fail", f"the account may not remove an index; {', '.join(left)} stays.", "Remove it by hand."
        )
    else:
        yield Finding(NAME, "ok", "the account may make, fill, close, clone, search and remove an index")


def must_be_free(mark: str, total: int) -> float:
    """Bytes a watermark leaves free: ``85%`` and ``0.85`` are what may be used, ``10gb`` is what stays free."""
    if mark.endswith("%"):
        return total * (1 - float(mark[:-1]) / 100)
    sized = re.fullmatch(r"([0-9.]+)([kmgtp]?b)", mark)
    if sized:
        return float(sized[1]) * _UNITS[sized[2]]
    return total * (1 - float(mark))


def _watermarks(settings: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind in ("defaults", "persistent", "transient"):
        disk = settings.get(kind, {}).get("cluster", {}).get("routing", {}).get("allocation", {}).get("disk", {})
        if isinstance(disk.get("watermark"), dict):
            found |= disk["watermark"]
    return found


def _nodes(cluster: Cluster, part: str, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and figures of each node that holds data and gives them."""
    params = {"filter_path": f"nodes.*.name,{path}"}
    said = cluster.call("GET", f"/_nodes/data:true/stats/{part}", params=params, budget=SECONDS).body
    return ((node["name"], node) for node in said.get("nodes", {}).values() if part in node)


def _first_refused(cluster: Cluster, name: str, copy: str) -> tuple[str, str] | None:
    """The first step a build needs that is refused, with the reason's code."""
    alone = {"index.number_of_shards": 1, "index.number_of_replicas": 0}
    lean = {"dynamic": "strict", "_source": {"enabled": False, "recovery_source_enabled": False}}
    steps: tuple[tuple[str, str, str, Any], ...] = (
        (MAKE, "PUT", f"/{name}", {"settings": alone, "mappings": lean}),
        ("write", "POST", f"/{name}/_bulk", b'{"index":{"_id":"1"}}\n{}\n'),
        ("refresh", "POST", f"/{name}/_refresh", None),
        ("flush", "POST", f"/{name}/_flush", None),
        ("merge", "POST", f"/{name}/_forcemerge", None),
        ("change settings", "PUT", f"/{name}/_settings", {"index.refresh_interval": "-1"}),
        ("close an index to writing", "PUT", f"/{name}/_block/write", None),
        ("clone an index", "PUT", f"/{name}/_clone/{copy}", {"settings": {"index.blocks.write": None}}),
        ("change a mapping", "PUT", f"/{copy}/_mapping", {"_meta": {"tried": True}}),
        ("give an alias", "POST", "/_aliases", {"actions": [{"add": {"index": copy, "alias": f"{copy}-a"}}]}),
        ("read settings", "GET", f"/{copy}", None),
        ("read statistics", "GET", f"/{copy}/_stats/segments", None),
        ("see how far copies are", "GET", f"/{copy}/_recovery", None),
        ("search", "POST", f"/{name}/_search", {"size": 0}),
        ("read a document", "POST", f"/{name}/_mget", {"ids": ["1"]}),
    )
    for step, method, path, body in steps:
        why = _refused(cluster, method, path, body)
        if why:
            return step, why
    return None


def _refused(cluster: Cluster, method: str, path: str, body: Any) -> str:
    try:
        answer = cluster.call(method, path, body, budget=SECONDS)
    except ClusterUnavailable as error:
        if error.reason != answers.REFUSED_ACCOUNT:
            raise
        return error.reason
    item = _item_status(answer)
    return "" if answer.status < 300 and item < 300 else answers.reason_of(answer)


def _item_status(answer: Answer) -> int:
    """The worst status inside the answer of a bulk request, which is itself always 200."""
    items = answer.body.get("items", ()) if isinstance(answer.body, dict) else ()
    return max((int(each["index"]["status"]) for each in items), default=200)


def _remove(cluster: Cluster, name: str) -> int:
    """The status of the removal; 0 where the cluster refuses or cannot be asked."""
    try:
        return cluster.call("DELETE", f"/{name}", budget=SECONDS).status
    except ClusterUnavailable:
        return 0
