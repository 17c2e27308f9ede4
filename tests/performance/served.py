"""The service over HTTP, as a portal meets it: token check and durable audit included.

Belongs here: starting an API on a published generation, loading it, what that costs the server. Does not
belong here: the load itself (``load.py``), the server's processor time (``processes.py``).

The load comes from the same machine, and others may be at work on it: rates depend on both. What a request
costs the server in processor time does not, so that is the figure to compare, and requests a core are
reckoned from it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import duckdb

from search_api.records import PatientRecord
from search_api.replica import ReplicaReader
from tests.performance import load
from tests.performance.figures import ROOT, Figure
from tests.performance.processes import seconds_used

API_PORT, ISSUER_PORT = 8901, 8902
CONNECTIONS, CROWD = 8, 32
WORKERS = 2
SECONDS = 8.0
BASE = "/FHIR/R4/Patient"
PEOPLE = 8_000  # more than a cache of anything near the processor holds; every second one is for warming
MOST_MS = 25.0  # at 8 connections (matching.md 3)
PER_CORE = {"read": 800, "fuzzy": 600}


@dataclass(frozen=True)
class Served:
    """A running API: the process that was started, whose children are its workers, and a token."""

    process: int
    token: str

    def warmed(self, paths: list[str]) -> Cost:
        """Ask every second path, so that the files are mapped and common names known, then the others: their cost."""
        self.load(paths[::2])
        return self.load(paths[1::2])

    def load(self, paths: list[str], connections: int = CONNECTIONS) -> Cost:
        """Ask these paths, and see what that cost."""
        before = seconds_used(self.process)
        measured = load.run(API_PORT, paths, self.token, connections=connections, seconds=SECONDS)
        return Cost(measured, (seconds_used(self.process) - before) / measured.answers)


@dataclass(frozen=True)
class Cost:
    """One load, and the server's processor seconds for each answer."""

    load: load.Load
    seconds: float


def figures(home: Path, stem: str, settings: Mapping[str, str] | None = None) -> Iterator[Figure]:
    """Reads by number, PDS fuzzy searches and wide searches: at 8 connections on one worker, at 32, beside each
    other, and on two workers.

    Warm: other people have been asked about before. ``stem`` begins the figures' names; ``settings`` are those of an API node that is not of this home.
    """
    asked = _asked(home)
    # All the load is one caller's.
    node = {"NCRS_HOME": str(home), "NCRS_RATE_LIMIT": "0", "NCRS_HOLD_INDEX": "true", **(settings or {})}
    with _serving(node) as served:
        for name, paths in asked.items():
            yield from _alone(stem, name, served.warmed(paths))
        crowd = served.load(asked["fuzzy"], CROWD).load
        yield _ms(f"{stem}.http_fuzzy_crowd_p99_ms", crowd.p99_ms, f"fuzzy: 99th percentile, {CROWD} connections")
        mixed = served.load([path for pair in zip(asked["read"], asked["wide"], strict=False) for path in pair]).load
        yield _ms(f"{stem}.http_mixed_p99_ms", mixed.p99_ms, "reads and wide searches by turns: 99th percentile")
    with _serving(node, WORKERS) as served:
        for name, paths in asked.items():
            yield from _shared(stem, name, served.warmed(paths))


def _asked(home: Path) -> dict[str, list[str]]:
    numbers, questions = _population(home)
    wide = [{**question, "_ncrs-mode": "wide"} for question in questions]
    fuzzy = [{**question, "_fuzzy-match": "true"} for question in questions]
    return {
        "read": [f"{BASE}/{number}" for number in numbers],
        "fuzzy": [f"{BASE}?{urlencode(question)}" for question in fuzzy],
        "wide": [f"{BASE}?{urlencode(question)}" for question in wide],
    }


def _alone(stem: str, name: str, cost: Cost) -> Iterator[Figure]:
    measured = cost.load
    what = f"{name} over HTTP, token checked, audited, {CONNECTIONS} connections, 1 worker"
    yield Figure(f"{stem}.http_{name}_per_s", measured.rate, "1/s", what, more_is_better=True)
    yield _ms(f"{stem}.http_{name}_p50_ms", measured.p50_ms, f"{name}: median")
    yield _ms(f"{stem}.http_{name}_p99_ms", measured.p99_ms, f"{name}: 99th percentile", MOST_MS)
    yield Figure(f"{stem}.http_{name}_not_ok", measured.not_ok, "answers", f"{name}: answers other than 200", 0)
    cpu = f"{name}: the server's processor time for each"
    yield Figure(f"{stem}.http_{name}_server_cpu_us", cost.seconds * 1e6, "µs", cpu)
    own = f"{name}: the load's own processor time for each, on another core"
    yield Figure(f"{stem}.http_{name}_load_cpu_us", measured.own_seconds * 1e6, "µs", own)


def _shared(stem: str, name: str, cost: Cost) -> Iterator[Figure]:
    rate = f"{name}, {WORKERS} workers on all cores, the load among them"
    yield Figure(f"{stem}.http_{name}_workers_per_s", cost.load.rate, "1/s", rate, more_is_better=True)
    yield _ms(f"{stem}.http_{name}_workers_p99_ms", cost.load.p99_ms, f"{name}, {WORKERS} workers: 99th percentile")
    core = f"{name}, {WORKERS} workers: answers for each second of the server's processor time"
    yield Figure(f"{stem}.http_{name}_per_s_core", 1 / cost.seconds, "1/s", core, PER_CORE.get(name), True)


def _ms(name: str, value: float, meaning: str, must: float | None = None) -> Figure:
    return Figure(name, value, "ms", meaning, must)


def _population(home: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Numbers, and questions: two letters of the family name swapped, the rest right."""
    replica = max((home / "generations").glob("*/replica.duckdb"))
    with duckdb.connect(str(replica), read_only=True) as connection:
        query = f"""SELECT nhs_number FROM replica__pds_patient
                    WHERE security = 'U' AND length(birth_date) = 10 ORDER BY hash(nhs_number) LIMIT {PEOPLE}"""
        numbers = [number for (number,) in connection.execute(query).fetchall()]
    with ReplicaReader(replica) as reader:
        people = reader.patients(numbers).values()
    return [f"{number:010d}" for number in numbers], [question for question in map(_question, people) if question]


def _question(person: PatientRecord) -> dict[str, str]:
    names = person.row["names"] or []
    usual = [name for name in names if name["use"] == "usual" and name["given"] and name["family"]]
    if not usual:
        return {}
    family = usual[0]["family"]
    middle = len(family) // 2
    swapped = family[: middle - 1] + family[middle : middle + 1] + family[middle - 1 : middle] + family[middle + 1 :]
    return {"family": swapped, "given": usual[0]["given"][0], "birthdate": f"eq{person.row['birth_date']}"}


@contextmanager
def _serving(settings: Mapping[str, str], workers: int = 1) -> Iterator[Served]:
    issuer = f"http://127.0.0.1:{ISSUER_PORT}"
    environment = {**os.environ, **settings, "NCRS_ISSUER": issuer, "NCRS_PORT": str(API_PORT)}
    identity = _start(["sandbox", "identity", "--port", str(ISSUER_PORT)], environment)
    api = _start(["pipelines.cli", "serve", "--port", str(API_PORT), "--workers", str(workers)], environment)
    try:
        _wait(f"{issuer}/jwks")
        _wait(f"http://127.0.0.1:{API_PORT}/readyz")
        token = [sys.executable, "-m", "sandbox", "token", "--persona", "clinician"]
        printed = subprocess.run(token, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        yield Served(api.pid, printed.stdout.strip())
    finally:
        for process in (api, identity):
            process.terminate()
            process.wait(timeout=40)


def _start(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)


def _wait(address: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return
