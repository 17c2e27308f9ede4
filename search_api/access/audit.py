"""The audit log: an event is durable before the answer leaves, and many events share one commit.

Belongs here: the queue, the writer thread, back-pressure and failure. Does not belong here: what is
stored (``audit_store.py``). Sources: promises.md R5 and X6, architecture 4.7.

``record`` returns when the event's transaction is committed with fsync; ``offer`` is the same for threads,
which are called back instead. Events that arrive while one commit runs go into the next, so that the cost of
an fsync is shared under load; and as a commit takes less time than a search, the log waits a moment for those who are
about to come. When the store fails, everyone waiting gets AuditUnavailable (503): the answer
is not sent. The next batch tries again with a new connection, so the log recovers when the disk does.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from search_api import logging
from search_api.access.audit_checkpoint import Checkpoints
from search_api.access.audit_store import Appender, audit_engine, event_content
from search_api.access.context import AccessEvent
from search_api.errors import DOWNSTREAM, SERVICE_UNAVAILABLE, SpineError
from search_api.handing import Promise
from search_api.settings import Settings

RETRY_AFTER_S = 5
_POLL_S = 0.005
# A commit costs as much as its events and a tenth of a search: so many share one, if they come within that time.
ENOUGH, GATHER_S = 4, 0.003


class AuditUnavailable(SpineError):
    """503: the event could not be made durable, so nothing may be shown."""

    def __init__(self) -> None:
        super().__init__(SERVICE_UNAVAILABLE, DOWNSTREAM, headers={"Retry-After": str(RETRY_AFTER_S)})


@dataclass(frozen=True)
class _Waiting:
    """One event on its way, and who is told that it is durable, or that it is not."""

    content: dict[str, Any]
    durable: Callable[[None], None]
    failed: Callable[[BaseException], None]


class AuditLog:
    """Append-only log of access events. One per process; several processes may share the database.

    ``coming`` says how many answers are being made, so that events may come of them.
    """

    def __init__(self, settings: Settings, url: str | None = None) -> None:
        """Opens the database (``url``, default ``settings.audit_url``). Raises ConfigurationError."""
        self.engine = audit_engine(url or settings.audit_url)
        self._limit = settings.audit_queue
        self._batch = settings.audit_batch
        self.timeout = settings.audit_timeout
        self._appender = Appender(self.engine)
        self._checkpoints = Checkpoints(self.engine)
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()  # None: no more come
        self._enough = threading.Event()
        self.coming: Callable[[], int] = int
        self._taking = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    async def record(self, event: AccessEvent) -> None:
        """Return when the event is durable. Raises AuditUnavailable when it is not, or not in time.

        A full queue makes the caller wait. After a time-out the event may still be written later:
        the log then holds an access that was not shown, never the other way round.
        """
        deadline = time.monotonic() + self.timeout
        promise: Promise[None] = Promise()
        while not self.offer(event, promise.keep, promise.fail):
            if time.monotonic() >= deadline:
                raise AuditUnavailable
            await asyncio.sleep(_POLL_S)
        try:
            async with asyncio.timeout(max(deadline - time.monotonic(), 0)):
                await promise.future
        except TimeoutError:
            raise AuditUnavailable from None

    def record_now(self, event: AccessEvent) -> None:
        """The same for commands, which have no event loop. Raises AuditUnavailable."""
        done: Future[None] = Future()
        if not self.offer(event, done.set_result, done.set_exception):
            raise AuditUnavailable
        try:
            done.result(self.timeout)
        except TimeoutError:
            raise AuditUnavailable from None

    def offer(
        self, event: AccessEvent, durable: Callable[[None], None], failed: Callable[[BaseException], None]
    ) -> bool:
        """Take the event, and call one of the two from the writer's thread; False when the queue is full.

        Raises AuditUnavailable once closed.
        """
        waiting = _Waiting(event_content(event, datetime.now(UTC)), durable, failed)
        with self._taking:
            if self._closed:
                raise AuditUnavailable
            if self._queue.qsize() >= self._limit:
                return False
            self._queue.put(waiting)
            # Set before or after the writer takes the event: at worst the next ones are not waited for.
            if not self.coming() or self._queue.qsize() >= ENOUGH - 1:
                self._enough.set()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._write_all, name="audit-writer", daemon=True)
                self._thread.start()
        return True

    def close(self) -> None:
        """Write what waits, stop the writer, close the database. Later events are refused."""
        with self._taking:
            self._closed = True
            self._queue.put(None)
            self._enough.set()
            thread = self._thread
        if thread is not None:
            thread.join(self.timeout)
        self._checkpoints.close()
        self._appender.close()
        self.engine.dispose()

    def _write_all(self) -> None:
        last = False
        while not last:
            batch, last = self._next_batch()
            self._write(batch)

    def _next_batch(self) -> tuple[list[_Waiting], bool]:
        """Whatever waits, at least one event; and whether that was the last."""
        batch: list[_Waiting] = []
        try:
            found = self._queue.get()
            if self.coming():
                self._enough.wait(GATHER_S)
            self._enough.clear()
            while found is not None:
                batch.append(found)
                if len(batch) == self._batch:
                    return batch, False
                found = self._queue.get_nowait()
        except Empty:
            return batch, False
        return batch, True

    def _write(self, batch: list[_Waiting]) -> None:
        failure = self._append(batch) if batch else None
        if failure is None:
            self._checkpoints.written()
        for waiting in batch:
            if failure is None:
                waiting.durable(None)
            else:
                waiting.failed(AuditUnavailable())

    def _append(self, batch: list[_Waiting]) -> str | None:
        """None when durable, else the kind of failure. The pool is emptied: the disk may be another."""
        try:
            self._appender.append([waiting.content for waiting in batch])
        except (SQLAlchemyError, OSError) as error:
            logging.event("API020", "error", error=type(error).__name__, count=len(batch))
            self._appender.close()
            self.engine.dispose()
            return type(error).__name__
        return None
