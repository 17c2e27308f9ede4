"""Several deliveries over several runs: order, gaps, duplicates, re-sent corrections, approvals, answers."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.landing.approve import approve_shrink
from assets.landing.land import land, pending
from assets.validated.validate import report_of, validate
from schemas.errors import Refused
from search_api.ops.ledger import ExtractEntry
from tests.lib.extracts import House, delivery, house, no_opinion, patient

FEED = "pds_patient"
NOW = datetime(2026, 5, 20, tzinfo=UTC)


@pytest.fixture
def made(tmp_path: Path) -> House:
    return house(tmp_path)


def send(made: House, sequence: int, count: int = 20, **fields: Any) -> Path:
    action = "new" if fields.get("kind", "full" if sequence == 1 else "delta") == "full" else "update"
    rows = [patient(index, action=action, version_id=3 + sequence) for index in range(count)]
    return delivery(rows, made.stores.home, sequence=sequence, **fields).write(made.stores.drop)


def run(made: House) -> list[tuple[int, str, str]]:
    """Land and validate; (sequence, outcome, rule or code) of what changed, by sequence."""
    landed = land(made.stores, made.ledger, made.settings, FEED, now=NOW)
    settled = validate(made.stores, made.ledger, made.settings, FEED, auditor=no_opinion)
    changed = {entry.id: entry for entry in [*landed, *settled]}
    return sorted((entry.sequence, entry.outcome, entry.rule) for entry in changed.values())


def answer(made: House, sequence: int) -> dict[str, Any]:
    answered: dict[str, Any] = json.loads(made.stores.ack(FEED, "PDS", sequence).read_bytes())
    return answered


def sequences(entries: list[ExtractEntry]) -> list[int]:
    return [entry.sequence for entry in entries]


def test_three_deliveries_go_through_in_order_in_one_run(made: House) -> None:
    for sequence in (3, 1, 2):
        send(made, sequence)
    assert run(made) == [(1, "accepted", ""), (2, "accepted", ""), (3, "accepted", "")]
    assert sequences(made.ledger.validated(FEED)) == [1, 2, 3]
    assert run(made) == []
    assert pending(made.stores, made.ledger, FEED) == []


def test_a_gap_holds_what_follows_until_it_is_filled(made: House) -> None:
    for sequence in (1, 3, 4):
        send(made, sequence)
    assert run(made) == [(1, "accepted", ""), (3, "deferred", "GAP"), (4, "deferred", "GAP")]
    assert answer(made, 3)["outcome"] == "deferred"
    assert len(pending(made.stores, made.ledger, FEED)) == 2
    assert run(made) == []
    send(made, 2)
    assert run(made) == [(2, "accepted", ""), (3, "accepted", ""), (4, "accepted", "")]
    assert answer(made, 3)["code"] == "FILE_ACCEPTED"


def test_a_later_full_closes_the_gap_and_overtakes_what_was_held(made: House) -> None:
    for sequence in (1, 3):
        send(made, sequence)
    run(made)
    send(made, 4, kind="full")
    assert (4, "accepted", "") in run(made)
    assert run(made) == [(3, "refused", "OVERTAKEN")]
    assert made.ledger.refusals(FEED) == []
    send(made, 5)
    assert run(made) == [(5, "accepted", "")]
    assert sequences(made.ledger.validated(FEED)) == [1, 4, 5]


def test_a_delivery_that_comes_late_behind_a_full_is_refused(made: House) -> None:
    for sequence in (1, 2):
        send(made, sequence)
    send(made, 4, kind="full")
    run(made)
    send(made, 3)
    assert run(made) == [(3, "refused", "OLDER")]
    assert made.ledger.refusals(FEED)[0].code == "FILE_OLDER"


def test_a_refused_sequence_may_be_sent_again_corrected(made: House) -> None:
    send(made, 1)
    send(made, 2, control=1)
    send(made, 3)
    assert run(made) == [(1, "accepted", ""), (2, "refused", "FILE_CONTROL"), (3, "deferred", "GAP")]
    assert sequences(made.ledger.refusals(FEED)) == [2, 3]
    assert run(made) == []
    send(made, 2)
    assert run(made) == [(2, "accepted", ""), (3, "accepted", "")]
    assert made.ledger.refusals(FEED) == []
    assert answer(made, 2)["code"] == "FILE_ACCEPTED"


def test_the_same_bytes_again_change_nothing_and_are_answered_again(made: House) -> None:
    folder = send(made, 1)
    run(made)
    before = made.stores.ack(FEED, "PDS", 1).read_bytes()
    made.stores.ack(FEED, "PDS", 1).unlink()
    for path in folder.iterdir():
        os.utime(path, ns=(1, 1))
    assert run(made) == [(1, "refused", "SAME_AGAIN")]
    assert made.stores.ack(FEED, "PDS", 1).read_bytes() == before
    assert made.ledger.refusals(FEED) == []
    assert sequences(made.ledger.validated(FEED)) == [1]
    assert run(made) == []


def test_other_bytes_under_a_committed_sequence_raise_an_alert(made: House) -> None:
    send(made, 1)
    run(made)
    before = answer(made, 1)
    send(made, 1, count=21)
    assert run(made) == [(1, "refused", "OTHER_BYTES")]
    [refusal] = [entry for entry in made.ledger.entries(FEED) if entry.outcome == "refused"]
    assert (refusal.code, refusal.quiet) == ("FILE_DUPLICATE", False)
    assert answer(made, 1) == before
    [beside] = made.stores.ack(FEED, "PDS", 1).parent.glob("00000001.duplicate-*.json")
    assert json.loads(beside.read_bytes())["code"] == "FILE_DUPLICATE"
    assert made.accepted(sequence=1).height == 20
    assert run(made) == []


def test_a_committed_manifest_with_other_data_is_a_wrong_duplicate(made: House) -> None:
    folder = send(made, 1)
    run(made)
    [data] = folder.glob("rows.*")
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    assert run(made) == [(1, "refused", "OTHER_BYTES")]


def test_a_supplier_may_clear_away_what_was_taken(made: House) -> None:
    folder = send(made, 1)
    run(made)
    [data] = folder.glob("rows.*")
    data.unlink()
    assert run(made) == [(1, "refused", "SAME_AGAIN")]
    (folder / "manifest.json").unlink()
    assert run(made) == []
    assert sequences(made.ledger.validated(FEED)) == [1]


def test_a_shrunken_full_passes_once_someone_approves_these_bytes(made: House) -> None:
    send(made, 1)
    run(made)
    send(made, 2, count=10, kind="full")
    assert run(made) == [(2, "refused", "SHRUNK")]
    [refusal] = made.ledger.refusals(FEED)
    approve_shrink(made.ledger, refusal, "ops-7", "A region moved to another supplier.")
    assert len(pending(made.stores, made.ledger, FEED)) == 1
    assert run(made) == [(2, "accepted", "")]
    assert sequences(made.ledger.validated(FEED)) == [1, 2]
    # The next full is measured against this one, and other bytes need another approval.
    send(made, 3, count=5, kind="full")
    assert run(made) == [(3, "refused", "SHRUNK")]


def test_only_a_shrunken_full_can_be_approved_and_only_with_a_reason(made: House) -> None:
    send(made, 1, control=1)
    run(made)
    [refusal] = made.ledger.refusals(FEED)
    with pytest.raises(Refused, match="shrinking"):
        approve_shrink(made.ledger, refusal, "ops-7", "because")
    refusal.code = "FILE_SHRINK"
    with pytest.raises(Refused, match="reason"):
        approve_shrink(made.ledger, refusal, "ops-7", "  ")


def test_an_empty_delta_is_accepted_and_shows_the_source_is_alive(made: House) -> None:
    send(made, 1)
    send(made, 2, count=0)
    assert run(made) == [(1, "accepted", ""), (2, "accepted", "")]
    assert made.accepted(sequence=2).height == 0
    latest = made.ledger.latest(FEED, "PDS")
    assert latest is not None
    assert latest.as_at == datetime(2026, 5, 2, 3, tzinfo=UTC)


def test_an_empty_delta_without_files_is_accepted(made: House) -> None:
    send(made, 1)
    empty = delivery([], made.stores.home, sequence=2, files=[])
    empty.files.clear()
    empty.write(made.stores.drop)
    assert run(made)[-1] == (2, "accepted", "")


def test_receipt_comes_before_result(made: House) -> None:
    send(made, 1)
    land(made.stores, made.ledger, made.settings, FEED, now=NOW)
    receipt = json.loads(made.stores.ack(FEED, "PDS", 1).with_name("00000001.receipt.json").read_bytes())
    assert (receipt["stage"], receipt["code"]) == ("receipt", "FILE_RECEIVED")
    assert not made.stores.ack(FEED, "PDS", 1).exists()
    validate(made.stores, made.ledger, made.settings, FEED, auditor=no_opinion)
    assert (answer(made, 1)["stage"], answer(made, 1)["code"]) == ("result", "FILE_ACCEPTED")


def test_a_lost_answer_is_written_again(made: House) -> None:
    send(made, 1)
    run(made)
    made.stores.ack(FEED, "PDS", 1).unlink()
    assert run(made) == []
    assert answer(made, 1)["code"] == "FILE_ACCEPTED"


def test_what_is_landed_is_a_copy_the_supplier_cannot_change(made: House) -> None:
    folder = send(made, 1)
    land(made.stores, made.ledger, made.settings, FEED, now=NOW)
    [data] = folder.glob("rows.*")
    landed = made.stores.stage("landing", FEED, "PDS", 1) / data.name
    delivered = data.read_bytes()
    assert not landed.samefile(data)
    with data.open("r+b") as file:
        file.write(b"XXXX")
    assert landed.read_bytes() == delivered


def test_what_holds_patients_is_closed_to_others(made: House) -> None:
    send(made, 1)
    run(made)
    for stage in ("landing", "validated", "quarantine"):
        folder = made.stores.stage(stage, FEED, "PDS", 1)
        assert folder.stat().st_mode & 0o077 == 0
        assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


def test_the_report_beside_the_parts_adds_up(made: House) -> None:
    send(made, 1)
    run(made)
    [entry] = made.ledger.validated(FEED)
    report = report_of(made.stores, entry)
    assert report["received"] == report["accepted"] == entry.record_count
    assert report["control"] == entry.control


def test_days_between_windows_do_not_matter_but_going_back_does(made: House) -> None:
    send(made, 1)
    send(made, 2, window_to=(NOW - timedelta(days=1)).isoformat())
    send(made, 3)
    assert run(made)[-1] == (3, "refused", "OLDER")
