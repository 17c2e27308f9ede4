"""The routes of ops: probes, metrics, freshness, generations.

Belongs here: what each route answers, as JSON. Does not belong here: the checks and figures.
None of them shows a patient, so none of them is in the audit log; the gate decides who may ask.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from schemas.generation import GenerationManifest
from search_api.access.routes import open_to_all, requires
from search_api.ops.catalogue import generations
from search_api.ops.freshness import all_freshness
from search_api.ops.health import Check, check_cluster, health, readiness, served
from search_api.responses import plain
from search_api.services import Services, services

router = APIRouter(tags=["Ops"])


@router.get("/livez", summary="Is the process alive", dependencies=[Depends(open_to_all("livez"))])
async def livez() -> Response:
    """Always 200 while the process answers."""
    return plain({"status": "alive"})


@router.get("/readyz", summary="Can it answer", dependencies=[Depends(open_to_all("readyz"))])
async def readyz(request: Request) -> Response:
    """200 when a generation is open, the audit log can be written and the search cluster answers, else 503; and
    503 from the moment the process is told to stop.

    Names no detail.
    """
    parts = services(request)
    checks = await asyncio.to_thread(readiness, parts)
    ready = all(check.ok for check in checks) and not parts.draining.begun
    states = {check.part: check.ok for check in checks}
    return plain({"status": "ready" if ready else "not ready", **states}, 200 if ready else 503)


@router.get("/healthz", summary="How is each part", dependencies=[Depends(requires("healthz"))])
async def healthz(request: Request) -> Response:
    """Every part in detail, for ops."""
    checks = await asyncio.to_thread(health, services(request))
    return plain(_health(checks), 200 if all(check.ok for check in checks) else 503)


def _health(checks: list[Check]) -> dict[str, Any]:
    healthy = all(check.ok for check in checks)
    return {"status": "healthy" if healthy else "unhealthy", "parts": [check.document() for check in checks]}


@router.get("/metrics", summary="Metrics for Prometheus", dependencies=[Depends(requires("metrics"))])
async def metrics(request: Request) -> Response:
    """Counts and times by route template."""
    parts = services(request)
    manifest = await asyncio.to_thread(served, parts)
    if manifest is not None:
        parts.metrics.show_generation(manifest)
    return Response(parts.metrics.text(), media_type=parts.metrics.content_type)


@router.get("/api/freshness", summary="How fresh is each feed", dependencies=[Depends(requires("freshness"))])
async def freshness(request: Request) -> Response:
    """Per feed: as-at time, age against its limits, last extract, counts, refusals, what is served; and the index."""
    return plain(await asyncio.to_thread(freshness_report, services(request), datetime.now(UTC)))


@router.get("/api/generations", summary="Which generations exist", dependencies=[Depends(requires("generations"))])
async def list_generations(request: Request) -> Response:
    """The generations kept, newest first, and which one is served."""
    parts = services(request)
    manifest = await asyncio.to_thread(served, parts)
    kept = generations(await asyncio.to_thread(parts.generations.kept))
    return plain({"served": manifest.generation if manifest else None, "generations": kept})


def freshness_report(parts: Services, now: datetime) -> dict[str, Any]:
    """The report of all feeds at a moment: what was delivered beside what is served."""
    manifest = served(parts)
    feeds = [
        {**item.document(), "served": _served(manifest, item.feed.name, now)}
        for item in all_freshness(parts.ledger, now)
    ]
    return {
        "now": now.isoformat(),
        "generation": manifest.generation if manifest else None,
        "index": _index(parts),
        "feeds": feeds,
    }


def _index(parts: Services) -> dict[str, Any]:
    """Whether the index can be asked: data nobody can reach is not fresh."""
    found = check_cluster(parts)
    if not found:
        return {"engine": "embedded"}
    return {"engine": "opensearch", **found[0].detail}


def _served(manifest: GenerationManifest | None, feed: str, now: datetime) -> list[dict[str, Any]]:
    """What the generation holds of a feed: one item a source."""
    states = [state for state in manifest.feeds if state.feed == feed] if manifest else []
    return [
        {
            "source": state.source,
            "sequence": state.sequence,
            "asAt": state.as_at.isoformat(),
            "ageSeconds": int((now - state.as_at).total_seconds()),
        }
        for state in states
    ]
