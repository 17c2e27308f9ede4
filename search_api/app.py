"""The application: its routes, its handlers, its life.

Belongs here: putting the parts together. Does not belong here: making the parts (``serve.py``), any route.

FastAPI's own tracing and logs are off: they record paths and queries, and so NHS numbers and names
(promises.md S9). Redirects of trailing slashes are off: a redirect repeats the path in a header.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import iter_route_contexts

from search_api import capability, docs_page, faults, logging
from search_api.access.routes import check_routes
from search_api.middleware import Envelope
from search_api.ops import endpoints as ops
from search_api.patients import endpoints as patients
from search_api.patients import occupant_routes
from search_api.services import Services
from search_api.straight import Straight, StraightFirst, Table
from search_api.summaries import endpoints as summaries
from search_api.trace import endpoints as trace
from search_api.trace.desk import Desk
from search_api.unsupported import METHODS, Unsupported, proved

FHIR_BASE = "/FHIR/R4"
TITLE = "NCRS replica"
DESCRIPTION = (
    "National patient records for portals: search, match, demographics and summaries, shaped as the national "
    "FHIR APIs are. What begins with `_ncrs-` is ours and never sent by a PDS client."
)


def create_app(services: Services, ready: Callable[[], None] | None = None) -> FastAPI:
    """The API over these parts; ``ready`` is called when it is. Raises ConfigurationError for a route without a policy."""
    app = StraightFirst(
        title=TITLE,
        description=DESCRIPTION,
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_life(services, ready),
        telemetry={"tracing": False, "logs": False, "metrics": False},
    )
    app.state.services = services
    app.state.access = services.gate
    app.state.trace = Desk(services.settings)
    _add_routes(app)
    app.state.templates = templates(app)
    faults.install(app)
    app.add_middleware(Envelope, metrics=services.metrics)
    straight = Straight(Table(app), services.gate, app.exception_handlers)
    app.go_straight(straight, partial(Envelope, metrics=services.metrics))
    check_routes(app, services.gate.table)
    return app


def templates(app: FastAPI) -> dict[Callable[..., Any], str]:
    """Path templates by endpoint: what may be logged and counted of a path."""
    contexts = iter_route_contexts(app.routes)
    return {context.endpoint: context.path for context in contexts if context.endpoint and context.path}


def _add_routes(app: FastAPI) -> None:
    fhir = APIRouter(prefix=FHIR_BASE)
    for part in (capability.router, occupant_routes.router, patients.router, summaries.router):
        fhir.include_router(part)
    app.include_router(fhir)
    app.include_router(trace.router)
    app.include_router(ops.router)
    app.include_router(docs_page.router)
    app.add_api_route(
        FHIR_BASE + "/{rest:path}",
        Unsupported(FHIR_BASE, set(templates(app).values())),
        methods=METHODS,
        dependencies=[Depends(proved)],
        include_in_schema=False,
    )


def _life(
    services: Services, ready: Callable[[], None] | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Keys before the first request; on stopping, running work and waiting audit events end first."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        begun = (services.withdrawn.start, services.generations.start)
        await asyncio.gather(services.gate.warm(), *(asyncio.to_thread(start) for start in begun))
        app.state.trace.start()
        services.draining.watch()
        if ready is not None:
            ready()
        logging.event("API001")
        yield
        logging.event("API002")
        await asyncio.to_thread(app.state.trace.close)
        services.close()

    return life
