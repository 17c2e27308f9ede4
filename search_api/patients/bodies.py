"""Reading a request's body within its limit, and a form's fields in order.

Belongs here: size, media type and decoding of bodies. Does not belong here: what they mean.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from search_api import errors
from search_api.services import services

FORM = "application/x-www-form-urlencoded"
JSON_TYPES = frozenset({"application/fhir+json", "application/json"})
MOST_FIELDS = 200
BODY_ONLY = "The parameters of _search belong in the body, not in the address"

Items = list[tuple[str, str]]


def media_type(request: Request) -> str:
    """Media type of the body without its parameters, lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, limit: int) -> bytes:
    """The body. Raises 413 as soon as it is larger than ``limit`` bytes."""
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise errors.SpineError(errors.PAYLOAD_TOO_LARGE, f"The body is larger than {limit} bytes")
            chunks.append(chunk)
    except ClientDisconnect:
        raise errors.SpineError(errors.INVALID_VALUE, "The body ended before it was complete") from None
    return b"".join(chunks)


async def form_fields(request: Request) -> Items:
    """Fields of a search sent as a form. Raises 415 for another body, 400 for fields in the address, 413."""
    if media_type(request) != FORM:
        raise errors.SpineError(errors.UNSUPPORTED_MEDIA, f"The body must be {FORM}")
    if request.scope["query_string"]:
        raise errors.invalid_search(BODY_ONLY)
    return fields(await read_body(request, services(request).settings.body_limit))


def fields(encoded: bytes) -> Items:
    """Fields of a query or form, in the order sent, empty values kept. Raises 400 for too many."""
    try:
        text = encoded.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=MOST_FIELDS)
    except (UnicodeDecodeError, ValueError):
        raise errors.SpineError(errors.INVALID_VALUE, "The parameters cannot be read") from None


def query_fields(request: Request) -> Items:
    """Fields of the address of the request."""
    return fields(request.scope["query_string"])
