"""An answer leaves in one piece: its head waits for its body.

Belongs here: the server's protocol with that one change. Does not belong here: what is answered.

Ours, by measurement (docs/decisions/0026): the server writes head and body each for itself, and the second
call to the system costs a read as much as finding the record does; whoever asked is woken twice as well.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD = b"HTTP/1."


class Gathering:
    """A transport that keeps a head back until something follows it, or the loop's next turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Write what is kept back, and this; of a head that comes first, nothing yet."""
        if self._head is None and data[: len(_HEAD)] == _HEAD:
            self._head = data
            # An answer without a body, or with one that comes later, has nobody else to send its head.
            self._loop.call_soon(self._release)
            return
        head, self._head = self._head, None
        self._transport.write(data if head is None else b"".join((head, data)))

    def close(self) -> None:
        """As a transport closes: what was written is sent before."""
        self._release()
        self._transport.close()

    def _release(self) -> None:
        head, self._head = self._head, None
        if head is not None:
            self._transport.write(head)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class OneWrite(HttpToolsProtocol):
    """The server's protocol over such a transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection is there."""
        super().connection_made(Gathering(transport, self.loop))  # type: ignore[arg-type]
