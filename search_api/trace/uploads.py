"""A file sent to be traced: taken in as it comes, judged, answered at once or made a job.

Belongs here: the upload's limits and what becomes of it. Does not belong here: routes (``endpoints.py``), jobs as
they are kept (``jobs.py``).
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from starlette.requests import ClientDisconnect, Request

from schemas.errors import FileRefused
from search_api import errors
from search_api.access.context import AccessEvent, Caller
from search_api.answering import head_of
from search_api.patients.bodies import media_type
from search_api.services import Services, services
from search_api.trace.asking import Tracer
from search_api.trace.desk import Desk
from search_api.trace.form import Chunk, Form, inspect
from search_api.trace.jobs import INPUT, Job, owner_of
from search_api.trace.processes import Answered, answer
from search_api.trace.rules import TraceRules
from search_api.trace.running import POLICY

MEDIA_TYPES = frozenset({"text/csv", "application/csv", "application/vnd.apache.parquet", "application/octet-stream"})
RETRY_AFTER = 5


@dataclass(frozen=True)
class AtOnce:
    """The answer of a small file, recorded already."""

    content: bytes
    media_type: str
    suffix: str
    generation: str


async def take(request: Request, desk: Desk) -> Job | AtOnce:
    """What becomes of the file in the body. Raises SpineError: 400, 413, 415, 429 or 503."""
    head_of(request)
    if media_type(request) not in MEDIA_TYPES:
        raise errors.SpineError(errors.UNSUPPORTED_MEDIA, "The body must be text/csv or application/vnd.apache.parquet")
    parts = services(request)
    await asyncio.to_thread(_room, parts, desk)
    name = uuid.uuid4().hex
    folder = await asyncio.to_thread(desk.jobs.begin, name)
    job: Job | None = None
    try:
        await _receive(request, folder / INPUT, parts.settings.trace_body_limit)
        form = await asyncio.to_thread(_inspected, folder / INPUT)
        if form.rows <= parts.settings.trace_at_once_rows and "respond-async" not in request.headers.get("prefer", ""):
            return await _at_once(request, parts, folder, form)
        job = _job(name, request, form)
        await asyncio.to_thread(desk.jobs.save, job)
        desk.wake()
        return job
    finally:
        if job is None:
            await asyncio.to_thread(desk.jobs.remove, name)


def _room(parts: Services, desk: Desk) -> None:
    """Raises TOO_MANY_REQUESTS while enough jobs wait."""
    waiting = sum(1 for job in desk.jobs.all() if not job.ended)
    if waiting >= parts.settings.trace_jobs:
        raise errors.SpineError(errors.TOO_MANY_REQUESTS, headers={"Retry-After": str(RETRY_AFTER)})


async def _receive(request: Request, target: Path, limit: int) -> None:
    """The body into a file, a piece at a time. Raises 413 as soon as it is too large."""
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdecimal() else 0
    too_large = errors.SpineError(errors.PAYLOAD_TOO_LARGE, f"The body is larger than {limit} bytes")
    if size > limit:
        raise too_large
    size = 0
    try:
        with target.open("xb") as file:
            async for piece in request.stream():
                size += len(piece)
                if size > limit:
                    raise too_large
                await asyncio.to_thread(file.write, piece)
    except ClientDisconnect:
        raise errors.SpineError(errors.INVALID_VALUE, "The body ended before it was complete") from None


def _inspected(path: Path) -> Form:
    """The form of the file. Raises INVALID_VALUE with line and rule, never a value."""
    try:
        return inspect(path)
    except FileRefused as error:
        raise errors.SpineError(errors.INVALID_VALUE, f"{error.rule}: {error.message}") from None


def _job(name: str, request: Request, form: Form) -> Job:
    caller: Caller = request.state.caller
    organisation = request.state.end_user_organisation
    now = datetime.now(UTC).isoformat()
    return Job(name, owner_of(caller), organisation, now, form.rows, form.suffix, form.media_type)


async def _at_once(request: Request, parts: Services, folder: Path, form: Form) -> AtOnce:
    """Traced in a thread, recorded, and only then given."""
    found, generation, content = await asyncio.to_thread(_traced, parts, folder, form)
    head = head_of(request)
    await parts.audit.record(
        AccessEvent(
            policy=POLICY,
            caller=request.state.caller,
            request_id=head.request_id,
            correlation_id=head.correlation_id,
            end_user_organisation=request.state.end_user_organisation,
            generation=generation,
            status=200,
            patients=found.patients,
            detail=f"rows={form.rows}",
        )
    )
    return AtOnce(content, form.media_type, form.suffix, generation)


def _traced(parts: Services, folder: Path, form: Form) -> tuple[Answered, str, bytes]:
    rules = TraceRules.of(parts.settings)
    chunks: list[Chunk] = list(form.chunks(folder / INPUT, form.rows))
    with parts.generations.pin() as generation:
        found = answer(chunks[0], form, Tracer(generation, rules, parts.matcher), rules)
        name = generation.manifest.generation
    part, whole = folder / "part", folder / "whole"
    part.write_bytes(found.content)
    form.join([part], whole)
    return found, name, whole.read_bytes()
