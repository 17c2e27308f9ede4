"""A small closed-loop HTTP load: N connections, each asking one question after the other.

Belongs here: sending requests on kept-alive connections and collecting latencies. Does not belong
here: what is asked. Closed loop: latencies under overload look better than a user would see; read
the rate, and the latencies at the connection count given. Only loopback addresses are asked.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Load:
    """Answers and their rate a second, percentiles in milliseconds, how many answers were not 200, and the
    processor seconds that asking took for each."""

    answers: int
    rate: float
    p50_ms: float
    p99_ms: float
    not_ok: int
    own_seconds: float


def run(port: int, paths: Sequence[str], token: str, *, connections: int, seconds: float) -> Load:
    """Asks ``paths`` in turn for ``seconds`` over ``connections`` connections."""
    return asyncio.run(_run(port, paths, token, connections, seconds))


async def _run(port: int, paths: Sequence[str], token: str, connections: int, seconds: float) -> Load:
    stop = time.perf_counter() + seconds
    results: list[tuple[float, bool]] = []
    tasks = [_one(port, paths[n::connections], token, stop, results) for n in range(connections)]
    started, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*tasks)
    took, used = time.perf_counter() - started, time.process_time() - used
    times = sorted(ms for ms, _ in results)
    not_ok = sum(not ok for _, ok in results)
    p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
    return Load(len(times), len(times) / took, p50, p99, not_ok, used / len(times))


async def _one(port: int, paths: Sequence[str], token: str, stop: float, results: list[tuple[float, bool]]) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    turn = 0
    while time.perf_counter() < stop:
        path = paths[turn % len(paths)]
        turn += 1
        head = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\nX-Request-ID: {uuid.uuid4()}\r\n\r\n"
        started = time.perf_counter()
        writer.write(head.encode("ascii"))
        ok = await _answer(reader)
        results.append(((time.perf_counter() - started) * 1000, ok))
    writer.close()
    await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> bool:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return b" 200 " in lines[0]
