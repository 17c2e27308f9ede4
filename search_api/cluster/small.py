"""Small documents in a small index of the cluster: read and written by id, each write on disk before it counts.

Belongs here: one document at a time, and making such an index. Does not belong here: what is in the
documents (``catalogue.py``, ``leases.py``), indexes of a generation.

Reading by id is realtime: what was acknowledged is read by the next request, without a refresh.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from schemas.errors import GenerationError, Refused
from search_api.cluster.answers import Answer, reason_of, unavailable
from search_api.cluster.client import Cluster

PRODUCT = "ncrs-replica"
_PAGE = 1000
_MAPPING = {
    "dynamic": "strict",
    "properties": {
        "kind": {"type": "keyword"},
        "generation": {"type": "keyword"},
        "body": {"type": "object", "enabled": False},
    },
}
_FIELDS = frozenset({"kind", "generation", "body"})
# One shard is plenty; a copy on a second node as soon as there is one.
_SETTINGS = {"number_of_shards": 1, "auto_expand_replicas": "0-1"}


@dataclass(frozen=True)
class Stored:
    """A document as it is kept, with what tells its versions apart."""

    id: str
    kind: str
    generation: str
    body: dict[str, Any]
    version: tuple[int, int]


class SmallIndex:
    """One such index. Raises ClusterUnavailable when the cluster cannot be asked or refuses.

    ``patience``: seconds that a write, or a read of a large document, may take; default the search deadline.
    """

    def __init__(self, cluster: Cluster, name: str, patience: float | None = None) -> None:
        self._cluster = cluster
        self._patience = patience
        self.name = name

    def make(self, content: str, home: str, *, fleeting: bool = False) -> None:
        """Make the index for this installation. Raises Refused when it is another one's.

        ``fleeting``: its documents are written again and again. Where the index was lost, the first of them made it
        anew, as the cluster makes an index for any document; that one is replaced.
        """
        meta = {"product": PRODUCT, "content": content, "home": home}
        body = {"settings": _SETTINGS, "mappings": {**_MAPPING, "_meta": meta}}
        answer = self._cluster.call("PUT", f"/{self.name}", body, budget=self._patience)
        if answer.status != 400 or (mappings := self._mappings()) is None:
            _accept(answer)
        elif fleeting and "_meta" not in mappings and set(mappings.get("properties", ())) <= _FIELDS:
            _accept(self._cluster.repeat("DELETE", f"/{self.name}", budget=self._patience))
            _accept(self._cluster.call("PUT", f"/{self.name}", body, budget=self._patience))
        elif mappings.get("_meta") != meta:
            raise Refused(
                f"The index {self.name} belongs to another installation.",
                remedy="Give each installation on a cluster a prefix of its own: NCRS_OPENSEARCH_PREFIX.",
            )

    def meta(self) -> dict[str, Any] | None:
        """What the index says of itself, or None when it is not there."""
        mappings = self._mappings()
        if mappings is None:
            return None
        found = mappings.get("_meta")
        return dict(found) if isinstance(found, dict) else {}

    def _mappings(self) -> dict[str, Any] | None:
        answer = self._cluster.call("GET", f"/{self.name}/_mapping")
        if answer.status == 404:
            return None
        _accept(answer)
        return dict(answer.body.get(self.name, {}).get("mappings", {}))

    def get(self, document: str, *, large: bool = False) -> Stored | None:
        """A document, or None. Raises GenerationError when the index is not there: nothing can be said then."""
        budget = self._patience if large else None
        answer = self._cluster.call("GET", f"/{self.name}/_doc/{quote(document, safe='')}", budget=budget)
        if answer.status == 404 and isinstance(answer.body, dict) and answer.body.get("found") is False:
            return None
        if answer.status == 404:
            raise GenerationError(
                f"The cluster has no index {self.name}.",
                remedy="Publish a generation into this cluster, or check NCRS_INDEX and NCRS_OPENSEARCH_PREFIX.",
            )
        _accept(answer)
        return _stored(answer.body)

    def put(self, document: Stored, *, refresh: bool = False) -> None:
        """Write, whatever was there."""
        self._write("PUT", document.id, _source(document), {"refresh": "true"} if refresh else {})

    def replace(self, document: Stored, before: Stored | None) -> bool:
        """Write only if what is there is still ``before`` (None: nothing); whether it was."""
        if before is None:
            params = {"op_type": "create"}
        else:
            params = {"if_seq_no": str(before.version[0]), "if_primary_term": str(before.version[1])}
        path = f"/{self.name}/_doc/{quote(document.id, safe='')}"
        answer = self._cluster.call("PUT", path, _source(document), params=params, budget=self._patience)
        if answer.status == 409:
            return False
        _accept(answer)
        return True

    def remove(self, document: str, *, refresh: bool = False) -> None:
        """Delete; harmless when it is gone already."""
        self._write("DELETE", document, None, {"refresh": "true"} if refresh else {})

    def refresh(self) -> None:
        """Make every write visible to ``of_kind``."""
        _accept(self._cluster.repeat("POST", f"/{self.name}/_refresh", budget=self._patience))

    def of_kind(self, kind: str, generation: str | None = None, *, bodies: bool = True) -> Iterator[Stored]:
        """Documents of a kind, or those of one generation, as of the last refresh; by generation, the first thousand."""
        fields = ["kind", "generation", *(["body"] if bodies else [])]
        terms = {"kind": kind, **({"generation": generation} if generation else {})}
        asked = {
            "query": {"bool": {"filter": [{"term": {name: value}} for name, value in terms.items()]}},
            "_source": fields,
            "sort": ["generation"],
            "size": _PAGE,
            "seq_no_primary_term": True,
        }
        for hit in self._cluster.search(self.name, asked)["hits"]["hits"]:
            yield _stored(hit)

    def _write(self, method: str, document: str, source: Any, params: dict[str, str]) -> None:
        path = f"/{self.name}/_doc/{quote(document, safe='')}"
        answer = self._cluster.repeat(method, path, source, params=params, budget=self._patience)
        if not (method == "DELETE" and answer.status == 404):
            _accept(answer)


def _accept(answer: Answer) -> None:
    if answer.status >= 300:
        raise unavailable(reason_of(answer))


def _source(document: Stored) -> dict[str, Any]:
    return {"kind": document.kind, "generation": document.generation, "body": document.body}


def _stored(found: dict[str, Any]) -> Stored:
    source = found["_source"]
    version = (int(found["_seq_no"]), int(found["_primary_term"]))
    return Stored(found["_id"], source["kind"], source["generation"], source.get("body") or {}, version)
