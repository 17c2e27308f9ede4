"""The routes of the batch trace.

Belongs here: what of HTTP they read and answer. Does not belong here: the upload (``uploads.py``), tracing. A job is
its caller's alone: to everybody else it is not there.
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from search_api import errors
from search_api.access.context import AccessEvent, Caller
from search_api.access.routes import requires
from search_api.answering import head_of
from search_api.headers import GENERATION
from search_api.patients.describe import HEADERS, RESPONSES
from search_api.responses import plain
from search_api.services import services
from search_api.trace.desk import Desk
from search_api.trace.jobs import Job, owner_of
from search_api.trace.running import POLICY
from search_api.trace.uploads import MEDIA_TYPES, RETRY_AFTER, AtOnce, take

router = APIRouter(tags=["Trace"])

PATH = "/api/trace"
_FILE: dict[str, Any] = {name: {"schema": {"type": "string", "format": "binary"}} for name in sorted(MEDIA_TYPES)}
_POST: dict[str, Any] = {"parameters": HEADERS, "requestBody": {"required": True, "content": _FILE}}
_GET: dict[str, Any] = {"parameters": HEADERS}


@router.post(
    PATH,
    summary="Trace the rows of a file",
    dependencies=[Depends(requires(POLICY))],
    openapi_extra=_POST,
    responses=RESPONSES,
)
async def trace_rows(request: Request) -> Response:
    """A small file is answered at once, a large one with 202 and the address of a job. `Prefer: respond-async` asks
    for a job in any case."""
    made = await take(request, _desk(request))
    if isinstance(made, AtOnce):
        headers = {GENERATION: made.generation, "content-disposition": _named(made.suffix)}
        return Response(made.content, 200, headers, made.media_type)
    response = plain(_document(request, made), 202)
    response.headers.update({"location": f"{PATH}/{made.job}", "retry-after": str(RETRY_AFTER)})
    return response


@router.get(
    f"{PATH}/{{job}}",
    summary="See how far a trace is",
    dependencies=[Depends(requires(POLICY))],
    openapi_extra=_GET,
    responses=RESPONSES,
)
async def trace_job(request: Request) -> Response:
    """State, rows done, and once it has ended outcomes, or what went wrong."""
    head_of(request)
    return plain(_document(request, await _mine(request)))


@router.get(
    f"{PATH}/{{job}}/file",
    summary="Fetch the answer of a trace",
    dependencies=[Depends(requires(POLICY))],
    openapi_extra=_GET,
    responses=RESPONSES,
)
async def trace_answer(request: Request) -> Response:
    """The file with the added columns. Every patient in it was recorded when it was made; the fetch is too."""
    head = head_of(request)
    job = await _mine(request)
    if job.state != "done":
        raise errors.SpineError(errors.RESOURCE_NOT_FOUND, "The trace is not done")
    event = AccessEvent(
        policy=POLICY,
        caller=request.state.caller,
        request_id=head.request_id,
        correlation_id=job.job,
        end_user_organisation=request.state.end_user_organisation,
        generation=job.generation,
        status=200,
        patients=(),
        detail=f"file rows={job.rows}",
    )
    await services(request).audit.record(event)
    headers = {GENERATION: job.generation, "content-disposition": _named(job.suffix)}
    return FileResponse(_desk(request).jobs.answer(job), 200, headers, job.media_type)


@router.delete(
    f"{PATH}/{{job}}",
    summary="Call off a trace, or remove its answer",
    dependencies=[Depends(requires(POLICY))],
    openapi_extra=_GET,
    responses=RESPONSES,
)
async def call_off_trace(request: Request) -> Response:
    """Nothing of the job is kept but the access events of what was answered already."""
    head_of(request)
    job = await _mine(request)
    desk = _desk(request)
    await asyncio.to_thread(desk.jobs.call_off, job)
    desk.wake()
    return Response(status_code=204)


def _desk(request: Request) -> Desk:
    found: Desk = request.app.state.trace
    return found


async def _mine(request: Request) -> Job:
    """The job of the path. Raises RESOURCE_NOT_FOUND, also for another caller's."""
    caller: Caller = request.state.caller
    job = await asyncio.to_thread(_desk(request).jobs.find, str(request.path_params["job"]))
    if job is None or job.owner != owner_of(caller):
        raise errors.SpineError(errors.RESOURCE_NOT_FOUND)
    return job


def _document(request: Request, job: Job) -> dict[str, Any]:
    expires = job.expires(services(request).settings.trace_keep_hours)
    return {
        "job": job.job,
        "state": job.state,
        "rows": job.rows,
        "done": job.done,
        "created": job.created,
        "finished": job.finished or None,
        "expires": expires.isoformat() if expires else None,
        "generation": job.generation or None,
        "outcomes": job.outcomes,
        "problem": job.problem or None,
        "file": f"{PATH}/{job.job}/file" if job.state == "done" else None,
    }


def _named(suffix: str) -> str:
    return f'attachment; filename="traced{suffix}"'
