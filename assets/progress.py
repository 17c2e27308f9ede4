"""How far a long step has come, told to whoever listens.

Belongs here: the one line between a step that counts and a command that shows. Does not belong here:
how it is shown (``pipelines/cli_common.py``). Nobody need listen; the orchestrator keeps figures of
its own, as metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import polars as pl

# The step in words, how many are done, how many there are.
Listener = Callable[[str, int, int], None]

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
        listener(step, done, total)


def counted(step: str, frames: Iterable[pl.DataFrame], total: int) -> Iterator[pl.DataFrame]:
    """The same frames; each is reported once whoever takes them has asked for the next one."""
    done = 0
    report(step, done, total)
    for frame in frames:
        yield frame
        done += frame.height
        report(step, min(done, total), total)
