"""The short way to a route: found by its path, let through by the gate, answered; nothing in between.

Belongs here: which routes go this way, how one is found, what their requests are. Does not belong here: the
routes, which are declared once, with FastAPI, that describes them; access; what follows an exception.

Ours, by measurement (docs/decisions/0021): finding a route and its dependencies costs the framework about
as much as reading a record costs us. The table is made from the application's own routes: each
that takes nothing but the request and depends on nothing but ``requires(policy)``, with at most one
parameter in its path. Their requests do not enter the framework, whose layers cost as much again. Every other
request takes the long way, and both ways answer alike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from search_api.access.gate import RECORD_PARAMETER, AccessGate
from search_api.access.routes import only_requires

Endpoint = Callable[[Request], Awaitable[Response]]
Handler = Callable[[Request, Exception], Awaitable[Response]]

_ROUTE = "ncrs.route"
_PARAMETER = f"{{{RECORD_PARAMETER}}}"


@dataclass(frozen=True)
class Route:
    """One route: its endpoint and the policy it is under."""

    endpoint: Endpoint
    policy: str


@dataclass(frozen=True)
class Found:
    """A route for one path, and the parameters that the path holds."""

    route: Route
    parameters: dict[str, str]


class Table:
    """The routes that go straight, by method and path."""

    def __init__(self, app: FastAPI) -> None:
        self._whole: dict[tuple[str, str], Route] = {}
        self._parted: dict[tuple[str, str, str], Route] = {}
        self._heads: tuple[str, ...] = ()
        for path, methods, route in _candidates(app):
            self._add(path, methods, route)

    def _add(self, path: str, methods: set[str], route: Route) -> None:
        head, parameter, tail = path.partition(_PARAMETER)
        for method in methods:
            if parameter:
                self._parted.setdefault((method, head, tail), route)
            else:
                self._whole.setdefault((method, path), route)
        if parameter:
            self._heads = tuple(dict.fromkeys((*self._heads, head)))

    def find(self, method: str, path: str) -> Found | None:
        """The route that the framework would find, or None: then ask it. A whole path goes first."""
        route = self._whole.get((method, path))
        if route is not None:
            return Found(route, {})
        for head in self._heads:
            if path.startswith(head):
                value, slash, rest = path[len(head) :].partition("/")
                route = self._parted.get((method, head, slash + rest))
                if route is not None and value:
                    return Found(route, {RECORD_PARAMETER: value})
        return None


def _candidates(app: FastAPI) -> Iterator[tuple[str, set[str], Route]]:
    for context in iter_route_contexts(app.routes):
        path, endpoint = context.path or "", context.endpoint
        policy = only_requires(getattr(context, "dependant", None))
        plain = path.count("{") == path.count(_PARAMETER) <= 1 and not path.endswith("/")
        if plain and policy is not None and endpoint is not None:
            yield path, set(context.methods or ()), Route(endpoint, policy)


class SentHeaders(Headers):
    """The headers of a request, looked up in a dictionary: they are read a dozen times on the way."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        super().__init__(raw=raw)
        # Of a header sent twice the first counts, as in the framework's own class.
        self._first = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(raw)}

    def get(self, key: str, default: Any = None) -> Any:
        """The first value of a header, its name in any case."""
        return self._first.get(key.lower(), default)

    def __getitem__(self, key: str) -> str:
        return self._first[key.lower()]

    def __contains__(self, key: Any) -> bool:
        return isinstance(key, str) and key.lower() in self._first


class StraightRequest(Request):
    """A request with headers that are quick to read."""

    @property
    def headers(self) -> Headers:
        """The headers sent."""
        if not hasattr(self, "_headers"):
            self._headers: Headers = SentHeaders(list(self.scope["headers"]))
        return self._headers


class StraightFirst(FastAPI):
    """An application whose straight routes, once it has any, are answered before its own layers are entered."""

    straight: Straight | None = None
    enveloped: ASGIApp

    def go_straight(self, straight: Straight, envelope: Callable[[ASGIApp], ASGIApp]) -> None:
        """Answer by these routes from now on, each request in an envelope as the others have one."""
        self.enveloped = envelope(straight.answer)
        self.straight = straight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.straight is not None and self.straight.takes(scope):
            scope["app"] = self
            await self.enveloped(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class Straight:
    """Answers the routes of a table; ``handlers`` are the application's, by class of exception."""

    def __init__(self, table: Table, gate: AccessGate, handlers: Mapping[Any, Any]) -> None:
        self._table = table
        self._gate = gate
        self._handlers = handlers

    def takes(self, scope: Scope) -> bool:
        """Whether the request goes straight; what was found of it is then in its scope."""
        if scope["type"] != "http" or scope.get("root_path"):
            return False
        found = self._table.find(scope["method"], scope["path"])
        if found is None:
            return False
        scope["endpoint"], scope["path_params"], scope[_ROUTE] = found.route.endpoint, found.parameters, found.route
        return True

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application for the requests that it takes."""
        route: Route = scope[_ROUTE]
        request = StraightRequest(scope, receive, send)
        try:
            await self._gate.authorise(request, route.policy)
            response = await route.endpoint(request)
        except Exception as error:  # noqa: BLE001 - raised again unless a handler of the application expects it
            response = await self._handler(error)(request, error)
            error.__traceback__ = None  # an exception that is kept must not keep the request
        await response(scope, receive, send)

    def _handler(self, error: Exception) -> Handler:
        """What answers this exception. Raises it again when nobody expects it."""
        for kind in type(error).__mro__:
            if kind in self._handlers:
                handler: Handler = self._handlers[kind]
                return handler
        raise error
