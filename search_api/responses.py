"""Bytes out: FHIR and plain JSON responses, without any model on the way.

Belongs here: serialising and media types. Does not belong here: what is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from schemas.fhir.outcome import operation_outcome
from search_api.errors import SpineError

FHIR_JSON = "application/fhir+json"


def to_bytes(body: Any) -> bytes:
    """JSON bytes of plain values."""
    return orjson.dumps(body)


def fhir(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A FHIR answer."""
    return Response(body, status, dict(headers or {}), FHIR_JSON)


def plain(body: Any, status: int = 200) -> Response:
    """A JSON answer of the ops endpoints; times as ISO 8601."""
    return Response(orjson.dumps(body), status, media_type="application/json")


def outcome(error: SpineError) -> dict[str, Any]:
    """The OperationOutcome of an error: one issue, diagnostics only where there are any (pds.md 4.1)."""
    body = operation_outcome(error.severity, error.issue_code, error.spine_code, error.display, error.diagnostics)
    if error.text:
        body["issue"][0]["details"]["text"] = error.text
    return body


def error_response(error: SpineError) -> Response:
    """The answer to a request that ended in an error."""
    return fhir(to_bytes(outcome(error)), error.status, error.headers)
