"""Told to stop: not ready any more, but still answering for a while.

Belongs here: what happens between SIGTERM and the server's own orderly stop. Does not belong here: that
stop, which is the server's. Whoever balances the load sees ``/readyz`` say 503 and sends nothing
new; a server that closes its door in the same moment refuses what was on its way.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from types import FrameType

from search_api import logging


class Draining:
    """Stands before the server's handler of SIGTERM. ``begun`` is true once it came."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._server: object = None
        self.begun = False

    def watch(self) -> None:
        """Stand before the server's handler; nothing where there is none, or no time to drain in."""
        server = signal.getsignal(signal.SIGTERM)
        in_main = threading.current_thread() is threading.main_thread()
        if self._seconds and in_main and callable(server):
            self._server = server
            self._loop = asyncio.get_running_loop()
            signal.signal(signal.SIGTERM, self._told)

    def _told(self, number: int, frame: FrameType | None) -> None:
        """The second time there is nothing to wait for. All but the mark is left to the loop: what was interrupted
        may hold a lock that a line of the log needs."""
        if self.begun:
            self._stop(number, frame)
            return
        self.begun = True
        self._loop.call_soon_threadsafe(self._drain, number, frame)

    def _drain(self, number: int, frame: FrameType | None) -> None:
        logging.event("API003")
        self._loop.call_later(self._seconds, self._stop, number, frame)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if callable(self._server):
            signal.signal(signal.SIGTERM, self._server)
            self._server(number, frame)
