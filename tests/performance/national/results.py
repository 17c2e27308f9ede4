"""Figures of a national run: what its journal comes to, by size, and of the largest size under the plain names.

Belongs here: names, promises, sums over stages. Does not belong here: measuring, the page (``page.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.performance import way
from tests.performance.figures import Figure, Store
from tests.performance.national.journal import Entry

BUILD = ("ingest", "replica", "index", "reconcile", "publish")
NATIONAL = 63_000_000
# The promise of the batch trace is for ten million.
TRACE, TRACED = "trace_rows_per_s", 10_000_000
_PROMISED = f"national.{way.label(TRACED)}.{TRACE}"
# Key, unit, meaning, promise, whether more is better. The promises are for the whole country.
WHAT: dict[str, tuple[str, str, float | None, bool]] = {
    "search_p50_ms": ("ms", "fuzzy search in process, warm, graded, median", 1.0, False),
    "search_p99_ms": ("ms", "fuzzy search in process, warm, graded, 99th percentile", 5.0, False),
    "search_cold_p50_ms": ("ms", "the same cold, median", None, False),
    "search_cold_p99_ms": ("ms", "the same cold, 99th percentile", None, False),
    "wide_p50_ms": ("ms", "wide search in process, warm, graded, median", None, False),
    "wide_p99_ms": ("ms", "wide search in process, warm, graded, 99th percentile", None, False),
    "wide_cold_p50_ms": ("ms", "the same cold, median", None, False),
    "wide_cold_p99_ms": ("ms", "the same cold, 99th percentile", None, False),
    "read_p50_ms": ("ms", "read by number in process, warm, median", None, False),
    "read_p99_ms": ("ms", "read by number in process, warm, 99th percentile", None, False),
    "read_cold_p50_ms": ("ms", "read by number in process, cold, median", None, False),
    "read_cold_p99_ms": ("ms", "read by number in process, cold, 99th percentile", None, False),
    "http_search_per_s_core": ("1/s", "fuzzy search over HTTP, token and durable audit, one worker", 600.0, True),
    "http_read_per_s_core": ("1/s", "read by number over HTTP, token and durable audit, one worker", 800.0, True),
    "http_search_p99_ms": ("ms", "fuzzy search over HTTP at 8 connections, 99th percentile", 25.0, False),
    "index_patients_per_s": ("1/s", "search index, names counted and documents written", 40_000.0, True),
    "index_gb": ("GB", "disk of the search index", 12.0, False),
    "index_peak_gb": ("GB", "memory of the index stage, all its processes", 6.0, False),
    "extract_minutes": ("min", "the sandbox's full delivery; no part of the build", None, False),
    "build_minutes": ("min", "ingest, replica, index, reconcile, publish", 60.0, False),
    "build_peak_gb": ("GB", "largest memory of any of these stages, all its processes", 10.0, False),
    "disk_gb": ("GB", "disk of the home, the most at any look while it was made and asked", 60.0, False),
    "generation_gb": ("GB", "disk of the published generation", None, False),
    "delta_100k_s": ("s", "100,000 changes or more, drop to published", 180.0, False),
    "delta_changes": ("records", "how many changes these were", None, True),
    TRACE: (
        "1/s",
        "batch trace of 100,000 rows as a hospital sends them, none with an NHS number",
        2000.0,
        True,
    ),
}
_FROM_HTTP = {
    "http_search_per_s_core": "http_fuzzy_per_s",
    "http_read_per_s_core": "http_read_per_s",
    "http_search_p99_ms": "http_fuzzy_p99_ms",
}


def figures(entries: Mapping[str, Entry], patients: int, known: Store) -> Iterator[Figure]:
    """Figures by size; under the plain names too unless a larger size is known."""
    values = dict(_values(entries, patients))
    largest = max((size_of(name) for name in known), default=0)
    for key, value in values.items():
        unit, meaning, must, more = WHAT[key]
        promise = must if patients >= (TRACED if key == TRACE else NATIONAL) else None
        yield Figure(f"national.{way.label(patients)}.{key}", value, unit, meaning, promise, more)
        if patients >= largest:
            what = f"{meaning}; {patients:,} people"
            yield Figure(f"national.{key}", value, unit, what, must, more)
        if key == TRACE and (patients == TRACED or (patients >= largest and _PROMISED not in known)):
            yield Figure("trace.rows_per_s", value, unit, f"{meaning}; {patients:,} people", must, more)


def size_of(name: str) -> int:
    """People of the run that a figure is of, by its name; 0 when it tells none."""
    parts = name.split(".")
    if parts[0] != "national" or len(parts) < 3:
        return 0
    number, unit = parts[1][:-1], parts[1][-1:]
    return int(number) * {"m": way.MILLION, "k": 1000}.get(unit, 0) if number.isdigit() else 0


def _values(entries: Mapping[str, Entry], patients: int) -> Iterator[tuple[str, float]]:
    """Only what all its stages are there for."""
    measured = {key: value for entry in entries.values() for key, value in entry.figures.items()}
    if "extract" in entries:
        yield "extract_minutes", entries["extract"].seconds / 60
    if index := entries.get("index"):
        yield "index_patients_per_s", patients / index.seconds
        yield "index_peak_gb", index.peak_gb
    if all(stage in entries for stage in BUILD):
        yield "build_minutes", sum(entries[stage].seconds for stage in BUILD) / 60
        yield "build_peak_gb", max(entries[stage].peak_gb for stage in BUILD)
    if delta := entries.get("delta"):
        yield "delta_100k_s", delta.seconds
    if entries:
        yield "disk_gb", max(entry.disk_gb for entry in entries.values())
    renamed = {**{key: key for key in WHAT}, **_FROM_HTTP}
    for key, told in renamed.items():
        if told in measured:
            yield key, measured[told]
