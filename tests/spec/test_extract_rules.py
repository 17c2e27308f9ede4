"""Spec: record-level rules of every feed. Each line is one change to a good row, and its verdict.

A verdict is the rule broken first, with its level: rejected rows carry the rule's code, warnings keep
the row. "good" means neither. The tables are the documentation of the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from quality.catalogue import rules_of
from quality.judge import judge
from quality.reasons import REASONS, Level
from quality.rule import Context
from schemas.feeds import FEEDS
from tests.lib.extracts import AS_AT, NUMBERS, Row, frame, number_change, patient, summary

NOBODY = pl.Series("row_no", [], dtype=pl.Int64())
GOOD = "good"
Case = tuple[dict[str, Any], str]


def name(**changes: Any) -> list[dict[str, Any]]:
    return [patient(0)["names"][0] | changes]


def address(**changes: Any) -> list[dict[str, Any]]:
    return [patient(0)["addresses"][0] | changes]


def telecom(**changes: Any) -> list[dict[str, Any]]:
    blank = dict.fromkeys(("id", "other_system", "start", "end"))
    return [blank | {"state": "current", "system": "phone", "use": "home", "value": "0113 496 0000"} | changes]


DELETED = {"action": "delete", "deleted_at": AS_AT, "delete_reason": "invalidated"}
NO_FIELDS = dict.fromkeys(FEEDS["pds_patient"].columns)

ENVELOPE: list[Case] = [
    ({}, GOOD),
    ({"action": None}, "ACTION_UNKNOWN"),
    ({"action": "amend"}, "ACTION_UNKNOWN"),
    ({"action": "NEW"}, "ACTION_UNKNOWN"),
    ({"action": "update"}, "UPDATE_IN_FULL"),
    ({"source_key": None}, "KEY_MISSING"),
    ({"source_key": ""}, "KEY_MISSING"),
    ({"nhs_number": None}, "NHS_NUMBER_INVALID"),
    ({"nhs_number": ""}, "NHS_NUMBER_INVALID"),
    ({"nhs_number": "9000000008"}, "NHS_NUMBER_INVALID"),
    ({"nhs_number": "900000000"}, "NHS_NUMBER_INVALID"),
    ({"nhs_number": " 9000000009"}, "NHS_NUMBER_INVALID"),
    ({"nhs_number": "900 000 0009"}, "NHS_NUMBER_INVALID"),
    ({"nhs_number": "٩000000009"}, "NHS_NUMBER_INVALID"),
    ({"nhs_number": "0000000000"}, "NHS_NUMBER_INVALID"),
    ({"nhs_number": "9999999999"}, "NHS_NUMBER_INVALID"),
    ({"nhs_number": "-000000000"}, "NHS_NUMBER_INVALID"),
    ({"effective_from": "2026"}, GOOD),
    ({"effective_from": "2026-04"}, GOOD),
    ({"effective_from": "yesterday"}, "EFFECTIVE_DATE_SHAPE"),
    ({"effective_to": "2026-02-30"}, "EFFECTIVE_DATE_SHAPE"),
    ({"effective_from": "2026-03-01", "effective_to": "2026-02-01"}, "EFFECTIVE_END_BEFORE_START"),
    ({"effective_from": "2026-03", "effective_to": "2026"}, GOOD),
    ({"effective_from": "2026-05-02"}, "EFFECTIVE_IN_FUTURE"),
    ({"recorded_at": AS_AT}, GOOD),
    ({"recorded_at": AS_AT + timedelta(minutes=4)}, GOOD),
    ({"recorded_at": AS_AT + timedelta(minutes=6)}, "RECORDED_IN_FUTURE"),
    ({"recorded_at": None}, GOOD),
    ({"deleted_at": AS_AT}, "DELETED_WITHOUT_DELETE"),
    (DELETED, "DELETE_IN_FULL"),
]

DELTA: list[Case] = [
    ({"action": "update"}, GOOD),
    (DELETED, GOOD),
    (DELETED | NO_FIELDS, GOOD),
    (DELETED | NO_FIELDS | {"nhs_number": "9000000008"}, "NHS_NUMBER_INVALID"),
    (NO_FIELDS, "VERSION_ID_MISSING"),
]

PATIENT: list[Case] = [
    ({"source_key": NUMBERS[1]}, "KEY_NOT_NUMBER"),
    ({"version_id": None}, "VERSION_ID_MISSING"),
    ({"version_id": 0}, "VERSION_BELOW_ONE"),
    ({"version_id": -4}, "VERSION_BELOW_ONE"),
    ({"security": None}, "SECURITY_MISSING"),
    ({"security": ""}, "SECURITY_MISSING"),
    ({"security": "S"}, "SECURITY_UNKNOWN"),
    ({"security": "u"}, "SECURITY_UNKNOWN"),
    ({"security": "V"}, GOOD),
    ({"security": "R"}, GOOD),
    ({"security": "REDACTED"}, GOOD),
    ({"names": name(state="secret")}, "STATE_UNKNOWN"),
    ({"names": name(state=None)}, "STATE_UNKNOWN"),
    ({"addresses": address(state=None)}, "STATE_UNKNOWN"),
    ({"telecoms": telecom(state="")}, "STATE_UNKNOWN"),
    ({"telecoms": telecom()}, GOOD),
    ({"names": name(state="hidden")}, GOOD),
    ({"gender": None}, GOOD),
    ({"gender": "other"}, GOOD),
    ({"gender": "Male"}, "GENDER_UNKNOWN"),
    ({"gender": "1"}, "GENDER_UNKNOWN"),
    ({"birth_date": None}, GOOD),
    ({"birth_date": "1980"}, GOOD),
    ({"birth_date": "1980-05"}, GOOD),
    ({"birth_date": "2024-02-29"}, GOOD),
    ({"birth_date": "2023-02-29"}, "BIRTH_DATE_SHAPE"),
    ({"birth_date": "1980-13"}, "BIRTH_DATE_SHAPE"),
    ({"birth_date": "1980-5-1"}, "BIRTH_DATE_SHAPE"),
    ({"birth_date": "01/05/1980"}, "BIRTH_DATE_SHAPE"),
    ({"birth_date": "0000-01-01"}, "BIRTH_DATE_SHAPE"),
    ({"birth_date": "9999-12-31"}, "BIRTH_DATE_SHAPE"),
    ({"birth_date": "1980-01-01T00:00:00Z"}, "BIRTH_DATE_SHAPE"),
    ({"birth_date": "2026-05-01"}, GOOD),
    ({"birth_date": "2026-05-02"}, "BIRTH_IN_FUTURE"),
    ({"birth_date": "2026-06"}, "BIRTH_IN_FUTURE"),
    ({"birth_date": "2027"}, "BIRTH_IN_FUTURE"),
    ({"birth_date": "2026"}, GOOD),
    ({"birth_order": 1}, GOOD),
    ({"birth_order": 9}, GOOD),
    ({"birth_order": 0}, "BIRTH_ORDER_UNKNOWN"),
    ({"birth_order": 10}, "BIRTH_ORDER_UNKNOWN"),
    ({"deceased": "2020-01-01T00:00:00+00:00"}, GOOD),
    ({"deceased": "2020-01"}, GOOD),
    ({"deceased": "1 May 2020"}, "DEATH_SHAPE"),
    ({"deceased": "2020-01-01T25:00:00+00:00"}, "DEATH_SHAPE"),
    ({"deceased": "2026-05-02T00:00:00+00:00"}, "DEATH_IN_FUTURE"),
    ({"deceased": "1939-12-31T00:00:00+00:00"}, "DEATH_BEFORE_BIRTH"),
    ({"birth_date": "1980-05-02", "deceased": "1980-05"}, GOOD),
    ({"birth_date": "1980", "deceased": "1979-12-31"}, "DEATH_BEFORE_BIRTH"),
    ({"death_status": "2"}, GOOD),
    ({"death_status": "3"}, "DEATH_STATUS_UNKNOWN"),
    ({"source_json": f'{{"resourceType":"Patient","id":"{NUMBERS[0]}"}}'}, GOOD),
    ({"source_json": "not json"}, "SOURCE_NOT_JSON"),
    ({"source_json": "[1]"}, "SOURCE_NOT_JSON"),
    ({"source_json": f'{{"resourceType":"Patient","id":"{NUMBERS[5]}"}}'}, "SOURCE_OF_ANOTHER"),
    ({"source_json": '{"resourceType":"Patient"}'}, "SOURCE_OF_ANOTHER"),
    ({"related_persons": ['{"resourceType":"RelatedPerson"}']}, GOOD),
    ({"related_persons": ['{"resourceType":"RelatedPerson"}', "{"]}, "RELATED_NOT_JSON"),
    ({"related_persons": [None]}, "RELATED_NOT_JSON"),
    ({"verification": "02"}, "NOT_VERIFIED"),
    ({"verification": None}, GOOD),
    ({"names": name(family="UNKNOWN")}, "PLACEHOLDER_NAME"),
    ({"names": name(given=["Baby", "Ann"])}, "PLACEHOLDER_NAME"),
    ({"names": name(given=["baby of marlow"])}, "PLACEHOLDER_NAME"),
    ({"names": name(family="")}, "PLACEHOLDER_NAME"),
    ({"names": name(family=None)}, GOOD),
    ({"names": None}, GOOD),
    ({"birth_date": "1900-01-01", "deceased": "1970"}, "PLACEHOLDER_BIRTH_DATE"),
    ({"addresses": address(postcode="ZZ99 3VZ")}, "PLACEHOLDER_POSTCODE"),
    ({"birth_date": "1880-01-01"}, "AGE_IMPLAUSIBLE"),
    ({"birth_date": "1880-01-01", "deceased": "1950-01-01"}, GOOD),
    ({"names": name(use="official")}, "NAME_USE_UNKNOWN"),
    ({"addresses": address(use="old")}, "ADDRESS_USE_UNKNOWN"),
    ({"addresses": address(postcode="LS1  4AP")}, "POSTCODE_SHAPE"),
    ({"addresses": address(postcode="LS14AP")}, GOOD),
    ({"telecoms": telecom(system="pager")}, "TELECOM_SYSTEM_UNKNOWN"),
    ({"general_practitioner": {"id": None, "code": "y1", "start": None, "end": None}}, "PRACTICE_CODE_SHAPE"),
    ({"names": name(family="Mar\x00low")}, "CONTROL_CHARACTER"),
    ({"names": name(given=["A\x07"])}, "CONTROL_CHARACTER"),
    ({"addresses": address(lines=["1 Mill\tLane"])}, GOOD),
    ({"names": name(family="x" * 10_001)}, "TEXT_TOO_LONG"),
    ({"telecoms": telecom(value="9" * 10_001)}, "TEXT_TOO_LONG"),
    ({"names": name(family="ö" * 200)}, GOOD),
    ({"names": name(family="<script>alert(1)</script>", given=["=cmd", "\u202eabc", "e\u0301"])}, GOOD),
    ({"source_json": f'{{"id":"{NUMBERS[0]}","note":"{"x" * 50_000}"}}'}, GOOD),
    ({"source_json": f'{{"id":"{NUMBERS[0]}","note":"{"x" * 4_000_000}"}}'}, "DOCUMENT_TOO_LONG"),
]

NUMBER_CHANGE: list[Case] = [
    ({}, GOOD),
    (DELETED, "CHANGE_DELETED"),
    ({"source_key": "x"}, "KEY_WITHOUT_OLD_NUMBER"),
    ({"change_type": None}, "CHANGE_TYPE_MISSING"),
    ({"change_type": "merged"}, "CHANGE_TYPE_UNKNOWN"),
    ({"new_nhs_number": None}, "NEW_NUMBER_INVALID"),
    ({"new_nhs_number": "9000000008"}, "NEW_NUMBER_INVALID"),
    ({"change_type": "invalidated", "new_nhs_number": None}, GOOD),
    ({"change_type": "invalidated"}, "INVALIDATED_WITH_SUCCESSOR"),
    ({"new_nhs_number": NUMBERS[0]}, "NUMBER_SUPERSEDES_ITSELF"),
    ({"recorded_at": None}, "CHANGE_WITHOUT_TIME"),
]

SUMMARY: list[Case] = [
    ({}, GOOD),
    ({"source_key": NUMBERS[1]}, "SUMMARY_KEY_NOT_NUMBER"),
    ({"scr_uuid": None}, "SCR_UUID_MISSING"),
    ({"scr_uuid": "1"}, "SUMMARY_ID_SHAPE"),
    ({"scr_uuid": "0000000A-0000-4000-8000-00000000000B"}, GOOD),
    ({"permission": None}, "PERMISSION_MISSING"),
    ({"permission": "Maybe"}, "PERMISSION_UNKNOWN"),
    ({"permission": "yes"}, "PERMISSION_UNKNOWN"),
    ({"permission": "Yes"}, GOOD),
    ({"permission": "No"}, "CONTENT_WITHOUT_PERMISSION"),
    ({"bundle_json": None}, "BUNDLE_NOT_JSON"),
    ({"bundle_json": "{"}, "BUNDLE_NOT_JSON"),
    ({"created": "2026-05-02T00:00:00+00:00"}, "CREATED_IN_FUTURE"),
    ({"created": "14-May-2020 14:31"}, "CREATED_SHAPE"),
    ({"created": None}, GOOD),
    ({"sections": []}, "SUMMARY_WITHOUT_SECTIONS"),
    ({"sections": None}, "SUMMARY_WITHOUT_SECTIONS"),
    ({"practice_code": "y 1"}, "SUMMARY_PRACTICE_SHAPE"),
]

TABLES: list[tuple[str, str, Callable[..., Row], list[Case]]] = [
    ("pds_patient", "full", patient, ENVELOPE),
    ("pds_patient", "delta", patient, DELTA),
    ("pds_patient", "full", patient, PATIENT),
    ("pds_number_change", "delta", number_change, NUMBER_CHANGE),
    ("scr_summary", "full", summary, SUMMARY),
]
CASES = [(feed, kind, make, *case) for feed, kind, make, cases in TABLES for case in cases]


def verdict(feed: str, kind: str, row: Row) -> tuple[set[str], set[str]]:
    """Rules that reject the row, and rules that only flag it."""
    judged = judge(FEEDS[feed], frame(feed, [row]), Context(kind, AS_AT), NOBODY)
    assert judged.tally.reconciles
    rejecting = {rule for rules in judged.rejected["rules"] for rule in rules}
    return rejecting, set(judged.flagged["rule"])


@pytest.mark.parametrize(
    ("feed", "kind", "make", "changes", "expected"),
    CASES,
    ids=[f"{feed}-{number}-{expected}" for number, (feed, _, _, _, expected) in enumerate(CASES)],
)
def test_rule(feed: str, kind: str, make: Callable[..., Row], changes: dict[str, Any], expected: str) -> None:
    rejecting, flagging = verdict(feed, kind, make(0) | changes)
    if expected == GOOD:
        assert (rejecting, flagging) == (set(), set())
        return
    levels = {rule.name: rule.level for rule in rules_of(feed)}
    if levels[expected] is Level.WARNING:
        assert expected in flagging
        assert rejecting == set()
    else:
        assert expected in rejecting


@pytest.mark.parametrize("feed", FEEDS)
def test_every_rule_has_a_line_in_the_tables(feed: str) -> None:
    shown = {expected for named, _, _, _, expected in CASES if named == feed}
    shared = {expected for _, _, _, _, expected in CASES}
    for rule in rules_of(feed):
        # The rules that all feeds share need to be shown once.
        own = rule.broken.__module__ != "quality.contract" or rule.name.endswith("_MISSING")
        assert rule.name in (shown if own and rule.name != "KEY_MISSING" else shared), rule.name


@pytest.mark.parametrize("feed", FEEDS)
def test_rules_are_described_and_named_once(feed: str) -> None:
    names = [rule.name for rule in rules_of(feed)]
    assert len(names) == len(set(names))
    for rule in rules_of(feed):
        assert rule.sentence.endswith(".")
        assert rule.source
        assert rule.code in REASONS


def test_the_good_rows_of_the_tables_are_kept_as_they_are() -> None:
    rows = [patient(index) for index in range(20)]
    given = frame("pds_patient", rows)
    judged = judge(FEEDS["pds_patient"], given, Context("full", AS_AT), NOBODY)
    assert judged.accepted.equals(given)
