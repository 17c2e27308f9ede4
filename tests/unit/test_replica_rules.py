"""What becomes of records: newer wins, deletes, tombstones, number changes, summaries that wait.

Each test applies extracts as a build does, without an index, and reads the replica as answers do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from assets.replica.build import apply_feed, begin, settle_replica
from assets.replica.tables import TOMBSTONE_TABLE, WAITING_TABLE
from assets.replica.workspace import Workspace
from schemas.errors import PermanentFault, Refused
from schemas.feeds import FEEDS
from search_api.records import NumberChange
from search_api.replica import ReplicaReader
from tests.lib.validated import NUMBERS, Home, Row, change, moment, patient, removal, summary

A, B, C, D = NUMBERS[:4]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def build(home: Home) -> Workspace:
    site = home.builder.site
    place = begin(site, "unit", anew=True)
    for feed in FEEDS:
        apply_feed(site, place, feed)
    settle_replica(site, place)
    return place


@contextmanager
def replica(home: Home) -> Iterator[ReplicaReader]:
    with ReplicaReader(build(home).replica) as reader:
        yield reader


def version_of(home: Home, number: str) -> int | None:
    with replica(home) as reader:
        record = reader.patient(int(number))
    return record.version_id if record else None


def outcomes(home: Home, feed: str, sequence: int) -> dict[str, int]:
    [counts] = [
        applied.counts
        for applied in build(home).state.applied
        if (applied.step.feed, applied.step.sequence) == (feed, sequence)
    ]
    return {outcome: count for outcome, count in counts.items() if count}


def rows_of(home: Home, feed: str, *extracts: list[Row]) -> None:
    for number, rows in enumerate(extracts):
        home.extract(feed, rows, "full" if number == 0 and feed != "pds_number_change" else "delta")


def test_a_record_comes_back_in_row_form(home: Home) -> None:
    related = ['{"resourceType":"RelatedPerson","id":"R1"}', '{"resourceType":"RelatedPerson","id":"R2"}']
    sent = patient(A, birth_place={"city": "Leeds"}, interpreter_required=True, related_persons=related)
    rows_of(home, "pds_patient", [sent])
    with replica(home) as reader:
        record = reader.patient(int(A))
        assert reader.related(int(A)) == [json.loads(text) for text in related]
    assert record is not None
    assert record.row["nhs_number"] == A
    assert record.row["birth_place"] == {"city": "Leeds", "district": None, "country": None}
    assert record.row["interpreter_required"] is True
    assert record.row["names"][0]["family"] == sent["names"][0]["family"]
    assert "related_persons" not in record.row


def test_the_newer_version_wins_whatever_the_order(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A, 2)], [patient(A, 5)], [patient(A, 3)], [patient(A, 5)])
    assert version_of(home, A) == 5
    assert outcomes(home, "pds_patient", 3) == {"unchanged": 1}
    assert outcomes(home, "pds_patient", 4) == {"unchanged": 1}


def test_a_later_full_deletes_what_it_lacks_and_keeps_what_is_newer(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A), patient(B), patient(C)], [patient(C, 4)])
    home.extract("pds_patient", [patient(A), patient(C, 3)], "full")
    assert (version_of(home, A), version_of(home, B), version_of(home, C)) == (1, None, 4)
    assert outcomes(home, "pds_patient", 3) == {"absent": 1, "unchanged": 2}


def test_a_record_in_a_fulls_quarantine_is_not_absent(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A), patient(B), patient(C)])
    full = home.extract("pds_patient", [patient(A)], "full")
    home.quarantine(full, [B, None, "not a number"])
    assert (version_of(home, B), version_of(home, C)) == (1, None)


def test_a_delete_leaves_a_tombstone_that_an_older_record_cannot_pass(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A, 3)], [removal(A, version_id=4, delete_reason="test")], [patient(A, 4)])
    assert version_of(home, A) is None
    assert outcomes(home, "pds_patient", 3) == {"blocked": 1}


def test_only_a_newer_new_comes_back_from_behind_a_delete(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A, 3)], [removal(A, version_id=4)], [patient(A, 5, action="update")])
    assert version_of(home, A) is None
    home.extract("pds_patient", [patient(A, 5)])
    assert version_of(home, A) == 5


def test_a_delete_of_what_is_not_held_is_remembered(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(B)], [removal(A, version_id=7)], [patient(A, 6)])
    assert outcomes(home, "pds_patient", 2) == {"buried": 1}
    assert version_of(home, A) is None


def test_the_first_extract_is_loaded_whole_only_if_each_row_is_inserted_for_sure(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A), patient(B)])
    assert outcomes(home, "pds_patient", 1) == {"inserted": 2}


def test_of_a_key_sent_twice_in_the_first_extract_the_newest_stands(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A, 5), patient(A, 3), patient(B)])
    assert outcomes(home, "pds_patient", 1) == {"inserted": 2}
    assert version_of(home, A) == 5


def test_a_delete_in_the_first_extract_is_remembered(home: Home) -> None:
    home.extract("pds_patient", [removal(A, version_id=7), patient(B)])
    home.extract("pds_patient", [patient(A, 6)])
    assert outcomes(home, "pds_patient", 1) == {"buried": 1, "inserted": 1}
    assert version_of(home, A) is None


def test_a_tombstone_is_minded_where_no_record_is_held(home: Home) -> None:
    home.extract("pds_patient", [removal(A, version_id=7)])
    home.extract("pds_patient", [patient(A, 6), patient(B)], "full")
    assert outcomes(home, "pds_patient", 2) == {"blocked": 1, "inserted": 1}


def test_an_older_delete_removes_nothing(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A, 9)], [removal(A, version_id=8)])
    assert version_of(home, A) == 9


def test_what_a_full_left_out_comes_back_with_the_next_full(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A, 3), patient(B)])
    home.extract("pds_patient", [patient(B)], "full")
    assert version_of(home, A) is None
    home.extract("pds_patient", [patient(A, 3)])
    assert version_of(home, A) is None, "a late delta is older than the full"
    home.extract("pds_patient", [patient(A, 3), patient(B)], "full")
    assert version_of(home, A) == 3


def test_a_released_row_is_as_old_as_the_extract_it_came_from(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A)])
    plain: dict[str, Any] = {"recorded_at": None}
    home.extract("scr_summary", [summary(B, **plain)], "full")
    home.extract("scr_summary", [summary(A, 5, scr_uuid="newer", **plain)])
    home.extract("scr_summary", [summary(A, 1, scr_uuid="released", **plain)], origin_sequence=1)
    with replica(home) as reader:
        found = reader.summary(int(A))
    assert found is not None
    assert found["scr_uuid"] == "newer"


def test_summaries_are_ordered_by_when_they_were_recorded(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A)])
    rows_of(home, "scr_summary", [summary(A, 2)], [summary(A, 4)], [summary(A, 3)])
    with replica(home) as reader:
        found = reader.summary(int(A))
    assert found is not None
    assert (found["scr_uuid"], found["nhs_number"], found["permission"]) == (f"{A}-4", A, "Yes")
    assert found["sections"][0]["html"] == "<p>4</p>"


def test_a_withdrawn_summary_leaves_a_tombstone_with_its_reason(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A)])
    withdrawn = removal(A, recorded_at=moment(3), delete_reason="withdrawn")
    rows_of(home, "scr_summary", [summary(A, 2)], [withdrawn], [summary(A, 3)])
    place = build(home)
    with ReplicaReader(place.replica) as reader:
        assert reader.summary(int(A)) is None
    with place.database(home.settings) as connection:
        found = connection.execute(f"SELECT feed, kind, reason FROM {TOMBSTONE_TABLE}").fetchall()
    assert found == [("scr_summary", "delete", "withdrawn")]


def test_an_invalidated_record_keeps_a_marker_and_nothing_of_the_person(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A)], [patient(A, 2, security="REDACTED")])
    place = build(home)
    with ReplicaReader(place.replica) as reader:
        record = reader.patient(int(A))
        assert reader.related(int(A)) == []
    assert record is not None
    assert (record.version_id, record.security) == (2, "REDACTED")
    known = {name for name, value in record.row.items() if value is not None}
    assert known == {"nhs_number", "version_id", "security"}


def test_a_newer_record_ends_an_invalidation(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A, 2, security="REDACTED")], [patient(A, 3)])
    with replica(home) as reader:
        record = reader.patient(int(A))
    assert record is not None
    assert record.security == "U"


def test_a_superseded_number_leads_to_the_new_record_over_chains(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A), patient(B), patient(C)])
    rows_of(home, "pds_number_change", [change(A, B)], [change(B, C)])
    with replica(home) as reader:
        assert reader.patients([int(A), int(B), int(C)]).keys() == {int(C)}
        assert reader.number_change(int(A)) == NumberChange(int(A), int(B), "superseded")
        assert reader.current_number(int(A)) == int(C)
        assert reader.current_number(int(C)) == int(C)


def test_a_record_sent_under_a_superseded_number_is_not_shown(home: Home) -> None:
    rows_of(home, "pds_number_change", [change(A, B)])
    rows_of(home, "pds_patient", [patient(A)], [patient(A, 2)])
    with replica(home) as reader:
        assert reader.patient(int(A)) is None
        assert reader.current_number(int(A)) == int(B)
        assert reader.patient(int(B)) is None, "not held yet: answered as not found"


def test_an_invalidated_number_is_never_linked(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A), patient(B)])
    rows_of(home, "pds_number_change", [change(A, None)], [change(B, A)])
    with replica(home) as reader:
        assert reader.patients([int(A), int(B)]) == {}
        assert reader.number_change(int(A)) == NumberChange(int(A), None, "invalidated")
        assert reader.current_number(int(A)) is None
        assert reader.current_number(int(B)) is None


@pytest.mark.parametrize(
    "events",
    [
        [change(A, A)],
        [change(A, B), change(B, A)],
        [change(A, B), change(B, C), change(C, A)],
        [change(A, None, change_type="superseded")],
        [change(A, B, change_type="invalidated")],
    ],
    ids=["itself", "two", "three", "by nothing", "invalidated with a number"],
)
@pytest.mark.parametrize("apart", [True, False], ids=["extracts", "one extract"])
def test_cycles_and_contradictions_are_refused(home: Home, events: list[Row], *, apart: bool) -> None:
    rows_of(home, "pds_patient", [patient(A), patient(B), patient(C)])
    for rows in [[event] for event in events] if apart else [events]:
        home.extract("pds_number_change", rows)
    place = build(home)
    refused = sum(item.counts.get("refused", 0) for item in place.state.applied)
    assert refused == 1
    with ReplicaReader(place.replica) as reader:
        assert reader.number_change(int(events[-1]["nhs_number"])) is None
        held = reader.patients([int(A), int(B), int(C)])
    assert len(held) == 3 - (len(events) - 1)


def test_the_newest_event_of_an_old_number_stands(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(B), patient(C)])
    late = change(A, B, recorded_at=moment(1))
    rows_of(home, "pds_number_change", [change(A, C, recorded_at=moment(2))], [late], [late])
    with replica(home) as reader:
        assert reader.current_number(int(A)) == int(C)


def test_summaries_move_to_the_new_number_and_the_newest_is_shown(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A), patient(B)])
    rows_of(home, "scr_summary", [summary(A, 3), summary(B, 2)])
    rows_of(home, "pds_number_change", [change(A, B)])
    with replica(home) as reader:
        assert reader.summary(int(A)) is None
        found = reader.summary(int(B))
    assert found is not None
    assert (found["nhs_number"], found["scr_uuid"]) == (B, f"{A}-3")


def test_a_delete_under_the_old_number_spares_the_new_numbers_own_summary(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(B)])
    rows_of(home, "pds_number_change", [change(A, B)])
    rows_of(home, "scr_summary", [summary(A, 3), summary(B, 2)], [removal(A, recorded_at=moment(9))])
    with replica(home) as reader:
        found = reader.summary(int(B))
    assert found is not None
    assert found["scr_uuid"] == f"{B}-2"


def test_a_summary_without_its_patient_waits_and_is_tried_again(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A), patient(C, security="REDACTED")])
    rows_of(home, "scr_summary", [summary(A), summary(B), summary(C)])
    place = build(home)
    assert {table.table: table.rows for table in place.state.tables}[WAITING_TABLE] == 2
    with ReplicaReader(place.replica) as reader:
        assert reader.summary(int(B)) is None
        assert reader.summary(int(C)) is None
    home.extract("pds_patient", [patient(B), patient(C, 2)])
    with replica(home) as reader:
        assert reader.summary(int(B)) is not None
        assert reader.summary(int(C)) is not None


def test_a_delta_of_nothing_is_applied(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A)], [])
    assert outcomes(home, "pds_patient", 2) == {}


def test_validated_files_that_lack_rows_stop_the_build(home: Home) -> None:
    entry = home.extract("pds_patient", [patient(A)], "full")
    (home.stores.stage("validated", "pds_patient", "PDS", entry.sequence) / "part-00000.parquet").unlink()
    with pytest.raises(PermanentFault, match=r"pds_patient/PDS/1 has 0 validated rows, the ledger 1"):
        build(home)


def test_settling_before_every_extract_is_applied_is_refused(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A)])
    site = home.builder.site
    place = begin(site, "unit")
    with pytest.raises(Refused, match="lacks 1 extracts"):
        settle_replica(site, place)


def test_applying_a_feed_again_changes_nothing(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(A)], [patient(A, 2), removal(B)])
    site = home.builder.site
    place = begin(site, "unit")
    first = apply_feed(site, place, "pds_patient")
    assert apply_feed(site, place, "pds_patient") == first


def test_many_numbers_are_read_in_batches(home: Home) -> None:
    rows_of(home, "pds_patient", [patient(number) for number in NUMBERS[:150]])
    with replica(home) as reader:
        found = reader.patients([int(number) for number in NUMBERS[:200]] * 2)
    assert sorted(found) == sorted(int(number) for number in NUMBERS[:150])
