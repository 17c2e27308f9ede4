"""How far a long step has come, told to whoever listens.

Belongs here: the one line between a step that counts and a command that shows. Does not belong here:
how it is shown (``pipelines/cli_progress.py``). Nobody need listen; the orchestrator keeps figures of
its own, as metadata.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")
# The step in words, how many are done, how many there are.
Listener = Callable[[str, int, int], None]

# A step reports when it is a hundredth further, not for each of millions.
_PARTS = 100
_LOOK_SECONDS = 1.0
_listener: ContextVar[Listener | None] = ContextVar("progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Inside the block, steps of this thread report to ``listener``."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def report(step: str, done: int, total: int) -> None:
    """Tell how far a step has come."""
    listener = _listener.get()
    if listener is not None:
        listener(step, min(done, total), total)


def counted(step: str, items: Iterable[T], total: int, size: Callable[[Any], int] = len) -> Iterator[T]:
    """The same items; each counts for its ``size`` (a frame: its rows) once whoever takes them has asked for the next one."""
    done = told = 0
    report(step, done, total)
    for item in items:
        yield item
        done += size(item)
        if (done - told) * _PARTS >= total:
            told = done
            report(step, done, total)
    report(step, done, total)


@contextmanager
def watched(step: str, done: Callable[[], int], total: int) -> Iterator[None]:
    """A block whose progress lies elsewhere: it is looked up each second while somebody listens."""
    listener = _listener.get()
    if listener is None:
        yield
        return
    over = threading.Event()

    def look() -> None:
        listener(step, 0, total)
        while not over.wait(_LOOK_SECONDS):
            listener(step, min(done(), total), total)

    watcher = threading.Thread(target=look, name="ncrs-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    listener(step, total, total)
