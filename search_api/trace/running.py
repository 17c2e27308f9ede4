"""A trace from file to file: chunks over processes, the access log before each answer, the join at the end.

Belongs here: the order of the steps, and what a second run goes on with. Does not belong here: the steps
(``form.py``, ``processes.py``, ``work.py``), who may ask, the command line.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, select

from schemas.errors import GenerationError, PassingFault, Refused
from search_api.access.audit import AuditLog, AuditUnavailable
from search_api.access.audit_store import EVENTS
from search_api.access.context import AccessEvent, Caller
from search_api.durable import sync_folder
from search_api.index.engines import index_engine
from search_api.opened import Generation
from search_api.settings import Settings
from search_api.sources import generation_source
from search_api.trace.form import Chunk, Form, check_target, digest, inspect
from search_api.trace.processes import Job, Processes, pinned
from search_api.trace.rules import TraceRules
from search_api.trace.work import Identity, Seen, Work

POLICY = "trace"
_NAMESPACE = uuid.UUID("7b1c3f0e-6f0b-4d0e-9d1c-2f6a1f1f5c11")

Shown = Callable[[int, int], None]


class Cancelled(Refused):
    """Whoever asked for the trace called it off; what was answered stays recorded."""

    code = "CANCELLED"


@dataclass(frozen=True)
class Order:
    """What is to be traced: from where to where, for whom and why. ``work`` is the run's folder, ``run`` its name in
    the access log, made up when it is empty."""

    source: Path
    target: Path
    work: Path
    caller: Caller
    reason: str = ""
    restart: bool = False
    end_user_organisation: str | None = None
    run: str = ""


@dataclass(frozen=True)
class Watcher:
    """Who follows a run: told of rows done and of all rows; asked whether to go on."""

    shown: Shown = lambda _done, _total: None
    cancelled: Callable[[], bool] = lambda: False


@dataclass
class Result:
    """What a run came to."""

    generation: str
    rows: int
    outcomes: Counter[str] = field(default_factory=Counter)
    resumed: int = 0


def trace_file(settings: Settings, order: Order, watcher: Watcher | None = None) -> Result:
    """Trace a file; a second call after a kill goes on where the first was.

    Raises FileRefused for a file that is none, Refused when something else is under way or has changed,
    PassingFault when the access log cannot be written, GenerationError when there is nothing to ask.
    """
    work = Work(order.work)
    with work.locked():
        form = inspect(order.source)
        check_target(form, order.target)
        generation = current_generation(settings)
        with closing(AuditLog(settings)) as audit, pinned(settings, generation) as opened:
            identity = work.begin(_identity(settings, order, opened), restart=order.restart)
            run = _Run(settings, order, form, _Log(audit, order, identity), work)
            result = run.through(watcher or Watcher(), generation)
        if sum(result.outcomes.values()) != form.rows or digest(order.source) != identity.source:
            raise Refused("The file changed while it was traced.", remedy="Trace it anew with --restart.")
        _join(form, work, order.target)
        work.remove()
    return result


def current_generation(settings: Settings) -> str:
    """The published generation. Raises GenerationError when there is none."""
    current = generation_source(settings, index_engine(settings)).current()
    if current is None:
        raise GenerationError("No generation is published.", remedy="Bring in an extract with ncrs ingest.")
    return current.generation


def _identity(settings: Settings, order: Order, generation: Generation) -> Identity:
    rules = TraceRules.of(settings).digest(generation.weights)
    name = generation.manifest.generation
    return Identity(digest(order.source), name, rules, settings.trace_chunk_rows, order.run or str(uuid.uuid4()))


@dataclass(frozen=True)
class _Run:
    settings: Settings
    order: Order
    form: Form
    log: _Log
    work: Work

    def through(self, watcher: Watcher, generation: str) -> Result:
        """Every chunk that is not done, until all are."""
        result = Result(generation, self.form.rows)
        for line in self.work.done.values():
            result.outcomes.update(line["outcomes"])
        result.resumed = sum(result.outcomes.values())
        watcher.shown(result.resumed, self.form.rows)
        if result.resumed < self.form.rows:
            for seen, again in self._answered(generation):
                self.log.record(seen, again=again)
                self.work.finish(seen)
                result.outcomes.update(seen.outcomes)
                watcher.shown(sum(result.outcomes.values()), self.form.rows)
                if watcher.cancelled():
                    raise Cancelled("The trace was called off.", remedy="Ask for it anew.")
        return result

    def _answered(self, generation: str) -> Iterator[tuple[Seen, bool]]:
        """Chunks as they are answered; those that a run before this one answered are not asked again, and marked."""
        job = Job(self.settings, generation, self.form, self.work.folder)
        with Processes(job, self.settings.trace_processes) as processes:
            for chunk in self._missing():
                left = self.work.answered(chunk.index)
                if left is not None:
                    yield left, True
                else:
                    yield from ((seen, False) for seen in processes.hand(chunk))
            yield from ((seen, False) for seen in processes.rest())

    def _missing(self) -> Iterator[Chunk]:
        for chunk in self.form.chunks(self.order.source, self.settings.trace_chunk_rows):
            if chunk.index not in self.work.done:
                yield chunk


@dataclass(frozen=True)
class _Log:
    """The access events of a run: one a chunk, under a request id that follows from run and chunk."""

    audit: AuditLog
    order: Order
    identity: Identity

    def record(self, seen: Seen, *, again: bool) -> None:
        """Return when the event is durable. ``again``: a run before this one answered the chunk, and may have written
        its event, which is not written twice. Only then is it looked for: the log is long, and not sorted by request.
        """
        # With the generation in it: a chunk that is asked anew on another one is another access.
        request_id = str(uuid.uuid5(_NAMESPACE, f"{self.identity.run}/{self.identity.generation}/{seen.index}"))
        if again and _recorded(self.audit.engine, request_id):
            return
        event = AccessEvent(
            policy=POLICY,
            caller=self.order.caller,
            request_id=request_id,
            correlation_id=self.identity.run,
            end_user_organisation=self.order.end_user_organisation,
            generation=self.identity.generation,
            status=200,
            patients=seen.patients,
            detail=f"chunk={seen.index} rows={seen.rows} reason={self.order.reason}".removesuffix(" reason="),
        )
        try:
            self.audit.record_now(event)
        except AuditUnavailable:
            raise PassingFault(
                "The access log cannot be written, so no answer of this trace was kept.",
                remedy="Run `ncrs doctor`, then the same command: it goes on.",
            ) from None


def _recorded(engine: Engine, request_id: str) -> bool:
    with engine.connect() as connection:
        return (
            connection.execute(select(EVENTS.c.sequence).where(EVENTS.c.request_id == request_id)).first() is not None
        )


def _join(form: Form, work: Work, target: Path) -> None:
    """The answer gets its name whole, in one step, closed to others."""
    fresh = work.folder / f"joined{form.suffix}"
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    form.join(work.parts(), fresh)
    fresh.replace(target)
    sync_folder(target.parent)
