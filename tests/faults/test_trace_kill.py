"""A trace killed at any moment: the next run gives the same bytes, and no row is asked or recorded twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select

from schemas.errors import PermanentFault, Refused
from search_api.access.audit_store import EVENTS, audit_engine
from search_api.trace.form import Chunk
from search_api.trace.processes import Processes
from search_api.trace.work import Seen, Work
from tests.faults.trace_killed import CHUNK_ROWS, settings_of
from tests.lib import forked
from tests.lib.api import cast_home
from tests.lib.trace_files import answers, many, text_of, traced

ROWS = 45
CHUNKS = -(-ROWS // CHUNK_ROWS)
HOME = cast_home


class Place:
    """A file to trace, with an access log of its own."""

    def __init__(self, folder: Path) -> None:
        self.audit = folder / "audit.db"
        self.source = folder / "rows.csv"
        self.source.write_bytes(text_of(many(ROWS)).encode())
        self.work = folder / ".work"
        self.settings = settings_of(HOME().home, self.audit)

    def program(self, at: int) -> list[str]:
        return ["tests.faults.trace_killed", str(HOME().home), str(self.audit), str(self.source), str(at)]

    def killed(self, at: int) -> None:
        done = forked.run(*self.program(at))
        assert done.returncode == -signal.SIGKILL, done.stderr

    def answered(self) -> set[int]:
        """Chunks whose answer is whole, recorded or not."""
        return {int(path.stem) for path in self.work.iterdir() if path.suffix in (".seen", ".rows")}

    def recorded(self) -> list[int]:
        """The chunk of each access event."""
        with audit_engine(f"sqlite:///{self.audit}").connect() as connection:
            found = connection.execute(select(EVENTS.c.detail).where(EVENTS.c.policy == "trace")).scalars().all()
        return sorted(int(text.split()[0].removeprefix("chunk=")) for text in found)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = Place(tmp_path_factory.mktemp("undisturbed"))
    result, target = traced(place.settings, place.source)
    assert (result.rows, sum(result.outcomes.values())) == (ROWS, ROWS)
    assert place.recorded() == list(range(CHUNKS))
    assert not place.work.exists()
    return target.read_bytes()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The chunks that are asked."""
    seen: list[int] = []
    plain = Processes.hand

    def hand(self: Processes, chunk: Chunk) -> Iterator[Seen]:
        seen.append(chunk.index)
        return plain(self, chunk)

    monkeypatch.setattr(Processes, "hand", hand)
    return seen


# Steps: begun (journal), then of each chunk: event, name given, journal line, each before and after; join; removal.
@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 3, 4, 5, 7, 14, 32, 34])
def test_killed_around_any_durable_step(place: Place, undisturbed: bytes, handed: list[int], at: int) -> None:
    place.killed(at)
    answered = place.answered() if place.work.exists() else set()
    result, target = traced(place.settings, place.source)
    assert target.read_bytes() == undisturbed
    assert place.recorded() == list(range(CHUNKS))
    assert not answered & set(handed)
    assert sorted({*answered, *handed}) == list(range(CHUNKS))
    assert sum(result.outcomes.values()) == ROWS


@pytest.mark.slow
def test_killed_again_and_again(place: Place, undisturbed: bytes) -> None:
    """By the clock, wherever it happens to be, its processes left to end by themselves."""
    for files in (1, 2, 4):
        child = forked.Forked(*place.program(0))
        _until_answered(place, files, child)
        child.kill()
        child.wait()
    _, target = traced(place.settings, place.source)
    assert target.read_bytes() == undisturbed
    assert place.recorded() == list(range(CHUNKS))


def _until_answered(place: Place, files: int, child: forked.Forked) -> None:
    deadline = time.monotonic() + 120
    while child.poll() is None and time.monotonic() < deadline:
        if place.work.exists() and len(place.answered()) >= files:
            return
        time.sleep(0.005)


def test_a_process_that_is_killed_is_told_of_and_the_run_goes_on_afterwards(
    place: Place, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Work.finish

    def finish(self: Work, seen: Seen) -> None:
        plain(self, seen)
        for worker in running_processes:
            os.kill(worker, signal.SIGKILL)

    running_processes: list[int] = []
    begin = Processes.__init__

    def init(self: Processes, *values: object) -> None:
        begin(self, *values)  # type: ignore[arg-type]
        running_processes.extend(worker.pid for worker in self._workers.values() if worker.pid)

    with monkeypatch.context() as patched:
        patched.setattr(Work, "finish", finish)
        patched.setattr(Processes, "__init__", init)
        with pytest.raises(PermanentFault, match="without a word"):
            traced(place.settings, place.source)
    assert place.recorded() == [0]
    result, target = traced(place.settings, place.source)
    assert result.resumed == CHUNK_ROWS
    assert target.read_bytes() == undisturbed


def test_what_has_changed_since_is_refused_and_can_be_begun_anew(place: Place, undisturbed: bytes) -> None:
    place.killed(14)
    whole = place.source.read_bytes()
    place.source.write_bytes(text_of(many(ROWS - 1)).encode())
    with pytest.raises(Refused, match="has changed") as caught:
        traced(place.settings, place.source)
    assert "--restart" in caught.value.remedy
    place.source.write_bytes(whole)
    with pytest.raises(Refused, match="TRACE_CHUNK_ROWS"):
        traced(place.settings.model_copy(update={"trace_chunk_rows": 7}), place.source)
    with pytest.raises(Refused, match="Settings or weights"):
        traced(place.settings.model_copy(update={"trace_no_match": "0000000000"}), place.source)
    result, target = traced(place.settings, place.source, restart=True)
    assert (result.resumed, target.read_bytes()) == (0, undisturbed)


def test_another_generation_is_refused(place: Place) -> None:
    place.killed(14)
    journal = place.work / "journal.ndjson"
    begun, *lines = (line for line in journal.read_bytes().splitlines(keepends=True) if line.strip())
    earlier = orjson.loads(begun) | {"generation": "000000-00000000"}
    journal.write_bytes(b"".join([orjson.dumps(earlier) + b"\n", *lines]))
    with pytest.raises(Refused, match="Another generation"):
        traced(place.settings, place.source)


def test_one_run_at_a_time(place: Place) -> None:
    with Work(place.work).locked(), pytest.raises(Refused, match="already"):
        traced(place.settings, place.source)


def test_what_lies_about_belongs_to_its_owner_alone(place: Place) -> None:
    place.killed(14)
    assert place.work.stat().st_mode & 0o077 == 0
    _, target = traced(place.settings, place.source)
    assert target.stat().st_mode & 0o077 == 0


def test_every_patient_matched_is_recorded_with_who_and_why(place: Place) -> None:
    _, target = traced(place.settings, place.source)
    given = {int(row["MATCHED_NHS_NO"]) for row in answers(target.read_text()) if row["MATCHED_NHS_NO"]}
    with audit_engine(f"sqlite:///{place.audit}").connect() as connection:
        events = connection.execute(select(EVENTS)).mappings().all()
    seen = {number for event in events for number in map(int, event["patients"].strip("[]").split(",")) if number}
    assert given < seen
    assert {event["user_id"] for event in events} == {"a tester"}
    assert all(event["detail"].endswith("reason=a test") for event in events)
