"""The service over HTTP, as a portal meets it: token check and durable audit included.

Belongs here: starting one API worker on a published generation and loading it. Does not belong here:
the load itself (``load.py``).
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
from pathlib import Path
from urllib.parse import urlencode

import duckdb
import orjson

from tests.performance import load
from tests.performance.figures import ROOT, Figure

API_PORT, ISSUER_PORT = 8901, 8902
CONNECTIONS = 8
SECONDS = 8.0
BASE = "/FHIR/R4/Patient"


def figures(home: Path, stem: str, settings: Mapping[str, str] | None = None) -> Iterator[Figure]:
    """Reads by number, PDS fuzzy searches and wide searches, at 8 connections on one worker.

    ``stem`` begins the figures' names; ``settings`` are those of an API node that is not of this home.
    """
    numbers, questions = _population(home)
    wide = [{**question, "_ncrs-mode": "wide"} for question in questions]
    fuzzy = [{**question, "_fuzzy-match": "true"} for question in questions]
    asked = {
        "read": [f"{BASE}/{number}" for number in numbers],
        "fuzzy": [f"{BASE}?{urlencode(question)}" for question in fuzzy],
        "wide": [f"{BASE}?{urlencode(question)}" for question in wide],
    }
    with _serving({"NCRS_HOME": str(home), **(settings or {})}) as token:
        for name, paths in asked.items():
            measured = load.run(API_PORT, paths, token, connections=CONNECTIONS, seconds=SECONDS)
            what = f"{name} over HTTP, token checked, audited, 8 connections, 1 worker"
            yield Figure(f"{stem}.http_{name}_per_s", measured.rate, "1/s", what, more_is_better=True)
            yield Figure(f"{stem}.http_{name}_p50_ms", measured.p50_ms, "ms", f"{name}: median")
            yield Figure(f"{stem}.http_{name}_p99_ms", measured.p99_ms, "ms", f"{name}: 99th percentile")
            yield Figure(f"{stem}.http_{name}_not_ok", measured.not_ok, "answers", f"{name}: answers other than 200", 0)


def _population(home: Path) -> tuple[list[str], list[dict[str, str]]]:
    """400 numbers, and 400 questions: two letters of the family name swapped, the rest right."""
    replica = max((home / "generations").glob("*/replica.duckdb"))
    connection = duckdb.connect(str(replica), read_only=True)
    query = """SELECT nhs_number, record FROM replica__pds_patient
               WHERE security = 'U' AND length(birth_date) = 10 ORDER BY hash(nhs_number) LIMIT 400"""
    rows = connection.execute(query).fetchall()
    connection.close()
    return [f"{number:010d}" for number, _ in rows], [q for q in map(_question, rows) if q]


def _question(row: tuple[int, str]) -> dict[str, str]:
    record = orjson.loads(row[1])
    usual = [name for name in record["names"] or [] if name["use"] == "usual" and name["given"] and name["family"]]
    if not usual:
        return {}
    family = usual[0]["family"]
    middle = len(family) // 2
    swapped = family[: middle - 1] + family[middle : middle + 1] + family[middle - 1 : middle] + family[middle + 1 :]
    return {"family": swapped, "given": usual[0]["given"][0], "birthdate": f"eq{record['birth_date']}"}


@contextmanager
def _serving(settings: Mapping[str, str]) -> Iterator[str]:
    issuer = f"http://127.0.0.1:{ISSUER_PORT}"
    environment = {**os.environ, **settings, "NCRS_ISSUER": issuer, "NCRS_PORT": str(API_PORT)}
    identity = _start(["sandbox", "identity", "--port", str(ISSUER_PORT)], environment)
    api = _start(["pipelines.cli", "serve", "--port", str(API_PORT)], environment)
    try:
        _wait(f"{issuer}/jwks")
        _wait(f"http://127.0.0.1:{API_PORT}/readyz")
        token = [sys.executable, "-m", "sandbox", "token", "--persona", "clinician"]
        printed = subprocess.run(token, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        yield printed.stdout.strip()
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
