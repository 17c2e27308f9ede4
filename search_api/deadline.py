"""How long the request in hand may still take.

Belongs here: the moment set by whoever took the request, read by whatever waits for another machine.
Does not belong here: what happens when it has passed.

Several waits of one request share one budget this way, without each function in between passing it on.
"""

from __future__ import annotations

import time
from contextvars import ContextVar

_until: ContextVar[float | None] = ContextVar("ncrs_deadline", default=None)


class within:  # noqa: N801 - read as a word of the block it opens
    """Work in this block has ``seconds``; an earlier deadline around it stays the earlier one."""

    __slots__ = ("_moment", "_token")

    def __init__(self, seconds: float) -> None:
        self._moment = time.monotonic() + seconds

    def __enter__(self) -> None:
        before = _until.get()
        self._token = _until.set(self._moment if before is None else min(before, self._moment))

    def __exit__(self, *_: object) -> None:
        _until.reset(self._token)


def left(seconds: float) -> float:
    """``seconds``, or what is left of the request's budget when that is less; never below nought."""
    until = _until.get()
    return seconds if until is None else max(0.0, min(seconds, until - time.monotonic()))
