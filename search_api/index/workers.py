"""Processes that take frames from a queue and report once: what building an index side by side rests on.

Belongs here: starting them, handing work out, noticing one that ended, ending with the parent. Does not belong
here: what they do with a frame (``parallel.py``, ``opensearch_bulk.py``).
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

import polars as pl

from schemas.errors import NcrsError, PermanentFault

WAITING_FRAMES = 2
POLL_SECONDS = 1.0
# Read by polars when it is imported.
COLUMN_THREADS = "POLARS_MAX_THREADS"

# The work of one process: its job, a call that gives the next item or None at the end; returns what it came to.
Body = Callable[[Any, Callable[[], Any]], Any]


class Workers:
    """One process for each job, all of them taking from one queue."""

    def __init__(self, body: Body, jobs: Sequence[Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self._items: Any = context.Queue(maxsize=WAITING_FRAMES)
        self._results: Any = context.Queue()
        self._workers: list[BaseProcess] = [
            context.Process(target=_run, args=(body, job, self._items, self._results), daemon=True) for job in jobs
        ]
        with _one_thread_each(), _without_main():
            for worker in self._workers:
                worker.start()

    def hand(self, item: Any) -> None:
        """Hand an item to the next free worker; waits while all are busy.

        Raises what a worker ended with, PermanentFault when it ended without a word.
        """
        while True:
            try:
                self._items.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                self._check_alive(at_end=False)
            else:
                return

    def finish(self) -> list[Any]:
        """Wait until every worker is done; what each came to. Raises as ``hand``, once all have ended."""
        for _ in self._workers:
            self.hand(None)
        results = [self._result() for _ in self._workers]
        for worker in self._workers:
            worker.join()
        for _, error in results:
            if error is not None:
                raise error
        return [result for result, _ in results]

    def stop(self) -> None:
        """End them at once; what was handed out and not done is lost."""
        for worker in self._workers:
            worker.terminate()
        # Nobody reads what is still waiting to be handed out, and the process must not wait for that when it ends.
        self._items.cancel_join_thread()

    def _result(self) -> tuple[Any, NcrsError | None]:
        while True:
            try:
                result, error = self._results.get(timeout=POLL_SECONDS)
            except queue.Empty:
                self._check_alive(at_end=True)
            else:
                return result, error

    def _check_alive(self, *, at_end: bool) -> None:
        """Before the end no worker may have ended; at the end none with a fault."""
        ended = [worker.exitcode for worker in self._workers if worker.exitcode is not None]
        if not ended or (at_end and not any(ended)):
            return
        self.stop()
        raise self._said() or PermanentFault(
            f"A process that builds the index ended with code {max(ended, key=abs)}.",
            remedy="Look for lack of memory, then build again.",
        )

    def _said(self) -> NcrsError | None:
        """What a worker that ended early said, if it did."""
        try:
            while True:
                _, error = self._results.get(timeout=POLL_SECONDS)
                if isinstance(error, NcrsError):
                    return error
        except queue.Empty:
            return None


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """What is started meanwhile works on columns in one thread: as many processes as cores share the work already, and
    to part it once more costs a fifth of the time."""
    before = os.environ.get(COLUMN_THREADS)
    os.environ[COLUMN_THREADS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[COLUMN_THREADS]
        else:
            os.environ[COLUMN_THREADS] = before


@contextmanager
def _without_main() -> Iterator[None]:
    """What is started meanwhile does not import the command at work again, which takes longer than all it needs."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def end_with_parent() -> None:
    """In a worker: end when the parent does, be it killed; otherwise it would wait for frames for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _run(body: Body, job: Any, items: Any, results: Any) -> None:
    """In a worker: do the work, then report what it came to or the fault. Of errors that are not ours the type only, for
    their texts may quote a value."""
    end_with_parent()
    try:
        result = body(job, items.get)
    except NcrsError as error:
        results.put((None, error))
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        fault = PermanentFault(
            f"A part of the index could not be built: {type(error).__name__}.", remedy="Build again."
        )
        results.put((None, fault))
    else:
        results.put((result, None))
