"""Reading and writing one NDJSON line: envelopes, bare resources, deletes, faults."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.errors import DataFault
from schemas.feeds import FEEDS, PDS_PATIENT
from schemas.fhir import faults
from schemas.fhir.envelope import read_line, write_line
from tests.lib import resources as r
from tests.lib import summaries as s

AS_AT = "2026-11-24T00:00:00+00:00"


def envelope(payload: Any = None, **fields: Any) -> dict[str, Any]:
    line = {"action": "update", "source_key": "K1", "nhs_number": "9000000009", "payload": payload or r.patient()}
    line.update(fields)
    return {name: value for name, value in line.items() if value is not None}


@pytest.mark.parametrize(
    ("feed", "line"),
    [
        ("pds_patient", r.patient()),
        ("scr_summary", s.scr_bundle()),
        ("pds_number_change", envelope({"new_nhs_number": "9000000017", "change_type": "superseded"})),
    ],
)
def test_a_row_has_exactly_the_feeds_columns_in_order(feed: str, line: dict[str, Any]) -> None:
    assert set(read_line(feed, line, 1, AS_AT)) == {field.name for field in FEEDS[feed].fields}


def test_a_bare_patient_is_new_and_its_id_is_key_and_subject() -> None:
    row = read_line("pds_patient", r.patient("9000000017"), 5, AS_AT)
    assert (row["action"], row["source_key"], row["nhs_number"], row["row_no"]) == (
        "new",
        "9000000017",
        "9000000017",
        5,
    )
    assert row["recorded_at"] is None


def test_an_envelopes_fields_are_kept() -> None:
    line = envelope(
        effective_from="2020-01-01",
        effective_to="2021",
        recorded_at="2026-11-23T23:30:00+01:00",
        history={"name": [r.name("Garton")], "gender": ["male"]},
        hidden={"address": [r.address("DN17 4AA")]},
        related=[r.related_person()],
    )
    row = read_line("pds_patient", line, 1, AS_AT)
    assert (row["action"], row["source_key"], row["effective_from"], row["effective_to"]) == (
        "update",
        "K1",
        "2020-01-01",
        "2021",
    )
    assert row["recorded_at"] == datetime(2026, 11, 23, 22, 30, tzinfo=UTC)
    assert [name["state"] for name in row["names"]] == ["current", "historic"]
    assert [address["state"] for address in row["addresses"]] == ["current", "hidden"]
    assert (row["former_genders"], len(row["related_persons"])) == (["male"], 1)


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ({"action": "delete", "nhs_number": "9000000009"}, None),
        ({"action": "delete", "nhs_number": "9000000009", "version_id": 7}, 7),
        ({"action": "delete", "nhs_number": "9000000009", "version_id": "7"}, 7),
        ({"action": "delete", "nhs_number": "9000000009", "version_id": True}, None),
        ({"action": "delete", "nhs_number": "9000000009", "payload": r.patient(meta=r.meta(8))}, 8),
    ],
)
def test_a_delete_needs_no_payload(line: dict[str, Any], version: int | None) -> None:
    line = {**line, "deleted_at": "2026-11-01T00:00:00Z", "delete_reason": "withdrawn"}
    row = read_line("pds_patient", line, 1, AS_AT)
    assert row["version_id"] == version
    assert [row[name] for name in PDS_PATIENT.columns if name != "version_id"] == [None] * (
        len(PDS_PATIENT.columns) - 1
    )
    assert (row["deleted_at"], row["delete_reason"]) == (datetime(2026, 11, 1, tzinfo=UTC), "withdrawn")
    assert read_line("pds_patient", write_line("pds_patient", row), 1, AS_AT) == row


def test_number_changes() -> None:
    superseded = read_line(
        "pds_number_change", envelope({"new_nhs_number": "9000000017", "change_type": "superseded"}), 1, AS_AT
    )
    invalidated = read_line("pds_number_change", envelope({"change_type": "invalidated"}), 2, AS_AT)
    assert (superseded["new_nhs_number"], superseded["change_type"]) == ("9000000017", "superseded")
    assert (invalidated["new_nhs_number"], invalidated["change_type"]) == (None, "invalidated")
    for row in (superseded, invalidated):
        assert read_line("pds_number_change", write_line("pds_number_change", row), row["row_no"], AS_AT) == row


def test_a_summary_with_permission() -> None:
    line = envelope(s.scr_bundle(), action="new", permission="No", source_key=None, nhs_number=None)
    row = read_line("scr_summary", line, 1, AS_AT)
    assert (row["nhs_number"], row["source_key"], row["permission"]) == ("9000000009", "9000000009", "No")
    assert read_line("scr_summary", write_line("scr_summary", row), 1, AS_AT) == row


def test_a_bare_summary_asks_and_is_dated_by_its_own_time() -> None:
    row = read_line("scr_summary", s.scr_bundle(), 1, AS_AT)
    assert (row["permission"], row["recorded_at"]) == ("Ask", datetime(2020, 11, 17, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("feed", "line", "code"),
    [
        ("pds_patient", [], faults.NOT_AN_OBJECT),
        ("pds_patient", None, faults.NOT_AN_OBJECT),
        ("pds_patient", r.patient(id=None), faults.NO_SUBJECT),
        ("pds_patient", r.patient(id=""), faults.NO_SUBJECT),
        ("pds_patient", r.patient(id=9000000009), faults.NO_SUBJECT),
        ("pds_patient", s.scr_bundle(), faults.WRONG_RESOURCE),
        ("scr_summary", r.patient(), faults.WRONG_RESOURCE),
        ("pds_number_change", r.patient(), faults.WRONG_RESOURCE),
        ("pds_patient", envelope(s.scr_bundle()), faults.WRONG_RESOURCE),
        ("pds_patient", envelope(action="upsert"), faults.BAD_ACTION),
        ("pds_patient", envelope(action=None), faults.BAD_ACTION),
        ("pds_patient", envelope(nhs_number="9000000017"), faults.SUBJECT_DIFFERS),
        ("scr_summary", envelope(s.scr_bundle("9000000017")), faults.SUBJECT_DIFFERS),
        ("pds_patient", {"action": "update", "nhs_number": "9000000009"}, faults.NO_PAYLOAD),
        ("pds_patient", {"action": "update", "nhs_number": "9000000009", "payload": []}, faults.NO_PAYLOAD),
        ("pds_patient", {"action": "delete"}, faults.NO_SUBJECT),
        ("pds_number_change", {"action": "new", "payload": {"change_type": "invalidated"}}, faults.NO_SUBJECT),
        ("pds_patient", envelope(recorded_at="yesterday"), faults.BAD_TIME),
        ("pds_patient", envelope(recorded_at="2026-11-24T00:00:00"), faults.BAD_TIME),
        ("pds_patient", envelope(recorded_at=5), faults.BAD_TIME),
        ("pds_patient", envelope(source_key=5), faults.BAD_ENVELOPE),
        ("pds_patient", envelope(history={"name": "x"}), faults.BAD_ENVELOPE),
        ("pds_patient", envelope(history={"nickname": []}), faults.BAD_ENVELOPE),
        ("pds_patient", envelope(hidden={"gender": ["male"]}), faults.BAD_ENVELOPE),
        ("pds_patient", envelope(related=["x"]), faults.BAD_ENVELOPE),
    ],
)
def test_shape_faults(feed: str, line: Any, code: str) -> None:
    with pytest.raises(DataFault) as caught:
        read_line(feed, line, 1, AS_AT)
    assert caught.value.code == code
    assert code in faults.SHAPE_CODES
    assert "900000" not in str(caught.value)
    assert "yesterday" not in str(caught.value)


def test_json_nested_without_end_is_refused() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]
    with pytest.raises(DataFault) as caught:
        read_line("pds_patient", r.patient(odd=deep), 1, AS_AT)
    assert caught.value.code == "RECORD_TOO_DEEP"
