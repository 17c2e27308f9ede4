"""The line of each request: noted at once, written with the others of the same moment.

Belongs here: the buffer of lines and the thread that writes it. Does not belong here: which fields a line
may have (``logging.py``), any other event: those are written at once, after the lines that wait.

Ours, by measurement (docs/decisions/0021): writing gives up the interpreter's lock, and getting it back
between reading threads took the event loop longer than everything else it did for a request. A
process that is killed loses the lines of its last tenth of a second; the audit log loses nothing.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any

import orjson

LINGER_S = 0.1


class RequestLines:
    """Lines on their way to stdout, where they are ``wanted``. Safe to use from many threads."""

    def __init__(self) -> None:
        self.wanted = True
        self._lines: deque[tuple[datetime, dict[str, Any]]] = deque()
        self._some = threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        atexit.register(self.flush)

    def add(self, fields: dict[str, Any]) -> None:
        """One line; ``fields`` but the time of it."""
        self._lines.append((datetime.now(UTC), fields))
        if not self._some.is_set():
            self._some.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_all, name="request-lines", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Write what waits, now."""
        with self._writing:
            self._some.clear()
            lines = [_line(*self._lines.popleft()) for _ in range(len(self._lines))]
            if lines:
                sys.stdout.write(b"\n".join((*lines, b"")).decode())
                sys.stdout.flush()

    def _write_all(self) -> None:
        while self._some.wait():
            time.sleep(LINGER_S)
            self.flush()


def _line(at: datetime, fields: dict[str, Any]) -> bytes:
    moment = at.isoformat().replace("+00:00", "Z")
    return orjson.dumps({**fields, "timestamp": moment}, option=orjson.OPT_SORT_KEYS)
