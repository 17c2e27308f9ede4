"""The processes of a run: each opens the generation once, keeps it to the end, and answers chunks.

Belongs here: starting, handing out, hearing back, ending with the parent. Does not belong here: what a row is
answered (``asking.py``), what is done with an answer (``running.py``).
"""

from __future__ import annotations

import gc
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from schemas.errors import NcrsError, PermanentFault
from search_api import cores
from search_api.index.engines import index_engine
from search_api.index.workers import end_with_parent
from search_api.opened import Generation
from search_api.settings import Settings
from search_api.sources import generation_source
from search_api.trace.asking import Tracer
from search_api.trace.cells import cells
from search_api.trace.form import Chunk, Form
from search_api.trace.outcomes import Outcome
from search_api.trace.rows import Refusal, Row, read
from search_api.trace.rules import TraceRules
from search_api.trace.work import Seen, Work
from search_api.withdrawn import withdrawn_now

CHUNKS_A_COLLECTION = 20


@dataclass(frozen=True)
class Job:
    """What a process must know."""

    settings: Settings
    generation: str
    form: Form
    folder: Path


@dataclass(frozen=True)
class Answered:
    """The answer of some rows: bytes, outcomes by name, patients matched."""

    content: bytes
    outcomes: dict[str, int]
    patients: tuple[int, ...]


def answer(chunk: Chunk, form: Form, tracer: Tracer, rules: TraceRules) -> Answered:
    """What became of every row of a chunk, written in the file's own form."""
    traced = tracer.trace([_row(chunk, form, place, fields) for place, fields in enumerate(form.fields(chunk))])
    content = form.written(chunk, [cells(each, rules) for each in traced])
    outcomes = Counter(each.outcome.value for each in traced)
    patients = dict.fromkeys(number for each in traced for number in each.seen)
    return Answered(content, dict(sorted(outcomes.items())), tuple(patients))


def _row(chunk: Chunk, form: Form, place: int, fields: tuple[str, ...] | None) -> Row | Refusal:
    if fields is not None:
        return read(fields)
    return Refusal(Outcome.TOO_MANY_FIELDS if form.surplus(chunk, place) else Outcome.TOO_LITTLE)


class Processes:
    """Some processes that take chunks; use as a context manager."""

    def __init__(self, job: Job, size: int) -> None:
        context = multiprocessing.get_context("spawn")
        cores.roam()  # they run where the thread may that starts them
        self._workers: dict[Connection, BaseProcess] = {}
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        for _ in range(size):
            ours, theirs = context.Pipe()
            worker = context.Process(target=_run, args=(job, theirs), daemon=True)
            worker.start()
            theirs.close()
            self._workers[ours] = worker
            self._idle.append(ours)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.terminate()
            worker.join()

    def hand(self, chunk: Chunk) -> Iterator[Seen]:
        """Hand a chunk to an idle process; gives what was answered meanwhile. Raises what a process said."""
        while not self._idle:
            yield from self._heard()
        connection = self._idle.pop()
        self._busy.add(connection)
        # A process that has ended cannot take it; the next time it is heard, it says so.
        with suppress(OSError):
            connection.send(chunk)

    def rest(self) -> Iterator[Seen]:
        """What is still under way."""
        while self._busy:
            yield from self._heard()

    def _heard(self) -> Iterator[Seen]:
        for ready in wait(list(self._busy)):
            assert isinstance(ready, Connection)  # noqa: S101 - only connections are waited for
            try:
                said = ready.recv()
            except (EOFError, ConnectionError):
                raise PermanentFault(
                    "A process that traces ended without a word.",
                    remedy="Look for lack of memory, then run the same command: it goes on.",
                ) from None
            if isinstance(said, NcrsError):
                raise said
            self._busy.discard(ready)
            self._idle.append(ready)
            yield said


def _run(job: Job, connection: Connection) -> None:
    """In a process. Of errors that are not ours only the type and place go on, for their texts may quote a value."""
    from search_api import logging

    end_with_parent()
    try:
        with pinned(job.settings, job.generation) as generation:
            _answer_all(job, connection, generation)
    except (EOFError, ConnectionError):
        return
    except NcrsError as error:
        connection.send(error)
    except Exception as error:  # noqa: BLE001 - sent on, as a fault without its text
        fault = f"A chunk could not be answered: {type(error).__name__} at {logging.place(error)}."
        connection.send(PermanentFault(fault, remedy="This is a fault of the product; please report it."))


def _answer_all(job: Job, connection: Connection, generation: Generation) -> None:
    rules, work = TraceRules.of(job.settings), Work(job.folder)
    tracer = Tracer(generation, rules)
    # Answering makes no cycles, and to look for some takes a twentieth of the time: once in a while is enough.
    gc.disable()
    for turn in count(1):
        chunk: Chunk = connection.recv()
        found = answer(chunk, job.form, tracer, rules)
        connection.send(work.write(chunk.index, found.content, found.outcomes, found.patients))
        if turn % CHUNKS_A_COLLECTION == 0:
            gc.collect()


@contextmanager
def pinned(settings: Settings, name: str) -> Iterator[Generation]:
    """A generation by name, leased and open until the block ends; without the people withdrawn since it was made."""
    source = generation_source(settings, index_engine(settings))
    lease = source.lease(name)
    try:
        with closing(source.open(name, None, verify=False)) as generation:
            yield withdrawn_now(settings).over(generation)
    finally:
        lease.release()
