"""From threads back to the event loop: results that wait together are handed over at one wake-up.

Belongs here: a promise that any thread may keep. Does not belong here: threads, work, time limits.

Waking the loop from another thread costs a system call and a turn of the interpreter's lock, and a group
of audit events becomes durable at once: one wake-up for all of them is what makes groups cheap.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_local = threading.local()


class Promise(Generic[T]):
    """A future of the running loop. ``keep`` and ``fail`` may be called from any thread, once."""

    __slots__ = ("_box", "future")

    def __init__(self) -> None:
        self._box = _box()
        self.future: asyncio.Future[T] = self._box.loop.create_future()

    def keep(self, value: T) -> None:
        """Whoever awaits the future gets the value; nobody does where it is done or its loop has ended."""
        self._box.post(self.future, value, None)

    def fail(self, error: BaseException) -> None:
        """Whoever awaits the future gets the exception."""
        self._box.post(self.future, None, error)


class _Box:
    """What was posted to one loop and is not yet delivered."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._posted: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._called = False

    def post(self, future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
        # Posted before the mark is read, and the mark taken off before the delivery: nothing is forgotten.
        self._posted.append((future, value, error))
        if not self._called:
            self._called = True
            try:
                self.loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:  # the loop has ended, and with it whoever waited
                self._posted.clear()

    def _deliver(self) -> None:
        self._called = False
        while self._posted:
            future, value, error = self._posted.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)


def _box() -> _Box:
    """The box of the loop that runs in this thread."""
    loop = asyncio.get_running_loop()
    box: _Box | None = getattr(_local, "box", None)
    if box is None or box.loop is not loop:
        box = _local.box = _Box(loop)
    return box
