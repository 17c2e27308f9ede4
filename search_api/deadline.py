"""How long the request in hand may still take.

Belongs here: the moment set by whoever took the request, read by whatever waits for another machine.
Does not belong here: what happens when it has passed.

Several waits of one request share one budget this way, without each function in between passing it on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_until: ContextVar[float | None] = ContextVar("ncrs_deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Work in this block has ``seconds``; an earlier deadline around it stays the earlier one."""
    before = _until.get()
    moment = time.monotonic() + seconds
    token = _until.set(moment if before is None else min(before, moment))
    try:
        yield
    finally:
        _until.reset(token)


def left(seconds: float) -> float:
    """``seconds``, or what is left of the request's budget when that is less; never below nought."""
    until = _until.get()
    return seconds if until is None else max(0.0, min(seconds, until - time.monotonic()))
