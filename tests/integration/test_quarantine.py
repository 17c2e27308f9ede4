"""Quarantined rows: listed masked, shown to the right role, released or dropped with who and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assets.landing.land import land
from assets.validated.quarantine import Actor, Desk, RowRef, drop_row, held_rows, release_row, show_row
from assets.validated.validate import validate
from schemas.errors import Refused
from search_api.ops.ledger import ExtractEntry
from tests.lib.extracts import NUMBERS, House, Row, delivery, frame, house, no_opinion, patient

FEED = "pds_patient"
NOW = datetime(2026, 5, 20, tzinfo=UTC)
OFFICER = Actor("officer-1", frozenset({"B0011"}))
CLERK = Actor("clerk-1", frozenset({"B0264"}))
REASON = "Confirmed by the supplier, ticket 17."

# Row number to what is wrong with it.
WRONG: dict[int, dict[str, Any]] = {
    3: {"birth_date": "2026-12-01"},
    5: {"nhs_number": "9000000000", "source_key": "9000000000"},
    7: {"birth_date": "1990-01-01", "deceased": "1989-01-01", "birth_order": 0},
    9: {"gender": "m"},
}


def rows() -> list[Row]:
    good = [patient(index) for index in range(12)]
    bad = [row | WRONG.get(row["row_no"], {}) for row in good]
    return [*bad, patient(0, row_no=13, gender="other")]


@pytest.fixture(params=["parquet", "ndjson.gz"])
def made(tmp_path: Path, request: pytest.FixtureRequest) -> House:
    ready = house(tmp_path)
    delivery(rows(), tmp_path, request.param).write(ready.stores.drop)
    land(ready.stores, ready.ledger, ready.settings, FEED, now=NOW)
    validate(ready.stores, ready.ledger, ready.settings, FEED, auditor=no_opinion)
    return ready


@pytest.fixture
def desk(made: House) -> Desk:
    return Desk(made.stores, made.ledger, made.settings)


def ref(row_no: int) -> RowRef:
    return RowRef(FEED, "PDS", 1, row_no)


def test_the_list_is_masked_and_says_what_may_be_released(desk: Desk) -> None:
    held = {row.ref.row_no: row for row in held_rows(desk, FEED)}
    assert {number: (row.rule, row.level, row.releasable) for number, row in held.items()} == {
        1: ("DUPLICATE_KEY", "group", True),
        3: ("BIRTH_IN_FUTURE", "record", True),
        5: ("NHS_NUMBER_INVALID", "record", False),
        7: ("BIRTH_ORDER_UNKNOWN", "record", True),
        9: ("GENDER_UNKNOWN", "record", False),
        13: ("DUPLICATE_KEY", "group", True),
    }
    said = repr(list(held.values()))
    assert not any(number in said for number in NUMBERS)
    assert "Marlow" not in said
    assert held[3].nhs_number == f"{NUMBERS[2][:3]}*******"
    assert [row.ref.row_no for row in held_rows(desk, FEED, limit=2)] == [1, 3]


@pytest.mark.parametrize("act", [show_row, release_row, drop_row])
def test_without_the_activity_nothing_happens(act: Any, desk: Desk) -> None:
    with pytest.raises(Refused, match="B0011"):
        act(desk, ref(3), CLERK, REASON)
    with pytest.raises(Refused, match="reason"):
        act(desk, ref(3), OFFICER, " ")
    assert desk.ledger.decisions(FEED) == []
    assert len(held_rows(desk, FEED)) == 6


@pytest.mark.parametrize("act", [show_row, release_row, drop_row])
def test_a_row_that_is_not_held_is_refused(act: Any, desk: Desk) -> None:
    for wrong in (ref(2), ref(99), RowRef(FEED, "PDS", 9, 3)):
        with pytest.raises(Refused, match="no quarantined row"):
            act(desk, wrong, OFFICER, REASON)


def test_showing_gives_the_row_as_received_and_is_recorded(desk: Desk) -> None:
    shown = show_row(desk, ref(3), OFFICER, REASON)
    assert json.loads(shown)
    assert "O'Marlow2" in shown
    [decision] = desk.ledger.decisions(FEED)
    assert (decision.action, decision.actor, decision.reason, decision.row_no) == ("view", "officer-1", REASON, 3)
    assert len(held_rows(desk, FEED)) == 6


def test_a_released_row_comes_back_as_an_extract_of_its_own(made: House, desk: Desk) -> None:
    entry = release_row(desk, ref(3), OFFICER, REASON)
    assert (entry.source, entry.sequence, entry.origin_sequence, entry.kind) == ("PDS.released", 1, 1, "delta")
    assert entry.after_sequence == 1
    validated = [(known.source, known.sequence) for known in made.ledger.validated(FEED)]
    assert validated == [("PDS", 1), ("PDS.released", 1)]
    released = made.accepted(FEED, "PDS.released", 1)
    assert released.equals(frame(FEED, [patient(2, birth_date="2026-12-01")]))
    [decision] = made.ledger.decisions(FEED)
    assert (decision.action, decision.released_sequence) == ("release", 1)
    states = {row.ref.row_no: row.state for row in held_rows(desk, FEED, state=None)}
    assert states == {1: "open", 3: "released", 5: "open", 7: "open", 9: "open", 13: "open"}
    assert not any((made.stores.drop.parent / "ack" / FEED).glob("PDS.released*"))


def test_releases_follow_each_other_and_happen_once(made: House, desk: Desk) -> None:
    release_row(desk, ref(3), OFFICER, REASON)
    release_row(desk, ref(13), OFFICER, REASON)
    with pytest.raises(Refused, match="released before"):
        release_row(desk, ref(3), OFFICER, REASON)
    with pytest.raises(Refused, match="released before"):
        drop_row(desk, ref(13), OFFICER, REASON)
    assert [entry.sequence for entry in made.ledger.validated(FEED) if entry.origin_sequence] == [1, 2]
    assert made.accepted(FEED, "PDS.released", 2)["gender"].to_list() == ["other"]


def test_a_row_that_breaks_several_rules_is_released_from_all_of_them(made: House, desk: Desk) -> None:
    entry = release_row(desk, ref(7), OFFICER, REASON)
    assert made.accepted(FEED, entry.source, entry.sequence)["deceased"].to_list() == ["1989-01-01"]


def test_what_protects_the_replica_is_never_overruled(made: House, desk: Desk) -> None:
    for row_no in (5, 9):
        with pytest.raises(Refused, match="may not be overruled"):
            release_row(desk, ref(row_no), OFFICER, REASON)
    assert [entry.source for entry in made.ledger.validated(FEED)] == ["PDS"]
    assert made.ledger.decisions(FEED) == []


def test_a_dropped_row_stays_in_the_file_and_is_closed(desk: Desk) -> None:
    drop_row(desk, ref(5), OFFICER, REASON)
    assert {row.ref.row_no for row in held_rows(desk, FEED)} == {1, 3, 7, 9, 13}
    with pytest.raises(Refused, match="dropped before"):
        release_row(desk, ref(5), OFFICER, REASON)
    assert show_row(desk, ref(5), OFFICER, REASON)


def test_a_row_whose_landed_bytes_are_gone_is_not_released(made: House, desk: Desk) -> None:
    (made.stores.stage("landing", FEED, "PDS", 1) / "manifest.json").unlink()
    with pytest.raises(Refused, match="landed bytes"):
        release_row(desk, ref(3), OFFICER, REASON)
    assert made.ledger.decisions(FEED) == []


def test_nothing_from_before_a_later_full_is_released(made: House, desk: Desk) -> None:
    standing = made.ledger.standing(FEED, "PDS", 1)
    assert standing is not None
    later = {
        **standing.model_dump(),
        "id": None,
        "sequence": 2,
        "fingerprint": "later",
        "kind": "full",
        "quarantined": 0,
    }
    made.ledger.record(ExtractEntry(**later))
    assert not any(row.releasable for row in held_rows(desk, FEED))
    with pytest.raises(Refused, match="overtaken by a later full"):
        release_row(desk, ref(3), OFFICER, REASON)
    assert drop_row(desk, ref(3), OFFICER, REASON).action == "drop"
