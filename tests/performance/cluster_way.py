"""The way on a cluster: a generation built into it, a delta, and an API node that has no file of it.

Belongs here: what is run and which figures come of it. Does not belong here: the way on files (``way.py``),
the engines side by side (``bench_opensearch.py``).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from search_api.cluster.client import Cluster
from search_api.generation_files import read_current, read_manifest
from search_api.settings import Settings
from tests.performance import served, way
from tests.performance.bench_opensearch import store_bytes
from tests.performance.figures import Figure
from tests.performance.stages import run

PREFIX = "ncrs-bench-way-"


def figures(home: Path, patients: int, seed: int, url: str) -> Iterator[Figure]:
    """Builds the generation of ``home`` anew in the cluster, applies the next day's delta, and serves it."""
    stem = f"bench.opensearch.{way.label(patients)}"
    cluster = Cluster(Settings(index=url, search_deadline_ms=60_000))
    settings = {
        "NCRS_INDEX": url,
        "NCRS_RECORDS": "opensearch",
        "NCRS_OPENSEARCH_PREFIX": PREFIX,
        "NCRS_OPENSEARCH_REPLICAS": "0",
    }
    try:
        built = run(["pipelines.cli", "build", "--full", "--reason", "benchmark"], home, settings)
        yield Figure(f"{stem}.publish_s", built.seconds, "s", "Replica, index, records, reconcile, published")
        yield Figure(f"{stem}.publish_peak_gb", built.peak_gb, "GB", "Largest process of the build, the node left out")
        yield _records(home, cluster, stem)
        way.extract(home, patients, seed, day=2)
        taken = run(["pipelines.cli", "ingest"], home, settings)
        yield Figure(f"{stem}.delta_s", taken.seconds, "s", "One day's delta, drop to published, by _clone")
        yield from _served(home, stem, settings)
    finally:
        _remove(cluster)
        cluster.close()


def _records(home: Path, cluster: Cluster, stem: str) -> Figure:
    generations = home / "generations"
    current = read_current(generations)
    manifest = read_manifest(generations / current.generation) if current else None
    if manifest is None or manifest.records is None:
        raise AssertionError("Nothing was built into the cluster, so nothing can be measured.")
    stored = store_bytes(cluster, manifest.records.location)
    people = manifest.index.documents
    return Figure(f"{stem}.records_bytes_patient", stored / people, "B", "Disk of the records a patient found")


def _served(home: Path, stem: str, settings: dict[str, str]) -> Iterator[Figure]:
    """An API node with a home of its own, which stays empty of generations; the control database is shared."""
    control = f"sqlite:///{(home / 'control.db').resolve()}"
    with tempfile.TemporaryDirectory(prefix="ncrs-bench-node-") as empty:
        node = {**settings, "NCRS_HOME": empty, "NCRS_CONTROL_DB": os.environ.get("NCRS_CONTROL_DB", control)}
        yield from served.figures(home, stem, node)


def _remove(cluster: Cluster) -> None:
    listed = cluster.call("GET", f"/_cat/indices/{PREFIX}*", params={"format": "json", "h": "index"}, budget=60)
    for row in listed.body if listed.status == 200 else ():
        cluster.call("DELETE", f"/{row['index']}", budget=60)
