"""From an authorised request to an answer: one generation, one audit event, one response.

Belongs here: the way that every answer holding patient data goes. Does not belong here: what any
slice answers. The order is the promise: the work is done on one pinned generation; the audit event is
durable; only then does the answer leave. If the event cannot be written, nothing is shown (R5).

The thread that did the work hands the event to the audit log itself, and the log's thread wakes the event
loop: a request crosses between threads three times, not four (docs/decisions/0021).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from search_api import logging
from search_api.access.audit import AuditUnavailable
from search_api.access.context import AccessEvent, Caller
from search_api.errors import SpineError
from search_api.handing import Promise
from search_api.headers import RequestHead, generation_headers, read_head
from search_api.opened import Generation
from search_api.responses import fhir, outcome, to_bytes
from search_api.services import Services, services


@dataclass(frozen=True)
class Ask:
    """One authorised request on one generation: all a slice may know."""

    services: Services
    caller: Caller
    generation: Generation
    policy: str


@dataclass(frozen=True)
class Reply:
    """What a slice answers. ``body`` None is an empty body. ``patients``: who is shown, was matched,
    or was asked for by number and not found.

    ``detail`` goes to the audit event: codes and counts only, never a value of the question.
    """

    body: Any
    status: int = 200
    patients: tuple[int, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""


@dataclass(frozen=True)
class Finished:
    """A reply in bytes with the generation it came from; made in the worker thread."""

    reply: Reply
    payload: bytes
    generation: str
    headers: dict[str, str]


Work = Callable[[Ask], Reply]


def head_of(request: Request) -> RequestHead:
    """The head of a request that the gate let through. Raises MISSING_VALUE without X-Request-ID."""
    return read_head(request.headers)


async def answer(request: Request, policy: str, work: Work) -> Response:
    """The response of ``work``, audited. The route's ``requires(policy)`` has run before.

    Raises AuditUnavailable (503) when the event cannot be written, SERVICE_UNAVAILABLE when shed or
    out of time, GenerationError when there is none to answer from.
    """
    parts = services(request)
    asked = Asked(policy, request.state.caller, head_of(request), request.state.end_user_organisation)
    try:
        finished = await _Answering(parts, asked, work).finished()
    except AuditUnavailable:
        parts.metrics.audit_failures.inc()
        logging.event("API020", "error", policy=policy)
        raise
    return fhir(finished.payload, finished.reply.status, finished.headers)


@dataclass(frozen=True)
class Asked:
    """Who asks for what, as the audit event will say it."""

    policy: str
    caller: Caller
    head: RequestHead
    end_user_organisation: str | None

    def event(self, finished: Finished) -> AccessEvent:
        """The event of this answer."""
        return AccessEvent(
            policy=self.policy,
            caller=self.caller,
            request_id=self.head.request_id,
            correlation_id=self.head.correlation_id,
            end_user_organisation=self.end_user_organisation,
            generation=finished.generation,
            status=finished.reply.status,
            patients=finished.reply.patients,
            detail=finished.reply.detail,
        )


class _Answering:
    """One answer on its way: the work in a reading thread, the event in the log's, the outcome in the loop."""

    def __init__(self, parts: Services, asked: Asked, work: Work) -> None:
        self._parts = parts
        self._asked = asked
        self._slice = work
        self._made: Promise[Finished] = Promise()
        self._finished: Finished | None = None
        self._offered = 0.0
        self._late = False
        self._full = False

    async def finished(self) -> Finished:
        """The answer when its event is durable. Raises what ``answer`` raises."""
        worker = self._parts.worker
        worker.begin(self._work, self._worked, self._made.fail)
        timer = asyncio.get_running_loop().call_later(worker.budget, self._run_out)
        try:
            finished = await self._made.future
        finally:
            timer.cancel()
        if self._full:
            await self._parts.audit.record(self._asked.event(finished))
        self._parts.metrics.audit_seconds.observe(time.perf_counter() - self._offered)
        return finished

    def _work(self) -> Finished:
        with self._parts.generations.pin() as generation:
            try:
                reply = self._slice(Ask(self._parts, self._asked.caller, generation, self._asked.policy))
            except SpineError as error:
                reply = Reply(outcome(error), error.status, error.about, error.headers, error.spine_code)
            manifest = generation.manifest
            headers = {**generation_headers(manifest.generation, manifest.as_at), **reply.headers}
            payload = b"" if reply.body is None else to_bytes(reply.body)
            return Finished(reply, payload, manifest.generation, headers)

    def _worked(self, finished: Finished) -> None:
        """In the reading thread: on to the audit log. An answer that nobody waits for is not an access."""
        if self._late:
            return
        self._finished, self._offered = finished, time.perf_counter()
        try:
            taken = self._parts.audit.offer(self._asked.event(finished), self._durable, self._made.fail)
        except AuditUnavailable as error:
            self._made.fail(error)
            return
        if not taken:
            # The log is full: waiting for room is the loop's, so that reading threads go on reading.
            self._full = True
            self._made.keep(finished)

    def _durable(self, _: None) -> None:
        if self._finished is not None:
            self._made.keep(self._finished)

    def _run_out(self) -> None:
        """Time is over for the work, or, when that is done, begins to run for the audit log."""
        future = self._made.future
        if future.done():
            return
        if self._offered:
            asyncio.get_running_loop().call_later(self._parts.audit.timeout, self._unrecorded)
            return
        self._late = True
        future.set_exception(self._parts.worker.overdue())

    def _unrecorded(self) -> None:
        if not self._made.future.done():
            self._made.future.set_exception(AuditUnavailable())
