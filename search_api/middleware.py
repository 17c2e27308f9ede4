"""The outermost layer: safe headers, mirrored ids, metrics, one log line, and the last resort.

Belongs here: what happens to every request whatever it asks for. Does not belong here: access, FHIR.
Pure ASGI, so that nothing buffers an answer. Only route templates are counted and logged: a path
holds an NHS number, a query holds a name (promises.md S9, X8).
"""

from __future__ import annotations

import time
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search_api import logging
from search_api.errors import unknown_error
from search_api.headers import GENERATION, SAFE_HEADERS, mirrored, well_formed_request_id
from search_api.ops.metrics import Metrics
from search_api.responses import error_response

UNMATCHED = "unmatched"
SAFE = tuple((name.encode(), value.encode()) for name, value in SAFE_HEADERS.items())
GENERATION_NAME = GENERATION.encode()
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Envelope:
    """Wraps the application; ``metrics`` is the process's."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(scope, send)
        self.metrics.in_flight.inc()
        try:
            await self.app(scope, receive, exchange.send)
        except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, it must not be shown
            await self._last_resort(exchange, scope, receive, error)
        finally:
            self.metrics.in_flight.dec()
            self._account(exchange)

    async def _last_resort(self, exchange: Exchange, scope: Scope, receive: Receive, error: Exception) -> None:
        message_id = str(uuid4())
        self.metrics.unexpected.labels(exchange.route).inc()
        logging.event(
            "API011",
            "error",
            message_id=message_id,
            request_id=exchange.request_id,
            route=exchange.route,
            error=type(error).__name__,
            place=logging.place(error),
        )
        if not exchange.started:
            await error_response(unknown_error(message_id))(scope, receive, exchange.send)

    def _account(self, exchange: Exchange) -> None:
        seconds = time.perf_counter() - exchange.began
        route, method = exchange.route, exchange.method
        self.metrics.count(route, method, exchange.status, seconds)
        logging.request_line(
            route=route,
            method=method,
            status=exchange.status,
            milliseconds=round(seconds * 1000, 2),
            request_id=exchange.request_id,
            generation=exchange.generation,
        )


class Exchange:
    """One request and what was sent back so far."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._mirrored = mirrored(scope["headers"])
        self.began = time.perf_counter()
        self.status = 0
        self.started = False
        self.generation: str | None = None

    @property
    def request_id(self) -> str | None:
        """The request id when it is a UUID: the only form that may enter a log."""
        return well_formed_request_id({name.decode(): value.decode("latin-1") for name, value in self._mirrored})

    @property
    def route(self) -> str:
        """The template of the route, or one word for everything that has none."""
        templates: dict[object, str] = self._scope["app"].state.templates
        return templates.get(self._scope.get("endpoint"), UNMATCHED)

    @property
    def method(self) -> str:
        """The method, from a closed set."""
        method = str(self._scope["method"])
        return method if method in METHODS else "other"

    async def send(self, message: Message) -> None:
        """Pass a message on; the first one gets the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            headers = dict(message["headers"])
            message["headers"] = [
                *message["headers"],
                *(pair for pair in SAFE if pair[0] not in headers),
                *self._mirrored,
            ]
            generation = headers.get(GENERATION_NAME)
            self.generation = generation.decode() if generation else None
        await self._send(message)
