"""The audit log: durable before the answer, one line for all writers, and no row can be touched unseen.

Sources: promises.md R5, X6, X7; services.md 15.3 and 15.4.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import fhirkit
import pytest
from sqlalchemy import event as engine_event

from search_api.access import audit
from search_api.access.audit import AuditLog, AuditUnavailable
from search_api.access.audit_export import export
from search_api.access.audit_report import accesses_to, events, head, verify
from search_api.access.audit_store import ChainHead, audit_engine
from search_api.access.policy import PolicyTable
from search_api.errors import SpineError
from tests.lib.audit import APPLICATION, a_log, an_event, audit_url, request_id

A, B, C = 9000000009, 9000000017, 9000000025


@contextmanager
def closed_after(log: AuditLog) -> Iterator[AuditLog]:
    try:
        yield log
    finally:
        log.close()


def connect_with(log: AuditLog, connection: type[sqlite3.Connection]) -> None:
    """Have the log's connections be of this class from now on."""

    def choose(_dialect: Any, _record: Any, _positional: Any, named: dict[str, Any]) -> None:
        named["factory"] = connection

    engine_event.listen(log.engine, "do_connect", choose)
    log.engine.dispose()


def record_all(log: AuditLog, count: int, *patients: int) -> None:
    async def run() -> None:
        await asyncio.gather(*(log.record(an_event(number, *patients)) for number in range(1, count + 1)))

    asyncio.run(run())


def test_event_is_stored_whole(tmp_path: Path) -> None:
    with closed_after(a_log(tmp_path)) as log:
        asyncio.run(log.record(an_event(1, A, B, correlation_id="c" * 300, detail="TOO_MANY_MATCHES", status=200)))
        (row,) = events(log.engine)
    assert {name: row[name] for name in ("sequence", "policy", "mode", "user_id", "client_id", "status")} == {
        "sequence": 1,
        "policy": "patient-search",
        "mode": "healthcare-worker",
        "user_id": "910000000001",
        "client_id": "ncrs-portal",
        "status": 200,
    }
    assert (row["role_profile_id"], row["role_code"]) == ("920000000001", "S8000:G8000:R8000")
    assert (row["organisation"], row["end_user_organisation"]) == ("RX898", "A83008")
    assert (row["generation"], row["detail"], row["request_id"]) == (
        "20261124T000000Z-0001",
        "TOO_MANY_MATCHES",
        request_id(1),
    )
    assert (json.loads(row["patients"]), row["correlation_id"]) == ([A, B], "c" * 256)
    assert row["at"].endswith("+00:00")


def test_event_is_on_disk_when_record_returns(tmp_path: Path) -> None:
    """Another process sees it at once, while the log is still open."""
    with closed_after(a_log(tmp_path)) as log:
        asyncio.run(log.record(an_event(1, A)))
        code = "import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute('select count(*) from access_event').fetchone()[0])"
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "audit.db")], capture_output=True, text=True, check=True
        )
    assert done.stdout.strip() == "1"


def test_database_waits_for_the_disk(tmp_path: Path) -> None:
    """WAL with synchronous=FULL (2): each commit is an fsync of the log."""
    with closed_after(a_log(tmp_path)) as log, log.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2


def test_many_events_share_a_commit_and_none_is_lost(tmp_path: Path) -> None:
    with closed_after(a_log(tmp_path)) as log:
        commits: list[int] = []

        class Counting(sqlite3.Connection):
            def commit(self) -> None:
                commits.append(1)
                super().commit()

        connect_with(log, Counting)
        record_all(log, 300, A)
        report = verify(log.engine)
        seen = {row["request_id"] for row in events(log.engine)}
    assert report.whole
    assert seen == {request_id(number) for number in range(1, 301)}
    assert 0 < len(commits) < 150, "events that wait together are committed together"


def batches(log: AuditLog) -> list[int]:
    """How many events each commit has, from now on."""
    sizes: list[int] = []
    append = log._appender.append

    def counted(contents: Any) -> ChainHead:
        sizes.append(len(contents))
        return append(contents)

    log._appender.append = counted  # type: ignore[method-assign]
    return sizes


def offer_slowly(log: AuditLog, count: int, seconds: float) -> None:
    """As reading threads do it: one event, then some work, then the next."""
    durable = threading.Semaphore(0)
    for number in range(1, count + 1):
        assert log.offer(an_event(number, A), lambda _: durable.release(), lambda _: durable.release())
        time.sleep(seconds)
    for _ in range(count):
        assert durable.acquire(timeout=5)


def test_an_event_waits_for_those_who_are_about_to_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Till there are enough, however quick a commit is."""
    monkeypatch.setattr(audit, "GATHER_S", 5.0)
    with closed_after(a_log(tmp_path)) as log:
        sizes = batches(log)
        log.coming = lambda: 1
        offer_slowly(log, 2 * audit.ENOUGH, 0.02)
        assert sizes == [audit.ENOUGH] * 2


def test_an_event_waits_for_nobody_where_nobody_is_about_to_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "GATHER_S", 60.0)
    with closed_after(a_log(tmp_path)) as log:
        sizes = batches(log)
        offer_slowly(log, 2, 0.1)
        assert sizes == [1, 1]
        left = [1, 0]  # the second is the last that was to come
        log.coming = lambda: left[0]
        durable = threading.Event()
        log.offer(an_event(3, A), lambda _: None, lambda _: None)
        left.pop(0)
        log.offer(an_event(4, A), lambda _: durable.set(), lambda _: None)
        assert durable.wait(5)


def test_an_event_waits_a_moment_only(tmp_path: Path) -> None:
    """Whoever was about to come may take long, or never come."""
    with closed_after(a_log(tmp_path)) as log:
        log.coming = lambda: 1
        log.record_now(an_event(1, A))
        assert verify(log.engine).events == 1


def test_full_queue_makes_callers_wait(tmp_path: Path) -> None:
    with closed_after(a_log(tmp_path, audit_queue=2, audit_batch=2)) as log:
        record_all(log, 50, A)
        assert verify(log.engine).events == 50


def test_who_looked_at_a_patient(tmp_path: Path) -> None:
    with closed_after(a_log(tmp_path)) as log:
        for number, patients in enumerate([(A,), (A, B), (B,), (A, A)], start=1):
            asyncio.run(log.record(an_event(number, *patients)))
        assert [row.sequence for row in accesses_to(log.engine, A)] == [4, 2, 1]
        assert [row.sequence for row in accesses_to(log.engine, B, limit=1)] == [3]
        assert accesses_to(log.engine, C) == []


def test_record_for_commands(tmp_path: Path) -> None:
    with closed_after(a_log(tmp_path)) as log:
        log.record_now(an_event(1, A, policy="quarantine-show"))
        assert verify(log.engine).events == 1


def test_closed_log_refuses(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    log.record_now(an_event(1))
    log.close()
    with pytest.raises(AuditUnavailable):
        log.record_now(an_event(2))
    with pytest.raises(AuditUnavailable):
        asyncio.run(log.record(an_event(2)))


def test_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        with closed_after(a_log(tmp_path)) as log:
            log.record_now(an_event(number, A))
    engine = audit_engine(audit_url(tmp_path))
    assert (verify(engine).events, verify(engine).whole) == (3, True)
    engine.dispose()


WRITER = """
import asyncio, sys
from pathlib import Path
from tests.lib.audit import a_log, an_event
async def main(first):
    log = a_log(Path(sys.argv[1]))
    await asyncio.gather(*(log.record(an_event(first + n, 9000000009)) for n in range(100)))
    log.close()
asyncio.run(main(int(sys.argv[2])))
"""


def test_several_processes_write_one_line(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(first)], cwd=Path.cwd())
        for first in (1000, 2000, 3000)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    engine = audit_engine(audit_url(tmp_path))
    report = verify(engine)
    engine.dispose()
    assert (report.events, report.whole) == (300, True)


# --- the store fails -----------------------------------------------------------------------------


class SmallDisk:
    """Makes SQLite's file full at its present size, by SQLite's own limit of pages."""

    def __init__(self, log: AuditLog) -> None:
        self.full = False
        disk = self

        class Limited(sqlite3.Connection):
            def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
                self.execute(f"PRAGMA max_page_count={1 if disk.full else 1_000_000}").fetchall()
                return super().cursor(factory)

        connect_with(log, Limited)


def test_full_disk_refuses_everyone_waiting_and_recovers(tmp_path: Path) -> None:
    with closed_after(a_log(tmp_path)) as log:
        disk = SmallDisk(log)
        record_all(log, 5, A)
        disk.full = True
        wide = tuple(range(9000000000, 9000000900))

        async def run() -> list[Any]:
            tries = (log.record(an_event(number, *wide)) for number in range(100, 110))
            return await asyncio.gather(*tries, return_exceptions=True)

        assert {type(result) for result in asyncio.run(run())} == {AuditUnavailable}
        disk.full = False
        record_all(log, 5, A)
        report = verify(log.engine)
    assert (report.events, report.whole) == (10, True)


def test_locked_database_is_503_in_time(tmp_path: Path) -> None:
    with closed_after(a_log(tmp_path, audit_timeout=0.3)) as log:
        log.record_now(an_event(1, A))
        with closing(sqlite3.connect(tmp_path / "audit.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            started = time.monotonic()
            with pytest.raises(SpineError) as caught:
                asyncio.run(log.record(an_event(2, A)))
            assert time.monotonic() - started < 2
            assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "5"})
            other.execute("ROLLBACK")
        wait_until(lambda: verify(log.engine).events == 2)  # recorded, though never shown: the safe side
        log.record_now(an_event(3, A))
        assert verify(log.engine).whole


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        threading.Event().wait(0.02)


def test_caller_that_goes_away_does_not_stop_the_others(tmp_path: Path) -> None:
    async def run(log: AuditLog) -> None:
        gone = asyncio.create_task(log.record(an_event(1, A)))
        await asyncio.sleep(0)
        gone.cancel()
        await log.record(an_event(2, A))

    with closed_after(a_log(tmp_path)) as log:
        asyncio.run(run(log))
        assert {row["request_id"] for row in events(log.engine)} >= {request_id(2)}
        assert verify(log.engine).whole


# --- tampering -----------------------------------------------------------------------------------

COPY = "insert into access_event select {columns} from access_event where sequence = {source}"


def copied(sequence: str, source: int) -> str:
    columns = [name for name in COLUMNS if name != "sequence"]
    return COPY.format(columns=", ".join([sequence, *columns]), source=source)


COLUMNS = (
    "sequence",
    "at",
    "policy",
    "mode",
    "user_id",
    "client_id",
    "role_profile_id",
    "role_code",
    "organisation",
    "end_user_organisation",
    "request_id",
    "correlation_id",
    "generation",
    "status",
    "detail",
    "patients",
    "previous_hash",
    "hash",
)
EDITABLE = [name for name in COLUMNS if name not in ("sequence", "status")]

TAMPERING: dict[str, list[str]] = {
    **{f"edit {name}": [f"update access_event set {name} = 'x' where sequence = 5"] for name in EDITABLE},
    "edit status": ["update access_event set status = 403 where sequence = 5"],
    "clear a value": ["update access_event set end_user_organisation = null where sequence = 5"],
    "delete the first": ["delete from access_event where sequence = 1"],
    "delete one of the middle": ["delete from access_event where sequence = 5"],
    "delete a range": ["delete from access_event where sequence between 4 and 7"],
    "delete and renumber": [
        "delete from access_event where sequence = 5",
        "update access_event set sequence = sequence - 1 where sequence > 5",
    ],
    "cut the tail": ["delete from access_event where sequence >= 9"],
    "delete all": ["delete from access_event"],
    "insert in front": [copied("0", 5)],
    "insert after the end": [copied("11", 5)],
    "insert after the end and move the head": [
        copied("11", 10),
        "update access_chain_head set sequence = 11",
    ],
    "swap two": [
        "update access_event set sequence = 99 where sequence = 4",
        "update access_event set sequence = 4 where sequence = 5",
        "update access_event set sequence = 5 where sequence = 99",
    ],
    "replace one by a copy": ["delete from access_event where sequence = 5", copied("5", 6)],
    "move the head back": ["update access_chain_head set sequence = 9"],
    "change the head's hash": ["update access_chain_head set hash = 'x'"],
    "delete a patient": ["delete from access_event_patient where sequence = 5 and place = 0"],
    "delete all patients": ["delete from access_event_patient"],
    "change a patient": [f"update access_event_patient set nhs_number = {C} where sequence = 5 and place = 1"],
    "add a patient": [f"insert into access_event_patient values (5, 2, {C})"],
    "patient without an event": [f"insert into access_event_patient values (77, 0, {C})"],
    "swap patients": [
        "update access_event_patient set place = 9 where sequence = 5 and place = 0",
        "update access_event_patient set place = 0 where sequence = 5 and place = 1",
        "update access_event_patient set place = 1 where sequence = 5 and place = 9",
    ],
}


@pytest.fixture
def ten_events(tmp_path: Path) -> Path:
    with closed_after(a_log(tmp_path)) as log:
        for number in range(1, 11):
            log.record_now(an_event(number, A, B))
    return tmp_path


def tamper(folder: Path, statements: list[str]) -> None:
    with closing(sqlite3.connect(folder / "audit.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def faults(folder: Path, *anchors: ChainHead) -> list[str]:
    engine = audit_engine(audit_url(folder))
    try:
        return [fault.code for fault in verify(engine, anchors).faults]
    finally:
        engine.dispose()


def test_untouched_log_is_whole(ten_events: Path) -> None:
    assert faults(ten_events) == []


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_found(ten_events: Path, name: str) -> None:
    tamper(ten_events, TAMPERING[name])
    assert faults(ten_events)


def test_an_anchor_outside_finds_what_was_rewritten_in_full(ten_events: Path, tmp_path: Path) -> None:
    """Somebody who owns the database can write a new chain; the head kept elsewhere does not fit it."""
    engine = audit_engine(audit_url(ten_events))
    anchor = head(engine)
    engine.dispose()
    assert faults(ten_events, anchor) == []
    (ten_events / "audit.db").unlink()
    for leftover in ten_events.glob("audit.db-*"):
        leftover.unlink()
    with closed_after(a_log(ten_events)) as log:
        for number in range(1, 11):
            log.record_now(an_event(number, B))
    assert faults(ten_events) == []
    assert faults(ten_events, anchor) == ["ANCHOR_DIFFERS"]
    assert faults(ten_events, ChainHead(11, anchor.hash)) == ["ANCHOR_MISSING"]


def test_report_counts_and_ends(ten_events: Path) -> None:
    engine = audit_engine(audit_url(ten_events))
    report = verify(engine)
    assert (report.events, report.head) == (10, head(engine))
    engine.dispose()


def test_walk_crosses_pages(ten_events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search_api.access.audit_report.PAGE", 3)
    assert faults(ten_events) == []
    tamper(ten_events, TAMPERING["delete one of the middle"])
    assert "SEQUENCE_GAP" in faults(ten_events)


# --- the export ----------------------------------------------------------------------------------


def exported(folder: Path, **bounds: int) -> list[dict[str, Any]]:
    engine = audit_engine(audit_url(folder))
    try:
        return [json.loads(line) for line in export(engine, PolicyTable.load(), **bounds)]
    finally:
        engine.dispose()


def test_export_has_the_national_shape(tmp_path: Path) -> None:
    with closed_after(a_log(tmp_path)) as log:
        log.record_now(an_event(1, A, B))
        log.record_now(an_event(2, A, policy="patient-read", caller=APPLICATION, end_user_organisation=None))
        log.record_now(an_event(3, caller=None, status=401, detail="expired", generation=""))
    search, read, refused = exported(tmp_path)
    assert [entry["action"] for entry in (search, read, refused)] == ["E", "R", "E"]
    assert [entry["outcome"] for entry in (search, read, refused)] == ["0", "0", "4"]
    person, organisation, application = search["agent"]
    assert person["who"]["identifier"] == {"system": "https://fhir.nhs.uk/Id/sds-user-id", "value": "910000000001"}
    assert [role["coding"][0]["code"] for role in person["role"]] == ["920000000001", "S8000:G8000:R8000"]
    assert organisation["who"]["identifier"]["value"] == "RX898"
    assert (application["altId"], application["requestor"]) == ("ncrs-portal", False)
    assert numbers_of(search) == [f"{A}", f"{B}"]
    named = {entity["name"]: entity["what"]["identifier"]["value"] for entity in search["entity"] if "name" in entity}
    assert named == {"XrequestId": request_id(1), "submittedOrganisation": "A83008"}
    assert [agent["requestor"] for agent in read["agent"]] == [False, True]
    assert numbers_of(refused) == []


def numbers_of(entry: dict[str, Any]) -> list[str]:
    found = [entity.get("what", {}).get("identifier", {}) for entity in entry["entity"]]
    return [item["value"] for item in found if item.get("system") == "https://fhir.nhs.uk/Id/nhs-number"]


def test_export_is_valid_fhir(ten_events: Path) -> None:
    entries = exported(ten_events)
    assert [str(issue) for entry in entries for issue in fhirkit.validate(entry) if issue.severity == "error"] == []
    assert fhirkit.validate({**entries[0], "action": 7}), "the validator finds what is wrong"


def test_export_is_bounded(ten_events: Path) -> None:
    def sequences(**bounds: int) -> list[str]:
        return [detail_of(entry, "chainSequence") for entry in exported(ten_events, **bounds)]

    assert sequences(after=8) == ["9", "10"]
    assert sequences(after=3, until=5) == ["4", "5"]
    assert sequences(after=10) == []


def detail_of(entry: dict[str, Any], name: str) -> str:
    details = [detail for entity in entry["entity"] for detail in entity.get("detail", [])]
    return next(detail["valueString"] for detail in details if detail["type"] == name)
