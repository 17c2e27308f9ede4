"""A small web server on the loopback that answers as a test tells it: for key sets and their faults.

Belongs here: the server. Does not belong here: the key sets (``tokens.py``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class KeyServer(ThreadingHTTPServer):
    """``body``, ``status``, ``location`` and ``delay`` (seconds before the body) may be set at any time."""

    daemon_threads = True

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = body
        self.status = 200
        self.location: str | None = None
        self.delay = 0.0
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        """Address of the key set."""
        return f"http://127.0.0.1:{self.server_address[1]}/jwks"


class _Handler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        time.sleep(self.server.delay)
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Tests print nothing."""


@contextmanager
def key_server(body: bytes) -> Iterator[KeyServer]:
    """A running server; it is gone afterwards."""
    server = KeyServer(body)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
