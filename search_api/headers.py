"""Headers of a request and of every answer: PDS's rules for theirs, the names of ours.

Belongs here: the request's ids, conditional reads, what is mirrored, what every answer carries.
Does not belong here: headers that decide access (``access/``). The gate calls ``check_request_id``
between token and role, as live PDS does.
Source: pds.md 4.3; architecture 4.5 (NCRS-Generation, NCRS-As-At).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType

from search_api import errors

REQUEST_ID = "x-request-id"
CORRELATION_ID = "x-correlation-id"

GENERATION = "ncrs-generation"
AS_AT = "ncrs-as-at"

_MIRRORED = (REQUEST_ID.encode(), CORRELATION_ID.encode())
MIRROR_LIMIT = 256  # ours: characters of a correlation id that are mirrored and kept

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")

# On every answer. The API sends data, never a page: nothing may be loaded, framed or sniffed.
SAFE_HEADERS: dict[str, str] = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "cache-control": "private, no-store",
}


@dataclass(frozen=True)
class RequestHead:
    """The headers that an audit event holds. ``request_id`` is a UUID as sent (the gate checked it)."""

    request_id: str
    correlation_id: str | None


def check_request_id(headers: Mapping[str, str]) -> None:
    """Raises INVALID_VALUE for a malformed X-Request-ID. Missing is another rule, and a later one."""
    value = headers.get(REQUEST_ID)
    if value and not _UUID.fullmatch(value):
        raise errors.invalid_value(value, "X-Request-ID", "header")


def read_head(headers: Mapping[str, str]) -> RequestHead:
    """Raises MISSING_VALUE without X-Request-ID. Live PDS finds that last: Spine does (pds.md 4.3)."""
    request_id = headers.get(REQUEST_ID)
    if not request_id:
        raise errors.missing_request_id()
    correlation = headers.get(CORRELATION_ID)
    return RequestHead(request_id, correlation[:MIRROR_LIMIT] if correlation else None)


def mirrored(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """X-Request-ID and X-Correlation-ID as sent, also when they were refused (pds.md 4.3); of several the first."""
    kept: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _MIRRORED and name not in kept:
            kept[name] = value[:MIRROR_LIMIT]
    return [pair for pair in kept.items() if pair[1]]


def well_formed_request_id(headers: Mapping[str, str]) -> str | None:
    """The request id when it is a UUID: the only form that may enter a log."""
    value = headers.get(REQUEST_ID, "")
    return value if _UUID.fullmatch(value) else None


@lru_cache(maxsize=8)
def generation_headers(generation: str, as_at: datetime) -> Mapping[str, str]:
    """What every answer from a generation names: which one, and the time its data is true for."""
    return MappingProxyType({GENERATION: generation, AS_AT: as_at.isoformat()})


def etag(version: object) -> str:
    """A weak tag of a record's version (pds.md 2.1)."""
    return f'W/"{version}"'


def matches_etag(header: str | None, tag: str) -> bool:
    """Whether If-None-Match names the tag; compared weakly (RFC 9110 section 8.8.3.2)."""
    if header is None:
        return False
    wanted = tag.removeprefix("W/")
    return any(item.strip().removeprefix("W/") in (wanted, "*") for item in header.split(","))
