"""The whole way at one size: extract, ingest, build, publish; each a process, measured from outside.

Belongs here: what is run and which figures come of it. Does not belong here: search and HTTP
(``bench_matching.py``, ``served.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.performance.figures import Figure
from tests.performance.stages import Measured, run

GIGABYTE = 1e9
BUILD_MUST_S = 240.0
BUILD_MUST_GB = 4.0
MILLION = 1_000_000


def figures(home: Path, patients: int, seed: int) -> Iterator[Figure]:
    """Makes a published generation of ``patients`` people in ``home``; yields figures as they come."""
    size = label(patients)
    promise = patients == MILLION
    made = extract(home, patients, seed)
    yield Figure(f"bench.{size}.extract_s", made.seconds, "s", "Sandbox: people, summaries and extract files written")
    taken = run(["pipelines.cli", "ingest", "--no-publish"], home)
    yield Figure(f"bench.{size}.ingest_s", taken.seconds, "s", "Landing, validated, quarantine of three feeds")
    built = run(["pipelines.cli", "publish"], home)
    yield Figure(f"bench.{size}.publish_s", built.seconds, "s", "Replica, index, reconcile, published")
    total = taken.seconds + built.seconds
    peak = max(taken.peak_gb, built.peak_gb)
    yield Figure(
        f"bench.{size}.build_s", total, "s", "Every stage, extract to published", BUILD_MUST_S if promise else None
    )
    yield Figure(
        f"bench.{size}.build_peak_gb", peak, "GB", "Largest process of any stage", BUILD_MUST_GB if promise else None
    )
    yield Figure(f"bench.{size}.generation_gb", _size(home / "generations"), "GB", "Disk of the published generation")
    yield from _delta(home, patients, seed)


def extract(home: Path, patients: int, seed: int, day: int = 0) -> Measured:
    """The delivery of one day, written below ``home``; day 0 is a full. What is there already is kept."""
    if day == 0 and any((home / "drop").glob("pds_patient/*/00000001/manifest.json")):
        return Measured(0.0, 0.0)
    asked = ["--drop", str(home / "drop"), "--patients", str(patients), "--seed", str(seed)]
    return run(["sandbox", "extract", *asked, "--day", str(day), "--format", "parquet"], home)


def _delta(home: Path, patients: int, seed: int) -> Iterator[Figure]:
    extract(home, patients, seed, day=1)
    taken = run(["pipelines.cli", "ingest"], home)
    yield Figure(f"bench.{label(patients)}.delta_s", taken.seconds, "s", "One day's delta, drop to published")


def label(patients: int) -> str:
    """``1m``, ``100k``: the size as it stands in names of figures."""
    return f"{patients // MILLION}m" if patients % MILLION == 0 else f"{patients // 1000}k"


def _size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / GIGABYTE
