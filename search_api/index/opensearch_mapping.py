"""The OpenSearch index: its mapping and settings, what it says of itself, and the form of a document in it.

Belongs here: fields, the digest that tells one release's fields from another's, the sentinel. Does not
belong here: words (``words.py``), requests.

``_source`` is off: nothing reads it, and it would double the index. The payload and the fingerprint are read
from doc values, the NHS number from the values a search is sorted by.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import orjson

from search_api.index.provider import SearchDocument
from search_api.index.words import FINGERPRINT, PART_BITS, PART_MASK, words_of

PRODUCT = "ncrs-replica"
# Lucene refuses a term of more than 32,766 bytes; longer words are cut alike when indexed and when asked.
LONGEST_WORD = 8_000
# Most hits of one request: the candidates of a question, and a page of a non-fuzzy search.
WINDOW = 50_000
_PART = {"type": "integer", "index": False}
_MAPPING: dict[str, Any] = {
    "dynamic": "strict",
    "_source": {"enabled": False, "recovery_source_enabled": False},
    "properties": {
        "nhs": {"type": "long"},
        "birth": {"type": "integer"},
        **dict.fromkeys(FINGERPRINT, _PART),
        "keys": {"type": "keyword", "doc_values": False, "norms": False, "index_options": "docs"},
        "payload": {"type": "binary", "doc_values": True},
    },
}


@dataclass(frozen=True)
class Meta:
    """What an index says of itself (``_meta``); whoever reads it knows whether it may be used, and for what.

    ``home``: the installation it belongs to. ``location``: its own name, so that a bare copy under another
    name is not taken for whole. ``build``: what it was made from and with. ``token``: what its sentinels
    hold. ``routes``: the routing that leads to each shard. ``finished``: written when all else is done.
    """

    home: str
    location: str
    build: str
    token: str
    routes: tuple[str, ...] = ()
    finished: bool = False
    schema: str = ""
    product: str = PRODUCT

    def as_mapping(self) -> dict[str, Any]:
        """The value of ``_meta``."""
        return {**asdict(self), "routes": list(self.routes), "schema": schema_digest()}

    @classmethod
    def read(cls, raw: Any) -> Meta | None:
        """What an index says of itself; None when it is none of ours."""
        if not isinstance(raw, dict) or raw.get("product") != PRODUCT:
            return None
        try:
            return cls(**{**raw, "routes": tuple(raw.get("routes", ()))})
        except TypeError:
            # Of a release that says more or less: its fields are compared by what both say.
            return cls(str(raw.get("home")), str(raw.get("location")), "", "", schema=f"another than {schema_digest()}")


def schema_digest() -> str:
    """Tells the fields of one release from those of another."""
    return sha256(orjson.dumps(_MAPPING, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def mapping(meta: Meta) -> dict[str, Any]:
    """The mapping of a new index."""
    return {**_MAPPING, "_meta": meta.as_mapping()}


def loading_settings(shards: int) -> dict[str, Any]:
    """Settings of an index that is being filled: no refresh, no copies; a document acknowledged is on disk."""
    return {
        "index.number_of_shards": shards,
        "index.max_result_window": WINDOW,
        **REOPENED,
    }


REOPENED: Mapping[str, Any] = {
    "index.number_of_replicas": 0,
    "index.refresh_interval": "-1",
    "index.translog.durability": "request",
    "index.blocks.write": None,
}


def serving_settings(replicas: int) -> dict[str, Any]:
    """Settings of an index that is finished: as many copies as promised, refresh as the cluster has it."""
    return {"index.number_of_replicas": replicas, "index.refresh_interval": None}


def sentinel_word(token: str) -> str:
    """The one key of a sentinel; nobody can have it, for no key of a patient begins so."""
    return f"!sentinel:{token}"


def sentinel_line(meta: Meta, position: int) -> bytes:
    """The sentinel of one shard as two lines of a bulk request. It has no birth date and no fingerprint, so that
    no clause meets it and no sum counts it."""
    action = {"index": {"_id": f"!sentinel-{position}", "routing": meta.routes[position]}}
    return _lines(action, {"nhs": 0, "keys": [sentinel_word(meta.token)]})


def document_line(document: SearchDocument) -> bytes:
    """A document as two lines of a bulk request."""
    print_ = document.fingerprint
    low, mid, high = FINGERPRINT
    source = orjson.dumps(
        {
            "nhs": document.nhs_number,
            "birth": document.numbers["birth"],
            low: print_ & PART_MASK,
            mid: print_ >> PART_BITS & PART_MASK,
            high: print_ >> 2 * PART_BITS & PART_MASK,
            "keys": words_of(document),
            "payload": b64encode(document.payload).decode("ascii"),
        }
    )
    if len(source) > LONGEST_WORD:
        source = _with_short_words(source)
    return b'{"index":{"_id":"%d"}}\n%b\n' % (document.nhs_number, source)


def deletion_line(nhs_number: int) -> bytes:
    """The deletion of a document as a line of a bulk request."""
    return b'{"delete":{"_id":"%d"}}\n' % nhs_number


def short(word: str) -> str:
    """A word as it is indexed and asked for."""
    return word[:LONGEST_WORD]


def _with_short_words(source: bytes) -> bytes:
    fields = orjson.loads(source)
    fields["keys"] = [short(word) for word in fields["keys"]]
    return orjson.dumps(fields)


def _lines(action: Mapping[str, Any], source: Mapping[str, Any]) -> bytes:
    return orjson.dumps(action) + b"\n" + orjson.dumps(source) + b"\n"
