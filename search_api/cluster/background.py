"""An event loop in a thread of its own, so that any thread may wait for something asynchronous.

Belongs here: the thread, handing work over, the end, and forks. Does not belong here: what is run.

A child process made by fork has the object and not the thread, and sockets that are the parent's: it
forgets both (never closing them: that would speak on the parent's connections) and starts anew.
When the process ends, whatever still runs is closed.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

P = TypeVar("P")
T = TypeVar("T")

END_S = 5.0


class Ended(Exception):
    """The loop was ended while the work was under way."""


@dataclass(eq=False)
class _Running(Generic[P]):
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread
    part: P


class Background(Generic[P]):
    """A loop with one part made inside it (``start``) and ended inside it (``end``). Starts when first used."""

    def __init__(
        self, name: str, start: Callable[[], Coroutine[Any, Any, P]], end: Callable[[P], Awaitable[None]]
    ) -> None:
        self._name = name
        self._start = start
        self._end = end
        self._lock = threading.Lock()
        self._running: _Running[P] | None = None
        _all.add(self)

    def run(self, work: Callable[[P], Coroutine[Any, Any, T]], seconds: float) -> T:
        """The result of ``work``. Raises TimeoutError after ``seconds``, Ended when ``close`` came between."""
        with self._lock:
            running = self._running or self._begin()
            future = asyncio.run_coroutine_threadsafe(work(running.part), running.loop)
        return _result(future, seconds)

    def close(self) -> None:
        """End the part, what is under way, and the loop; the next ``run`` starts anew."""
        with self._lock:
            running, self._running = self._running, None
        if running is None:
            return
        _result(asyncio.run_coroutine_threadsafe(self._finish(running.part), running.loop), END_S)
        running.loop.call_soon_threadsafe(running.loop.stop)
        running.thread.join()
        running.loop.close()

    def forget(self) -> None:
        """After a fork, in the child."""
        if self._running is not None:
            _abandoned.append(self._running)
        self._lock = threading.Lock()
        self._running = None

    def _begin(self) -> _Running[P]:
        loop = _new_loop()
        thread = threading.Thread(target=loop.run_forever, name=self._name, daemon=True)
        thread.start()
        part = _result(asyncio.run_coroutine_threadsafe(self._start(), loop), END_S)
        self._running = _Running(loop, thread, part)
        return self._running

    async def _finish(self, part: P) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._end(part)
        await asyncio.get_running_loop().shutdown_default_executor()


def _result(future: Future[T], seconds: float) -> T:
    try:
        return future.result(seconds)
    except CancelledError:
        raise Ended from None
    except TimeoutError:
        future.cancel()
        raise


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed (not on Windows): a third less time for each request."""
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _forget_all() -> None:
    for background in list(_all):
        background.forget()


def _close_all() -> None:
    for background in list(_all):
        background.close()


_all: weakref.WeakSet[Background[Any]] = weakref.WeakSet()
# Kept for good, so that nothing collects and thereby closes what belongs to the parent.
_abandoned: list[_Running[Any]] = []

atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
