"""The threads that search and read, so that the event loop never waits for an index or a file.

Belongs here: a fixed pool, its bounded queue, the time budget. Does not belong here: the work.

Ours, by measurement (docs/decisions/0021): searching takes a thread, because it may take
milliseconds; the pool is fixed, because the replica keeps a cursor a thread; the queue is bounded,
because a request that would wait longer than its budget is better told to come back (promises.md R12).
What waits for another machine inside the work sees the same budget (``deadline.py``).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from schemas.errors import PassingFault, PermanentFault
from search_api import deadline, logging
from search_api.errors import SpineError, service_unavailable
from search_api.handing import Promise
from search_api.ops.metrics import Metrics
from search_api.settings import Settings

T = TypeVar("T")

RETRY_AFTER = 1
# Of the budget; so that the reason why another machine did not answer in time still reaches the caller.
OTHERS_SHARE = 0.95


class Worker:
    """Runs functions in threads. At most ``worker_threads`` run and ``queue_limit`` wait."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._size = settings.read_threads
        self._most = settings.read_threads + settings.queue_limit
        self._metrics = metrics
        self._queue: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()  # None: end, a thread each
        self._threads: list[threading.Thread] = []
        self._counting = threading.Lock()
        self._waiting = 0
        self._closed = False
        self.budget = settings.search_deadline_ms / 1000

    async def run(self, work: Callable[[], T]) -> T:
        """The result of ``work``. Raises SERVICE_UNAVAILABLE when shed or out of time.

        Work out of time ends in its thread all the same, and counts against the limit until then; work whose
        time ran out before a thread was free is not begun.
        """
        promise: Promise[T] = Promise()
        self.begin(work, promise.keep, promise.fail)
        timer = asyncio.get_running_loop().call_later(self.budget, self._run_out, promise)
        try:
            return await promise.future
        finally:
            timer.cancel()

    def begin(self, work: Callable[[], T], keep: Callable[[T], None], fail: Callable[[BaseException], None]) -> None:
        """Have ``work`` done in a thread, which then calls ``keep`` or ``fail``. Raises SERVICE_UNAVAILABLE when shed."""
        with self._counting:
            shed = self._closed or self._waiting >= self._most
            self._waiting += not shed
            if not shed and not self._threads:
                self._start()
        if shed:
            self._metrics.shed.inc()
            logging.event("API012", "warning")
            raise service_unavailable(RETRY_AFTER)
        self._queue.put((work, time.monotonic() + self.budget, keep, fail))

    def pending(self) -> int:
        """How many works run or wait."""
        return self._waiting

    def overdue(self) -> SpineError:
        """What is said when time has run out; counted and logged."""
        self._metrics.overdue.inc()
        logging.event("API013", "warning")
        return service_unavailable()

    def _run_out(self, promise: Promise[T]) -> None:
        if not promise.future.done():
            promise.future.set_exception(self.overdue())

    def _start(self) -> None:
        """Begun with the first work, by whoever brings it: they keep to its core (``cores.py``)."""
        for number in range(self._size):
            thread = threading.Thread(target=self._work, name=f"ncrs-read_{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (given := self._queue.get()) is not None:
            self._do(*given)
            del given  # while a thread waits, it must not keep what it did last

    def _do(
        self, work: Callable[[], T], until: float, keep: Callable[[T], None], fail: Callable[[BaseException], None]
    ) -> None:
        try:
            result = _contained(work, until, self.budget)
        except Exception as error:  # noqa: BLE001 - whoever waits raises it
            self._ended()
            fail(error)
        else:
            self._ended()
            keep(result)

    def _ended(self) -> None:
        with self._counting:
            self._waiting -= 1

    def close(self) -> None:
        """Ends when running work has ended, and what waits; nothing new is taken."""
        with self._counting:
            self._closed = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()


def _contained(work: Callable[[], T], until: float, budget: float) -> T:
    """A panic of a native engine is a BaseException, which no handler of a server catches: make it a fault."""
    left = until - time.monotonic()
    if left <= 0:
        raise PassingFault("The time of this request ran out before a thread was free.")
    try:
        with deadline.within(left - budget * (1 - OTHERS_SHARE)):
            return work()
    except Exception:
        raise
    except BaseException as panic:  # noqa: BLE001 - raised again, as a fault
        raise PermanentFault(f"A native engine stopped with {type(panic).__name__}.") from None
