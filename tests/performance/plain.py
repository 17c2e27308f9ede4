"""OpenSearch as most people use it: analysed text, ``match`` with ``fuzziness: AUTO``, filters on the rest.

Belongs here: that index, loaded and asked as well as its own way allows. Does not belong here: our engine,
measuring. What it is compared with, and on what terms, stands on the page (``page.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import orjson
import polars as pl

from search_api.cluster.client import Cluster
from search_api.matching.questions import Question

SHOWN = 50
PATIENCE_S = 600.0
_SLICE = 20_000
_IN_FLIGHT = 2

_TEXT, _WORD = {"type": "text"}, {"type": "keyword"}
INDEX: dict[str, Any] = {
    "settings": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"},
    "mappings": {
        "dynamic": "strict",
        "properties": {
            "nhs": {"type": "long"},
            "family": _TEXT,
            "given": _TEXT,
            "birth_date": _WORD,
            "gender": _WORD,
            "postcode": _WORD,
        },
    },
}


def load(cluster: Cluster, name: str, frame: pl.DataFrame, bulk_bytes: int) -> None:
    """Make the index of these people, refreshed and merged to one segment."""
    _call(cluster, "PUT", f"/{name}", INDEX)
    with ThreadPoolExecutor(_IN_FLIGHT) as senders:
        waiting: list[Future[None]] = []
        for body in _bodies(frame, bulk_bytes):
            if len(waiting) == _IN_FLIGHT:
                waiting.pop(0).result()
            waiting.append(senders.submit(_bulk, cluster, name, body))
        for each in waiting:
            each.result()
    _call(cluster, "POST", f"/{name}/_refresh")
    _call(cluster, "POST", f"/{name}/_forcemerge", max_num_segments="1")
    _call(cluster, "POST", f"/{name}/_refresh")


class Plain:
    """Asks such an index; ``filters`` are the questions' parts that must agree exactly."""

    def __init__(self, cluster: Cluster, index: str, filters: tuple[str, ...]) -> None:
        self._cluster = cluster
        self._index = index
        self._filters = filters

    def ask(self, question: Question) -> list[int]:
        """At most 50 NHS numbers, best first."""
        found = self._cluster.search(self._index, self.body(question))
        return [hit["fields"]["nhs"][0] for hit in found["hits"]["hits"]]

    def body(self, question: Question) -> dict[str, Any]:
        """The request: names by ``match``, the rest by ``term``."""
        birth = question.birth.single if question.birth else None
        asked = {"birth_date": birth, "gender": question.gender, "postcode": question.postcode}
        exact = {**asked, "postcode": _postcode(question.postcode) if question.postcode else None}
        names = (("family", question.family), ("given", " ".join(question.given)))
        return {
            "size": SHOWN,
            "_source": False,
            "stored_fields": "_none_",
            "docvalue_fields": ["nhs"],
            "track_total_hits": False,
            "query": {
                "bool": {
                    "must": [{"match": {name: {"query": text, "fuzziness": "AUTO"}}} for name, text in names if text],
                    "filter": [{"term": {name: exact[name]}} for name in self._filters if exact[name]],
                }
            },
        }


def _bodies(frame: pl.DataFrame, bulk_bytes: int) -> Iterator[bytes]:
    lines: list[bytes] = []
    size = 0
    for start in range(0, frame.height, _SLICE):
        for row in frame.slice(start, _SLICE).to_dicts():
            lines += [b'{"index":{"_id":"%d"}}' % row["nhs_number"], orjson.dumps(_document(row))]
            size += len(lines[-1]) + len(lines[-2])
            if size > bulk_bytes:
                yield b"\n".join(lines) + b"\n"
                lines, size = [], 0
    if lines:
        yield b"\n".join(lines) + b"\n"


def _document(row: dict[str, Any]) -> dict[str, Any]:
    names = [name for name in row["names"] or [] if name["state"] != "hidden"]
    places = [place["postcode"] for place in row["addresses"] or [] if place["state"] != "hidden" and place["postcode"]]
    return {
        "nhs": row["nhs_number"],
        "family": [name["family"] for name in names if name["family"]],
        "given": [" ".join(filter(None, name["given"] or [])) for name in names],
        "birth_date": row["birth_date"],
        "gender": row["gender"],
        "postcode": [_postcode(text) for text in places] if row["security"] == "U" else [],
    }


def _postcode(text: str) -> str:
    return "".join(text.upper().split())


def _bulk(cluster: Cluster, name: str, body: bytes) -> None:
    if _call(cluster, "POST", f"/{name}/_bulk", body)["errors"]:
        raise RuntimeError("The plain index refused documents, so its figures mean nothing.")


def _call(cluster: Cluster, method: str, path: str, body: Any = None, **params: str) -> Any:
    answer = cluster.call(method, path, body, params=params, budget=PATIENCE_S)
    if answer.status != 200:
        raise RuntimeError(f"{method} {path} was answered {answer.status}.")
    return answer.body
