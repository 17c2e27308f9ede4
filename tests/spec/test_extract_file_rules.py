"""Spec: file-level rules that need no data file: the manifest alone, and its place in the chain.

Each line changes a true manifest and names the rule that refuses it; None means it is acceptable.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quality.chain import Position, check_chain, check_shrink
from quality.manifest import check_manifest, check_place, read_manifest
from quality.reasons import FILE_RULES, REASONS, outcome_of
from schemas.errors import FileRefused
from schemas.extract import ExtractManifest
from schemas.feeds import FEEDS
from tests.lib.extracts import AS_AT

NOW = AS_AT + timedelta(hours=2)
LEEWAY = timedelta(hours=48)
DROPPED = object()

FILE: dict[str, Any] = {"name": "a.ndjson", "format": "ndjson", "rows": 3, "bytes": 30, "sha256": "0" * 64}
TRUE: dict[str, Any] = {
    "source": "PDS",
    "feed": "pds_patient",
    "kind": "full",
    "sequence": 4,
    "previous_sequence": 3,
    "window_from": "2026-04-30T03:00:00+00:00",
    "window_to": "2026-05-01T03:00:00+00:00",
    "created_at": "2026-05-01T04:00:00+01:00",
    "schema_version": "1",
    "files": [FILE],
    "record_count": 3,
    "control": 7,
}

MANIFESTS: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"previous_sequence": DROPPED, "window_from": DROPPED}, None),
    ({"window_from": None}, None),
    ({"source": DROPPED}, "MANIFEST_FIELD"),
    ({"surprise": 1}, "MANIFEST_FIELD"),
    ({"sequence": "4"}, "MANIFEST_FIELD"),
    ({"sequence": 0}, "MANIFEST_FIELD"),
    ({"sequence": -1}, "MANIFEST_FIELD"),
    ({"sequence": 4.0}, "MANIFEST_FIELD"),
    ({"sequence": 4.5}, "MANIFEST_FIELD"),
    ({"sequence": True}, "MANIFEST_FIELD"),
    ({"sequence": 2**63, "previous_sequence": None}, "MANIFEST_FIELD"),
    ({"control": 2**64}, "MANIFEST_FIELD"),
    ({"control": -1}, "MANIFEST_FIELD"),
    ({"record_count": -3}, "MANIFEST_FIELD"),
    ({"kind": "snapshot"}, "MANIFEST_FIELD"),
    ({"source": "../PDS"}, "MANIFEST_FIELD"),
    ({"source": "PDS.released"}, "MANIFEST_FIELD"),
    ({"files": [FILE | {"name": "../a.ndjson"}]}, "MANIFEST_FIELD"),
    ({"files": [FILE | {"name": "/etc/passwd"}]}, "MANIFEST_FIELD"),
    ({"files": [FILE | {"name": "a/b"}]}, "MANIFEST_FIELD"),
    ({"files": [FILE | {"name": ".hidden"}]}, "MANIFEST_FIELD"),
    ({"files": [FILE | {"name": "a\u0000b"}]}, "MANIFEST_FIELD"),
    ({"files": [FILE | {"name": "manifest.json"}]}, "FILES_NAMED_TWICE"),
    ({"files": [FILE | {"format": "csv"}]}, "MANIFEST_FIELD"),
    ({"files": [FILE | {"sha256": "0" * 63}]}, "MANIFEST_FIELD"),
    ({"files": [FILE | {"sha256": "A" * 64}]}, "MANIFEST_FIELD"),
    ({"files": [FILE | {"compression": "zip"}]}, "MANIFEST_FIELD"),
    ({"files": [FILE | {"rows": 1}, FILE | {"rows": 2}]}, "FILES_NAMED_TWICE"),
    ({"files": [FILE | {"rows": 1}, FILE | {"rows": 2, "name": "A.ndjson"}]}, "FILES_NAMED_TWICE"),
    ({"files": [FILE | {"rows": 1}, FILE | {"rows": 2, "name": "b.ndjson"}]}, None),
    ({"window_to": "2026-05-01T03:00:00"}, "MANIFEST_TIME"),
    ({"window_to": "2026-05-01"}, "MANIFEST_FIELD"),
    ({"created_at": "yesterday"}, "MANIFEST_FIELD"),
    ({"window_from": "2026-05-01T03:00:01+00:00"}, "MANIFEST_TIME"),
    ({"window_to": "2026-05-03T06:00:00+00:00"}, "MANIFEST_FUTURE"),
    ({"window_to": "2026-05-03T05:00:00+00:00"}, None),
    ({"source": "SCR"}, "SOURCE_NOT_ALLOWED"),
    ({"source": "pds"}, "SOURCE_NOT_ALLOWED"),
    ({"schema_version": "2"}, "VERSION_UNKNOWN"),
    ({"schema_version": ""}, "VERSION_UNKNOWN"),
    ({"schema_version": 1}, "MANIFEST_FIELD"),
    ({"record_count": 4}, "RECORD_COUNT"),
    ({"files": []}, "RECORD_COUNT"),
    ({"files": [], "record_count": 0}, "FULL_EMPTY"),
    ({"files": [], "record_count": 0, "kind": "delta"}, None),
    ({"files": [FILE | {"bytes": 0}]}, "DATA_EMPTY"),
]


def changed(changes: dict[str, Any]) -> bytes:
    manifest = {key: value for key, value in (TRUE | changes).items() if value is not DROPPED}
    return json.dumps(manifest).encode()


def judged(raw: bytes, feed: str = "pds_patient") -> str | None:
    try:
        check_manifest(read_manifest(raw), FEEDS[feed], NOW, LEEWAY)
    except FileRefused as error:
        return error.rule
    return None


@pytest.mark.parametrize(("changes", "rule"), MANIFESTS)
def test_manifest(changes: dict[str, Any], rule: str | None) -> None:
    assert judged(changed(changes)) == rule


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"\x00" * 50, b'{"a":1}', b" " * 1_000_001, b"[" * 100_000]
)
def test_what_is_no_manifest_is_refused(raw: bytes) -> None:
    assert judged(raw) in ("MANIFEST_UNREADABLE", "MANIFEST_FIELD")


def test_an_event_feed_has_no_full() -> None:
    assert judged(changed({"feed": "pds_number_change"}), "pds_number_change") == "KIND_NOT_ALLOWED"


def test_a_refusal_quotes_no_value_of_the_manifest() -> None:
    with pytest.raises(FileRefused) as caught:
        read_manifest(changed({"kind": "9000000009", "9000000009": "SMITH", "sequence": "SMITH"}))
    assert "SMITH" not in str(caught.value)
    assert "9000000009" not in str(caught.value)
    assert "kind" in str(caught.value)


@pytest.mark.parametrize(
    ("place", "rule"),
    [
        (("pds_patient", "PDS", 4), None),
        (("scr_summary", "PDS", 4), "MANIFEST_PLACE"),
        (("pds_patient", "SCR", 4), "MANIFEST_PLACE"),
        (("pds_patient", "PDS", 5), "MANIFEST_PLACE"),
    ],
)
def test_place(place: tuple[str, str, int], rule: str | None) -> None:
    manifest = read_manifest(changed({}))
    if rule is None:
        check_place(manifest, *place)
        return
    with pytest.raises(FileRefused, match=rule):
        check_place(manifest, *place)


# The last accepted extract (sequence, hours from the true window_to), the manifest's changes, the rule.
CHAIN: list[tuple[tuple[int, int] | None, dict[str, Any], str | None]] = [
    (None, {"kind": "delta", "sequence": 1, "previous_sequence": None}, None),
    (None, {"kind": "delta", "sequence": 9, "previous_sequence": None}, None),
    (None, {"kind": "delta"}, "GAP"),
    (None, {"kind": "full"}, None),
    ((3, -24), {"kind": "delta"}, None),
    ((3, 0), {"kind": "delta"}, None),
    ((3, 1), {"kind": "delta"}, "OLDER"),
    ((2, -48), {"kind": "delta"}, "GAP"),
    ((3, -24), {"kind": "delta", "previous_sequence": None}, "GAP"),
    ((3, -24), {"kind": "delta", "previous_sequence": 2}, "GAP"),
    ((3, -24), {"kind": "delta", "sequence": 5}, "SEQUENCE_STEP"),
    ((3, -24), {"kind": "delta", "previous_sequence": 4}, "SEQUENCE_STEP"),
    ((3, -24), {"kind": "full", "previous_sequence": 7}, "SEQUENCE_STEP"),
    ((4, -24), {"kind": "full"}, "OLDER"),
    ((7, -24), {"kind": "delta"}, "OLDER"),
    ((1, -72), {"kind": "full"}, None),
    ((1, -72), {"kind": "full", "previous_sequence": None}, None),
    ((3, 5), {"kind": "full"}, "OLDER"),
]


@pytest.mark.parametrize(("last", "changes", "rule"), CHAIN)
def test_chain(last: tuple[int, int] | None, changes: dict[str, Any], rule: str | None) -> None:
    manifest = read_manifest(changed(changes))
    head = None if last is None else Position(last[0], manifest.window_to + timedelta(hours=last[1]))
    if rule is None:
        check_chain(manifest, head)
        return
    with pytest.raises(FileRefused) as caught:
        check_chain(manifest, head)
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("records", "last", "limit", "shrunk"),
    [
        (100, None, 0.02, False),
        (100, 100, 0.02, False),
        (98, 100, 0.02, False),
        (97, 100, 0.02, True),
        (1, 100, 1.0, False),
        (150, 100, 0.02, False),
        (0, 0, 0.02, False),
    ],
)
def test_shrink(records: int, last: int | None, limit: float, shrunk: bool) -> None:
    if not shrunk:
        check_shrink(records, last, limit)
        return
    with pytest.raises(FileRefused) as caught:
        check_shrink(records, last, limit)
    assert caught.value.code == "FILE_SHRINK"


def test_every_file_rule_leads_to_a_code_that_refuses_or_defers() -> None:
    for rule in FILE_RULES.values():
        assert outcome_of(rule.code) in ("refused", "deferred")
        assert rule.sentence.endswith(".")
        assert rule.remedy.endswith(".")


def test_the_codes_of_the_sheet_are_there() -> None:
    sheet = {
        "FILE_ACCEPTED": "accepted",
        "FILE_PARTIAL": "partial",
        "FILE_NONE_LOADED": "refused",
        "FILE_MALFORMED": "refused",
        "FILE_VERSION_UNSUPPORTED": "refused",
        "FILE_EMPTY": "refused",
        "FILE_UNAUTHORISED": "refused",
        "FILE_DUPLICATE": "refused",
        "FILE_SHRINK": "refused",
        "FILE_DEFERRED_GAP": "deferred",
    }
    assert {code: outcome_of(code) for code in sheet} == sheet
    records = {"REC_NHS_NUMBER_INVALID", "REC_INVALID_VALUE", "REC_DUPLICATE_KEY", "REC_FAILED", "REC_NOT_VERIFIED"}
    assert records <= set(REASONS)
    with pytest.raises(KeyError):
        outcome_of("REC_FAILED")


def test_manifests_are_frozen() -> None:
    manifest = read_manifest(changed({}))
    assert isinstance(manifest, ExtractManifest)
    assert manifest.window_to == datetime(2026, 5, 1, 3, tzinfo=UTC)
