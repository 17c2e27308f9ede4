"""What PDS says to a path or method that it does not have.

Belongs here: the route that takes what no other FHIR route takes. Does not belong here: any real route.
Source: pds.md 4.2 (UNSUPPORTED_REQUEST; PUT is 400 Unsupported Service; OPTIONS is 502 Unknown Error),
3.1 (an application that updates or creates is 403 INVALID_METHOD) and 4.3 (the token is checked first, the
path before X-Request-ID and role).

The path is quoted back as PDS does; it is the caller's own, and it enters no log.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path

from search_api import errors
from search_api.access.context import AccessMode
from search_api.access.gate import AccessGate
from search_api.patients.asked import APPLICATIONS
from search_api.responses import error_response

POLICY = "metadata"  # who may read what the API can do may be told what it cannot
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
_PATH_LENGTH = 200


async def proved(request: Request) -> None:
    """The token is believed, whatever its role. Raises 401, recorded by the gate."""
    gate: AccessGate = request.app.state.access
    try:
        identity = await gate.identify(request.headers.getlist("authorization"))
    except errors.SpineError:
        await gate.authorise(request, POLICY)  # refuses for the same reason, and records it
        raise
    request.state.mode = identity.mode


# The mark that ``check_routes`` looks for: this route is under a policy too.
setattr(proved, "ncrs_policy", (POLICY, False))  # noqa: B010 - functions have no declared attributes


class Unsupported:
    """Answers for every FHIR path and method without a route.

    ``base`` is the FHIR base path, ``templates`` are the paths that have routes, methods aside.
    """

    def __init__(self, base: str, templates: Iterable[str]) -> None:
        self._base = base
        self._known = [compile_path(template)[0] for template in templates]

    async def __call__(self, request: Request) -> Response:
        """Raises nothing: the answer is always an error."""
        return error_response(self._error(request))

    def _error(self, request: Request) -> errors.SpineError:
        path = request.scope["path"]
        if not any(pattern.match(path) for pattern in self._known):
            return errors.unsupported_path(path.removeprefix(self._base)[:_PATH_LENGTH])
        if request.method == "OPTIONS":
            return errors.SpineError(errors.BAD_GATEWAY, "An unknown error occurred")
        mode: AccessMode = request.state.mode
        if request.method in ("PATCH", "POST") and mode in APPLICATIONS:
            return errors.method_refused(mode.value, "update" if request.method == "PATCH" else "create")
        return errors.SpineError(errors.UNSUPPORTED_SERVICE)
