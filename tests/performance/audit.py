"""Figures of the access log and the gate: how fast, how long, how much.

Belongs here: measuring them in process. Does not belong here: the store of figures (``figures.py``).
Promises: X7 (one million events checked in 60 s), 4.2 (an answer has 3 ms at the median).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from search_api.access.audit_report import verify
from search_api.access.audit_store import append, audit_engine, event_content
from search_api.access.gate import AccessGate
from search_api.settings import Settings
from tests.lib.audit import a_log, an_event, audit_url
from tests.lib.tokens import Signer
from tests.performance.figures import Figure

WRITERS = 8
BATCH = 5_000
MILLION = 1_000_000


def figures(folder: Path, *, events: int = 4_000, checked: int = 200_000) -> Iterator[Figure]:
    """Measures in two new folders below ``folder``; ``checked`` events are scaled to one million."""
    latencies, seconds = _write(folder / "written", events)
    yield Figure(
        "bench.audit.rate_per_s", events / seconds, "events/s", f"durable access events, {WRITERS} writers", 500, True
    )
    yield Figure(
        "bench.audit.p50_ms",
        latencies[len(latencies) // 2] * 1e3,
        "ms",
        f"event durable, median, {WRITERS} writers",
        10,
    )
    yield Figure(
        "bench.audit.p99_ms",
        latencies[int(len(latencies) * 0.99)] * 1e3,
        "ms",
        f"event durable, p99, {WRITERS} writers",
    )
    yield Figure(
        "bench.audit.verify_s", _check(folder / "checked", checked) * MILLION / checked, "s", "check of 1 M events", 60
    )
    yield Figure("bench.gate.p50_us", _gate() * 1e6, "µs", "token known, role chosen, policy decided", 1_000)


def _write(folder: Path, events: int) -> tuple[list[float], float]:
    folder.mkdir(parents=True)
    log = a_log(folder)
    latencies: list[float] = []

    async def writer(first: int) -> None:
        for number in range(first, events, WRITERS):
            started = time.perf_counter()
            await log.record(an_event(number, 9000000009))
            latencies.append(time.perf_counter() - started)

    async def all_writers() -> None:
        await asyncio.gather(*(writer(first) for first in range(WRITERS)))

    started = time.perf_counter()
    asyncio.run(all_writers())
    seconds = time.perf_counter() - started
    log.close()
    return sorted(latencies), seconds


def _check(folder: Path, events: int) -> float:
    folder.mkdir(parents=True)
    engine = audit_engine(audit_url(folder))
    now = datetime.now(UTC)
    for first in range(0, events, BATCH):
        append(engine, [event_content(an_event(first + number, 9000000009), now) for number in range(BATCH)])
    started = time.perf_counter()
    report = verify(engine)
    seconds = time.perf_counter() - started
    engine.dispose()
    if not report.whole or report.events != events:
        raise AssertionError("The check itself went wrong, so its time means nothing.")
    return seconds


class _Forgetful:
    """Records nothing: only the decision is measured."""

    async def record(self, event: object) -> None:
        """Nothing is kept."""


def _gate(requests: int = 2_000) -> float:
    signer = Signer()
    gate = AccessGate(Settings(), audit=_Forgetful(), keys=signer.key_store())
    token = signer.clinician()

    async def run() -> list[float]:
        times = []
        for _ in range(requests):
            started = time.perf_counter()
            await gate.authorise_token(token, "patient-search")
            times.append(time.perf_counter() - started)
        return times

    return sorted(asyncio.run(run()))[requests // 2]
