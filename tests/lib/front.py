"""What stands before a real OpenSearch node in tests: TLS, accounts, and faults of single requests.

Belongs here: an HTTP server that passes requests on to the node, or does what its rule says instead.
Does not belong here: answers of its own making where the node's could be had; faults below HTTP.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; header names in small letters."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Treatment:
    """What becomes of a request: wait, pass it on or not, answer or drop the connection.

    ``change`` is given the node's answer, parsed, and gives what is answered instead.
    """

    wait: float = 0.0
    passed_on: bool = True
    dropped: bool = False
    status: int | None = None
    body: Any = None
    change: Callable[[Any], Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


PASS = Treatment()
DROP = Treatment(passed_on=False, dropped=True)
DROP_ANSWER = Treatment(dropped=True)


def slow(seconds: float) -> Treatment:
    """Passed on after a wait."""
    return Treatment(wait=seconds)


def doctored(change: Callable[[Any], Any]) -> Treatment:
    """The node's own answer, changed."""
    return Treatment(change=change)


def say(status: int, body: Any = None, **headers: str) -> Treatment:
    """Answered here."""
    return Treatment(passed_on=False, status=status, body=body, headers=headers)


Rule = Callable[[Asked], Treatment]


class Front:
    """A context manager; ``rule`` may be exchanged at any time. ``prefix`` is taken off each path.

    ``host`` is what its address says: a name of this machine, or ``[::1]``.
    """

    def __init__(self, node: str, tls: ssl.SSLContext | None = None, host: str = "localhost", prefix: str = "") -> None:
        parts = urlsplit(node)
        self._node = (parts.hostname or "127.0.0.1", parts.port or 9200)
        self._tls = tls
        self._host = host
        self._bound_to = "::1" if host == "[::1]" else "127.0.0.1"
        self._prefix = prefix
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self.rule: Rule = lambda _asked: PASS
        self.asked: list[Asked] = []
        self.most = 0
        self.port = 0

    def __enter__(self) -> Front:
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, self._bound_to, 0, ssl=self._tls))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def address(self) -> str:
        """As ``NCRS_INDEX`` names it."""
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}{self._prefix}"

    @property
    def connections(self) -> int:
        """Open now."""
        return len(self._writers)

    def cut(self) -> None:
        """Close every connection from this side, as a node does that ends idle ones."""
        self._do(self._cut())

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _cut(self) -> None:
        for writer in list(self._writers):
            writer.close()

    async def _stop(self) -> None:
        self._server.close()
        await self._cut()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.most = max(self.most, len(self._writers))
        node = await asyncio.open_connection(*self._node)
        try:
            while await self._exchange(reader, writer, node):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
            node[1].close()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        node: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> bool:
        head, headers, body = await _message(reader)
        method, target, _ = head.split(" ")
        asked = Asked(method, target, headers, body)
        self.asked.append(asked)
        treatment = self.rule(asked)
        await asyncio.sleep(treatment.wait)
        answer = _answer(treatment)
        if treatment.passed_on:
            answer = await self._pass_on(asked, treatment, *node)
        if treatment.dropped:
            return False
        writer.write(answer)
        await writer.drain()
        return True

    async def _pass_on(
        self, asked: Asked, treatment: Treatment, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        kind = asked.headers.get("content-type", "application/json")
        target = asked.target.removeprefix(self._prefix)
        lines = [f"{asked.method} {target} HTTP/1.1", "host: node", f"content-type: {kind}"]
        writer.write("\r\n".join([*lines, f"content-length: {len(asked.body)}", "", ""]).encode() + asked.body)
        head, headers, body = await _message(reader, empty=asked.method == "HEAD")
        if treatment.change is not None:
            body = json.dumps(treatment.change(json.loads(body))).encode()
            headers["content-length"] = str(len(body))
        shown = [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([head, *shown, "", ""]).encode() + body


async def _message(reader: asyncio.StreamReader, *, empty: bool = False) -> tuple[str, dict[str, str], bytes]:
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = text.strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    body = b"" if empty else await reader.readexactly(int(headers.get("content-length", "0")))
    return first, headers, body


def _answer(treatment: Treatment) -> bytes:
    if treatment.status is None:
        return b""
    body = treatment.body if isinstance(treatment.body, bytes) else json.dumps(treatment.body).encode()
    lines = [f"HTTP/1.1 {treatment.status} Said", "content-type: application/json", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in treatment.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
