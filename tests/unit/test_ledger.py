"""The ledger: one commit per sequence, order, refusals, released rows, crash and concurrency."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from schemas.errors import ConfigurationError
from search_api.ops.database import control_engine, reading, write_connection
from search_api.ops.ledger import ExtractApproval, ExtractEntry, Ledger, QuarantineDecision

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def entry(sequence: int, outcome: str = "accepted", **more: object) -> ExtractEntry:
    values: dict[str, object] = {
        "feed": "pds_patient",
        "source": "PDS",
        "sequence": sequence,
        "fingerprint": f"f{sequence}",
        "sha256": "0" * 64,
        "kind": "delta",
        "as_at": NOON,
        "outcome": outcome,
        "received_at": NOON,
    }
    return ExtractEntry(**{**values, **more})


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return control_engine(f"sqlite:///{tmp_path / 'control' / 'control.db'}")


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return Ledger(engine)


def test_validated_gives_committed_extracts_in_order(ledger: Ledger) -> None:
    for sequence, outcome in ((3, "partial"), (1, "accepted"), (2, "refused"), (4, "landed"), (5, "deferred")):
        ledger.record(entry(sequence, outcome))
    assert [(e.sequence, e.outcome) for e in ledger.validated("pds_patient")] == [(1, "accepted"), (3, "partial")]
    assert ledger.validated("scr_summary") == []


def test_latest_is_committed_and_head_counts_what_has_landed(ledger: Ledger) -> None:
    assert ledger.latest("pds_patient", "PDS") is None
    for sequence, outcome in ((1, "accepted"), (2, "landed"), (3, "refused")):
        ledger.record(entry(sequence, outcome))
    latest, head = ledger.latest("pds_patient", "PDS"), ledger.head("pds_patient", "PDS")
    assert latest is not None
    assert latest.sequence == 1
    assert head is not None
    assert head.sequence == 2


def test_last_full_is_the_last_committed_full(ledger: Ledger) -> None:
    for sequence, kind, outcome in ((1, "full", "accepted"), (2, "delta", "accepted"), (3, "full", "refused")):
        ledger.record(entry(sequence, outcome, kind=kind))
    last = ledger.last_full("pds_patient", "PDS")
    assert last is not None
    assert last.sequence == 1


def test_the_same_attempt_is_one_row(ledger: Ledger) -> None:
    ledger.record(entry(1, "landed"))
    ledger.record(entry(1, "accepted"))
    assert [e.outcome for e in ledger.entries("pds_patient")] == ["accepted"]


def test_one_sequence_is_committed_once(ledger: Ledger) -> None:
    ledger.record(entry(1, "accepted"))
    ledger.record(entry(1, "refused", fingerprint="other bytes"))
    with pytest.raises(IntegrityError, match="UNIQUE"):
        ledger.record(entry(1, "partial", fingerprint="third bytes"))


def test_a_refusal_stands_until_its_sequence_is_mended(ledger: Ledger) -> None:
    ledger.record(entry(1, "refused", code="FILE_MALFORMED"))
    ledger.record(entry(2, "deferred", code="FILE_DEFERRED_GAP"))
    ledger.record(entry(3, "refused", code="FILE_DUPLICATE", quiet=True))
    assert [e.sequence for e in ledger.refusals("pds_patient")] == [1, 2]
    ledger.record(entry(1, "accepted", fingerprint="mended"))
    assert [e.sequence for e in ledger.refusals("pds_patient")] == [2]


def test_released_rows_stay_part_of_what_is_built(ledger: Ledger) -> None:
    ledger.record(entry(1, kind="full"))
    ledger.record(entry(1, source="PDS.released", origin_sequence=1))
    ledger.record(entry(2))
    assert [(e.source, e.sequence) for e in ledger.validated("pds_patient")] == [
        ("PDS", 1),
        ("PDS", 2),
        ("PDS.released", 1),
    ]
    ledger.record(entry(3, kind="full"))
    assert {e.source for e in ledger.validated("pds_patient")} == {"PDS", "PDS.released"}


def test_moments_keep_their_instant_whatever_their_offset(ledger: Ledger) -> None:
    summer = datetime(2026, 5, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    ledger.record(entry(1, as_at=summer))
    [stored] = ledger.entries("pds_patient")
    assert stored.as_at == NOON
    assert stored.as_at.tzinfo is UTC


def test_a_moment_without_offset_is_not_stored(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="without an offset"):
        ledger.record(entry(1, as_at=datetime(2026, 5, 1)))  # noqa: DTZ001
    assert ledger.entries("pds_patient") == []


def test_standing_and_attempt_tell_bytes_apart(ledger: Ledger) -> None:
    ledger.record(entry(1, "refused", fingerprint="a"))
    assert ledger.standing("pds_patient", "PDS", 1) is None
    ledger.record(entry(1, "landed", fingerprint="b"))
    standing = ledger.standing("pds_patient", "PDS", 1)
    assert standing is not None
    assert standing.fingerprint == "b"
    assert ledger.attempt("pds_patient", "PDS", 1, "a") is not None
    assert ledger.attempt("pds_patient", "PDS", 1, "c") is None


def test_an_approval_holds_for_exactly_these_bytes(ledger: Ledger) -> None:
    ledger.approve(
        ExtractApproval(
            feed="pds_patient",
            source="PDS",
            sequence=2,
            sha256="a" * 64,
            code="FILE_SHRINK",
            actor="ops-1",
            reason="Practice closed, confirmed by the supplier.",
            approved_at=NOON,
        )
    )
    assert ledger.approved("pds_patient", "PDS", 2, "a" * 64) == {"FILE_SHRINK"}
    assert ledger.approved("pds_patient", "PDS", 2, "b" * 64) == frozenset()


def test_decisions_come_back_in_order(ledger: Ledger) -> None:
    for action in ("view", "release"):
        ledger.decide(
            QuarantineDecision(
                feed="pds_patient",
                source="PDS",
                sequence=1,
                row_no=7,
                action=action,
                actor="u1",
                reason="because",
                decided_at=NOON,
            )
        )
    assert [decision.action for decision in ledger.decisions("pds_patient")] == ["view", "release"]


def test_sqlite_is_opened_durable_and_patient(engine: Engine) -> None:
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 15000}


@pytest.mark.parametrize("url", ["nonsense", "oracle+nothing://host/db"])
def test_an_address_that_cannot_be_used_is_named_as_such(url: str) -> None:
    with pytest.raises(ConfigurationError):
        control_engine(url)


WRITER = """
import sys
from datetime import UTC, datetime
from search_api.ops.database import control_engine, reading, write_connection
from search_api.ops.ledger import ExtractEntry, Ledger
ledger = Ledger(control_engine(sys.argv[1]))
for sequence in range(1, 26):
    ledger.record(ExtractEntry(feed="pds_patient", source=sys.argv[2], sequence=sequence, fingerprint="f",
        sha256="0", outcome="accepted", received_at=datetime.now(UTC)))
    print(sequence, flush=True)
"""


def test_two_processes_write_at_once_and_lose_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'control.db'}"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, url, name], stdout=subprocess.DEVNULL) for name in ("A", "B")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(Ledger(control_engine(url)).entries("pds_patient")) == 50


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'control.db'}"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, url, "A"], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for line in writer.stdout:
        acknowledged = int(line)
        if acknowledged == 10:
            writer.kill()
            break
    writer.wait()
    writer.stdout.close()
    assert len(Ledger(control_engine(url)).validated("pds_patient")) >= 10


def decision(row_no: int) -> QuarantineDecision:
    return QuarantineDecision(
        feed="pds_patient", source="PDS", sequence=1, row_no=row_no, action="release", actor="u1", reason="r",
        decided_at=NOON,
    )  # fmt: skip


def test_a_release_and_its_decision_are_committed_together(ledger: Ledger) -> None:
    first = entry(1, source="PDS.released", origin_sequence=1)
    ledger.commit_release(first, decision(3))
    assert [known.row_no for known in ledger.decisions("pds_patient")] == [3]
    clash = entry(1, source="PDS.released", origin_sequence=1, fingerprint="other")
    with pytest.raises(IntegrityError, match="UNIQUE"):
        ledger.commit_release(clash, decision(4))
    assert [known.row_no for known in ledger.decisions("pds_patient")] == [3]


def test_a_database_of_an_earlier_release_gets_the_columns_it_lacks(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'control.db'}"
    Ledger(control_engine(url)).record(entry(1))
    with write_connection(control_engine(url)) as connection:
        connection.exec_driver_sql("ALTER TABLE extract_entry DROP COLUMN after_sequence")
    [known] = Ledger(control_engine(url)).validated("pds_patient")
    assert (known.sequence, known.after_sequence) == (1, None)


def test_the_database_and_its_log_are_closed_to_others(tmp_path: Path) -> None:
    ledger = Ledger(control_engine(f"sqlite:///{tmp_path / 'control.db'}"))
    ledger.record(entry(1))
    with reading(ledger.engine):
        assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("control.db*")} == {0o600}


@pytest.mark.parametrize(
    ("rows", "shown"), [(1, "withheld (few rows)"), (9, "withheld (few rows)"), (10, "9000000009")]
)
def test_a_control_total_of_few_rows_names_people_and_is_not_shown(rows: int, shown: str) -> None:
    assert entry(1, record_count=rows, control=9000000009).shown_control == shown
