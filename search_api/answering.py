"""From an authorised request to an answer: one generation, one audit event, one response.

Belongs here: the way that every answer holding patient data goes. Does not belong here: what any
slice answers. The order is the promise: the work is done on one pinned generation; the audit event is
durable; only then does the answer leave. If the event cannot be written, nothing is shown (R5).
"""

from __future__ import annotations

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
    """What a slice answers. ``body`` None is an empty body. ``patients``: who is shown or was matched.

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
    head = head_of(request)
    parts = services(request)
    caller: Caller = request.state.caller
    finished = await parts.worker.run(lambda: _work(parts, caller, policy, work))
    await _audit(parts, request, head, policy, finished)
    return fhir(finished.payload, finished.reply.status, finished.headers)


def _work(parts: Services, caller: Caller, policy: str, work: Work) -> Finished:
    with parts.generations.pin() as generation:
        try:
            reply = work(Ask(parts, caller, generation, policy))
        except SpineError as error:
            reply = Reply(outcome(error), error.status, headers=error.headers, detail=error.spine_code)
        manifest = generation.manifest
        headers = {**generation_headers(manifest.generation, manifest.as_at), **reply.headers}
        payload = b"" if reply.body is None else to_bytes(reply.body)
        return Finished(reply, payload, manifest.generation, headers)


async def _audit(parts: Services, request: Request, head: RequestHead, policy: str, finished: Finished) -> None:
    reply = finished.reply
    event = AccessEvent(
        policy=policy,
        caller=request.state.caller,
        request_id=head.request_id,
        correlation_id=head.correlation_id,
        end_user_organisation=request.state.end_user_organisation,
        generation=finished.generation,
        status=reply.status,
        patients=reply.patients,
        detail=reply.detail,
    )
    started = time.perf_counter()
    try:
        await parts.audit.record(event)
    except AuditUnavailable:
        parts.metrics.audit_failures.inc()
        logging.event("API020", "error", policy=policy)
        raise
    parts.metrics.audit_seconds.observe(time.perf_counter() - started)
