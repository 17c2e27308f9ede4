"""Faults of the network, in front of a real server: delay, silence, resets, a thin line.

Belongs here: what goes wrong below HTTP, byte by byte, changed while connections are open. Does not
belong here: single requests, TLS and accounts (``tests/lib/front.py``).
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

HOST = "127.0.0.1"
_CHUNK = 16_384
_TICK_S = 0.01


@dataclass(frozen=True)
class Faults:
    """What is wrong with the line; the default is nothing.

    ``silent``: connections are accepted, stay open, and carry nothing. ``refuse``: each new one is reset at
    once. ``latency_s``: before each chunk, both ways. ``bytes_per_s``: both ways. ``reset_after``: a
    connection is reset once the server has said so many bytes over it.
    """

    silent: bool = False
    refuse: bool = False
    latency_s: float = 0.0
    bytes_per_s: float | None = None
    reset_after: int | None = None


FINE = Faults()
SILENT = Faults(silent=True)


class Proxy:
    """One server behind a line with faults. A context manager; ``faults`` may be exchanged at any time."""

    def __init__(self, target: str, faults: Faults = FINE) -> None:
        parts = urlsplit(target)
        self._target = (str(parts.hostname), int(parts.port or 9200))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.faults = faults
        self.accepted = 0
        self.port = 0

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, HOST, 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def address(self) -> str:
        """Where it listens, as ``NCRS_INDEX`` names it."""
        return f"http://{HOST}:{self.port}"

    def drop(self) -> None:
        """Reset every connection that is open; new ones are served as ``faults`` says."""
        self._do(self._drop())

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _drop(self) -> None:
        for writer in list(self._writers):
            _reset(writer)

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._drop()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.faults.refuse:
            _reset(writer)
            return
        self._writers.add(writer)
        try:
            await self._speaks()
            there, back = await asyncio.open_connection(*self._target)
            self._writers.add(back)
            await self._both_ways((reader, back), (there, writer))
        except OSError:
            _reset(writer)
        except asyncio.CancelledError:
            return  # the proxy stops; on CPython 3.11 the stream's own callback would remark on a cancelled task
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _both_ways(self, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        """Until one side ends; then the other is ended too. The second way is from the server."""
        (_, server), (_, client) = ways
        pumps = [
            asyncio.create_task(self._pump(*ways[0])),
            asyncio.create_task(self._pump(*ways[1], counted=True)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._writers.discard(server)
            server.close()
            client.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool = False) -> None:
        said = 0
        while part := await reader.read(_CHUNK):
            await self._speaks()
            await self._delay(len(part))
            limit = self.faults.reset_after if counted else None
            if limit is not None and said + len(part) >= limit:
                writer.write(part[: limit - said])
                with suppress(OSError):
                    await writer.drain()
                _reset(writer)
                return
            said += len(part)
            writer.write(part)
            await writer.drain()

    async def _speaks(self) -> None:
        while self.faults.silent:
            await asyncio.sleep(_TICK_S)

    async def _delay(self, size: int) -> None:
        rate = self.faults.bytes_per_s
        await asyncio.sleep(self.faults.latency_s + (size / rate if rate else 0.0))


def _reset(writer: asyncio.StreamWriter) -> None:
    """A reset instead of an orderly end."""
    held: Any = writer.get_extra_info("socket")
    if held is not None:
        with suppress(OSError):
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
