"""From an exception to an answer: the handlers of the application.

Belongs here: which exception is answered how. Does not belong here: the wordings (``errors.py``), and
exceptions that nobody expects (``middleware.py``). No handler repeats what it was given: validation
errors of the framework quote their input, so they are answered without it (promises.md X8).
"""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from schemas.errors import ClusterUnavailable, GenerationError, PassingFault
from search_api import errors, logging
from search_api.errors import SpineError
from search_api.responses import error_response
from search_api.services import services

# Seconds until a caller may try again: a queue empties sooner than a node comes back.
_SOON, _LATER = 1, 5
_BY_STATUS = {
    404: errors.UNSUPPORTED_REQUEST,
    405: errors.UNSUPPORTED_SERVICE,
    413: errors.PAYLOAD_TOO_LARGE,
    415: errors.UNSUPPORTED_MEDIA,
}


def install(app: FastAPI) -> None:
    """Give the application its handlers."""
    app.add_exception_handler(SpineError, _spine)
    app.add_exception_handler(GenerationError, _generation)
    app.add_exception_handler(PassingFault, _passing)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)


async def _spine(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SpineError)  # noqa: S101 - registered for this class alone
    return error_response(error)


async def _generation(_request: Request, error: Exception) -> Response:
    logging.event("API021", "error", error=type(error).__name__, place=logging.place(error))
    return error_response(errors.service_unavailable())


async def _passing(request: Request, error: Exception) -> Response:
    """What may work in a moment: never part of an answer, always when to come back."""
    reason = error.reason if isinstance(error, ClusterUnavailable) else ""
    if reason:
        services(request).metrics.cluster_refused.labels(reason).inc()
        logging.event("API022", "error", error=reason)
    else:
        logging.event("API023", "error", error=type(error).__name__, place=logging.place(error))
    return error_response(errors.service_unavailable(_SOON if reason == "too_busy" else _LATER))


async def _validation(_request: Request, _error: Exception) -> Response:
    return error_response(SpineError(errors.INVALID_VALUE))


async def _http(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    fault = _BY_STATUS.get(status, errors.UNSUPPORTED_SERVICE)
    return error_response(SpineError(fault))
