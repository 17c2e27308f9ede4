"""Moving what the audit log has written from SQLite's journal to its tables, beside the log and not in its way.

Belongs here: when that is done, and by which thread. Does not belong here: what is written (``audit_store.py``).

An event is durable once it is in the journal (WAL). Left to itself SQLite empties the journal within the commit that
has filled a thousand pages: every two hundredth answer or so, and all that wait with it, come ten milliseconds late.
Here a thread of its own does it twice a second, while events go on being committed. The commit that finds ten
thousand pages does what is left, which lets the journal begin anew; it also does all of it should the thread fail.
"""

from __future__ import annotations

import threading
from contextlib import closing

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from search_api import logging

EVERY_S = 0.5
# Of the journal, a page is 4 KB; an event takes five or six.
MOST_PAGES = 10_000
# A commit that comes in between leaves the pass without its end, which only brings the tables to the disk.
_TURNS = 3
_MOVE = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpoints:
    """The thread, begun with the first event. A database other than SQLite needs none."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._needed = engine.dialect.name == "sqlite"
        self._fault: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._written, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def written(self) -> None:
        """Events were committed. Called by one thread."""
        if not self._needed or self._written.is_set():
            return
        self._written.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_up, name="audit-checkpoint", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Come to an end. What is still in the journal stays there: whoever closes the database last moves it."""
        self._ended.set()
        self._written.set()
        if self._thread is not None:
            self._thread.join()

    def _keep_up(self) -> None:
        while self._written.wait() and not self._ended.wait(EVERY_S):
            self._written.clear()
            try:
                self.move()
            except (SQLAlchemyError, self._fault) as error:
                # The commits do it, if they can; whether they can is what the log itself says.
                logging.event("API024", "warning", error=type(error).__name__)

    def move(self) -> None:
        """Bring what is in the journal to the tables. Raises what the database says."""
        with closing(self._engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
            for _ in range(_TURNS):
                cursor.execute(_MOVE)
                cursor.fetchall()
