"""Logs: one JSON object a line, with a coded event, and never a value of a patient or a query.

Belongs here: the table of events, the set-up of structlog, and the silence of other loggers.
Does not belong here: metrics, audit (an audit event is not a log line).

Rule: an event's fields are codes, counts, times, route templates, generation and request ids.
Never a path, a query string, a header's text, an exception's text, or a row. ``event`` checks the
field names, and ``tests/privacy`` searches the output for planted values.
"""

from __future__ import annotations

import logging
from typing import Any, cast

import orjson
import structlog

from search_api.request_log import RequestLines

LOG_EVENTS: dict[str, str] = {
    "API001": "The API is ready: settings are read, routes have policies.",
    "API002": "The API stops: no new requests are taken.",
    "API003": "The API was told to stop: it is not ready any more, and answers what still comes for a while.",
    "API010": "A request was answered.",
    "API011": "A request ended in an error nobody expected; the message id is in the answer.",
    "API012": "A request was shed: all threads were busy and the queue was full.",
    "API013": "A request ran out of its time budget.",
    "API020": "An audit event could not be written, so nothing was shown.",
    "API021": "No generation could be opened, so nothing was answered.",
    "API022": "The search cluster gave no whole answer, so nothing was answered; error holds the reason.",
    "API023": "Something that passes kept a request from being answered.",
    "API024": "The audit log's journal could not be moved to its tables; its next commits do it, and answers wait.",
    "API040": "The gate refused a request; error holds the reason.",
    "API041": "The issuer's key set could not be used; the keys held stay in use.",
    "API030": "A part of a patient's summary failed; the others were answered.",
    "GEN001": "Another generation is served from now on.",
    "GEN002": "A generation was refused; what was served before is kept.",
    "GEN003": "The current generation is broken, so an earlier one is served.",
    "GEN004": "Generations cannot be reached just now; what is served is kept, and each look tries again.",
    "GEN005": "The generation served is no longer the one that was published, so nothing is answered from it.",
    "GEN006": "A lease in the cluster could not be written or taken back; it is tried again, or runs out.",
    "GEN007": "The search index could not be held in memory; searches may wait for the disk.",
    "GEN008": "Withdrawn numbers cannot be asked for just now; those known before stay hidden.",
    "API050": "A trace job could not go on; error holds the reason.",
    "API031": "A person matched by the index is missing from the replica.",
}

# The only names an event's fields may have: none of them can hold a value of a row or a query.
FIELDS = frozenset(
    {
        "route",
        "method",
        "status",
        "milliseconds",
        "request_id",
        "message_id",
        "error",
        "place",
        "generation",
        "service",
        "policy",
        "count",
    }
)


_REQUEST = "API010"
_lines: RequestLines | None = None


def configure(level: str = "INFO") -> None:
    """JSON lines on stdout from this level up; the server's access log is silent for good."""
    global _lines
    _lines = _lines or RequestLines()
    _lines.wanted = logging.getLevelNamesMapping()[level] <= logging.INFO
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.add_log_level,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=False,
    )
    # uvicorn's access lines hold paths and queries, and so NHS numbers and names.
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False
    access.disabled = True
    # An HTTP client's lines hold whole addresses.
    for client in ("httpx2", "httpcore2"):
        logging.getLogger(client).setLevel(logging.WARNING)


def event(code: str, level: str = "info", **fields: Any) -> None:
    """Write one event of the table. Raises KeyError or ValueError for what the table does not know."""
    if not fields.keys() <= FIELDS:
        unknown = ", ".join(sorted(fields.keys() - FIELDS))
        raise ValueError(f"Log fields without a place in the table: {unknown}.")
    flush()
    logger = cast(structlog.stdlib.BoundLogger, structlog.get_logger())
    getattr(logger, level)(LOG_EVENTS[code], code=code, **fields)


def request_line(**fields: Any) -> None:
    """API010, as ``event`` writes it but together with the others of the moment (``request_log.py``).

    Raises ValueError for a field that the table does not know.
    """
    if _lines is None:
        event(_REQUEST, **fields)
    elif not fields.keys() <= FIELDS:
        raise ValueError("A request's line has fields without a place in the table.")
    elif _lines.wanted:
        _lines.add({"code": _REQUEST, "event": LOG_EVENTS[_REQUEST], "level": "info", **fields})


def flush() -> None:
    """Write the lines of requests that wait."""
    if _lines is not None:
        _lines.flush()


def _json(document: Any, **_: Any) -> str:
    """One line of JSON, its names in order."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS, default=str).decode()


def place(error: BaseException) -> str:
    """Where an exception was raised, as module and line: never its text, which may hold a value."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return "unknown"
    return f"{traceback.tb_frame.f_globals.get('__name__', 'unknown')}:{traceback.tb_lineno}"
