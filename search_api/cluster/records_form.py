"""Records as documents of the cluster: the index's mapping, ids, fingerprints, what it says of itself.

Belongs here: the form, for writer and reader alike. Does not belong here: requests, SQL.

A record is found by its id and never searched for, so its text is kept as sent (``body``, not looked
into) and nothing of it is indexed. Ids: ``p<number>`` a patient, ``c<old>`` a number change,
``s<owner>`` the summary that is answered for a number, ``o<sent>`` an older summary of the same owner (kept so
that counts and content are those of the replica). Each document goes to the shard of its number, where a
sentinel lies: a request asks for both, so that a shard that lost its content is never taken for one
that holds no such patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from search_api.index.opensearch_form import Form
from search_api.index.words import FINGERPRINT, PART_BITS, PART_MASK

ENGINE = "opensearch"
CONTENT = "records"
PATIENT, CHANGE, SUMMARY, SENTINEL = "patient", "change", "summary", "sentinel"
# The replica's tables, by the kind of document that a row of them becomes.
TABLES = {PATIENT: "replica__pds_patient", CHANGE: "replica__pds_number_change", SUMMARY: "replica__scr_summary"}
# Never answered from: only their rows are written down, so that index and manifest can be compared.
COUNTED_ID = "!counted"
COUNTED = ("replica__waiting", "replica__tombstone")
_PART = {"type": "integer", "index": False}
_MAPPING: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "kind": {"type": "keyword", "doc_values": True, "norms": False, "index_options": "docs"},
        **dict.fromkeys(FINGERPRINT, _PART),
        "body": {"type": "object", "enabled": False},
    },
}
# Records are several times larger than they need be without it, and one is read in well under a millisecond with it.
SETTINGS: Mapping[str, Any] = {"index.codec": "best_compression"}


def sentinel(token: str) -> dict[str, Any]:
    """What a sentinel holds; no kind of record counts it, and it has no fingerprint."""
    return {"kind": SENTINEL, "body": {"token": token}}


def counted_line(rows: Mapping[str, int], routing: str) -> bytes:
    """Rows of the tables that are only counted, as two lines of a bulk request."""
    return _lines(COUNTED_ID, routing, {"kind": "counted", "body": dict(rows)})


FORM = Form(CONTENT, _MAPPING, SETTINGS, sentinel)


def shard_of(routes: Sequence[str], number: int) -> int:
    """The position of the routing that whatever belongs to a number follows."""
    return number % len(routes)


@dataclass(frozen=True)
class Document:
    """A record as a document. ``number``: what its routing follows."""

    id: str
    kind: str
    number: int
    body: dict[str, Any]
    fingerprint: int

    def line(self, routes: Sequence[str]) -> bytes:
        """The document as two lines of a bulk request."""
        low, mid, high = FINGERPRINT
        parts = {
            low: self.fingerprint & PART_MASK,
            mid: self.fingerprint >> PART_BITS & PART_MASK,
            high: self.fingerprint >> 2 * PART_BITS & PART_MASK,
        }
        return _lines(self.id, routes[shard_of(routes, self.number)], {"kind": self.kind, **parts, "body": self.body})


def deletion_line(document: str, routing: str) -> bytes:
    """The deletion of a document as a line of a bulk request."""
    return orjson.dumps({"delete": {"_id": document, "routing": routing}}) + b"\n"


def patient(number: int, version: int, security: str, record: str, related: str | None) -> Document:
    """A row of the patients' table."""
    body = {"number": number, "version": version, "security": security, "record": record, "related": related}
    return Document(f"p{number}", PATIENT, number, body, fingerprint_of(PATIENT, body))


def change(old: int, new: int | None, change_type: str) -> Document:
    """A row of the number changes."""
    body = {"old": old, "new": new, "type": change_type}
    return Document(f"c{old}", CHANGE, old, body, fingerprint_of(CHANGE, body))


def summary(sent: int, owner: int, record: str, newest: bool) -> Document:
    """A row of the summaries; ``newest``: the one that is answered for its owner."""
    body = {"sent": sent, "owner": owner, "record": record}
    number = owner if newest else sent
    return Document(f"s{owner}" if newest else f"o{sent}", SUMMARY, number, body, fingerprint_of(SUMMARY, body))


# What a record says, by kind.
_FIELDS = {
    PATIENT: ("number", "version", "security", "record", "related"),
    CHANGE: ("old", "new", "type"),
    SUMMARY: ("sent", "owner", "record"),
}


def fingerprint_of(kind: str, body: Mapping[str, Any]) -> int:
    """63 bits over what a record says; which of several summaries is the newest is no part of it."""
    digest = blake2b(orjson.dumps((kind, *[body[name] for name in _FIELDS[kind]])), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def kept_fingerprint(source: Mapping[str, Any]) -> int:
    """The fingerprint that is written in a document."""
    return sum(int(source[part]) << position * PART_BITS for position, part in enumerate(FINGERPRINT))


def _lines(document: str, routing: str, source: Mapping[str, Any]) -> bytes:
    action = {"index": {"_id": document, "routing": routing}}
    return orjson.dumps(action) + b"\n" + orjson.dumps(source) + b"\n"
