"""Side by side: the embedded engine, ours on OpenSearch, and OpenSearch as most people use it.

Belongs here: building each index of the same people, asking all the same questions, naming the figures.
Does not belong here: how questions are put in turn (``asking.py``), the plain query (``plain.py``), the page.

Alone: ``python -m tests.performance.bench_opensearch --patients 100000``. A node is started for it, unless
``OPENSEARCH_URL`` names one.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from search_api.cluster.client import Cluster
from search_api.cluster.shared import cluster_of
from search_api.index.documents import documents
from search_api.index.embedded import EmbeddedEngine, folder_of
from search_api.index.engines import index_engine
from search_api.index.frequencies import Frequencies
from search_api.index.provider import BulkEngine, IndexEngine, IndexPlace
from search_api.matching.questions import Mode
from search_api.settings import Settings
from tests.performance import plain, way
from tests.performance.asking import Asker, Ours, Tally, in_turn, warm
from tests.performance.bench_matching import FRAME_ROWS, PROCESSES, cases, people
from tests.performance.figures import Figure, hardware
from tests.performance.node import a_node
from tests.performance.page import write
from tests.performance.place import bench_home

# The server remembers sizes for ten seconds.
STATS_AGE_S = 11.0
WARM = 1_000
WARM_SEED = 3
PREFIX = "ncrs-bench-"
PLAIN_INDEX = f"{PREFIX}plain"
TOLERANT = (Mode.WIDE, Mode.FUZZY)
SHARES = (50, 95, 99)
FASTER_AIM = 3.0
EVERY_FILTER = ("birth_date", "gender", "postcode")
BIRTH_ONLY = ("birth_date",)


@dataclass(frozen=True)
class Site:
    """What every part of one run shares."""

    settings: Settings
    size: str
    frame: pl.DataFrame
    frequencies: Frequencies

    @property
    def cluster(self) -> Cluster:
        return cluster_of(self.settings)


def figures(home: Path, size: str, url: str) -> Iterator[Figure]:
    """Load rate, size, times and right answers of each engine over the people of ``home``."""
    frame = people(home)
    frequencies = Frequencies.build([frame])
    _ = frequencies.family_spelling, frequencies.given_spelling
    settings = Settings(
        home=home, index=url, opensearch_prefix=PREFIX, opensearch_replicas=0, search_deadline_ms=30_000
    )
    site = Site(settings, size, frame, frequencies)
    with ExitStack() as stack:
        askers: dict[str, Asker] = {}
        for name, engine in (("embedded", EmbeddedEngine()), ("opensearch", index_engine(settings))):
            askers[name] = yield from _ours(site, name, engine, stack)
        yield from _plain(site, stack)
        askers["plain_opensearch"] = plain.Plain(site.cluster, PLAIN_INDEX, EVERY_FILTER)
        askers["plain_birth_only"] = plain.Plain(site.cluster, PLAIN_INDEX, BIRTH_ONLY)
        yield from _asked(site, askers)


def _ours(site: Site, name: str, engine: IndexEngine, stack: ExitStack) -> Generator[Figure, None, Ours]:
    """Builds with one of our engines, and opens what was built."""
    work = site.settings.home / f"bench-{name}"
    at = IndexPlace(work / "generation", engine.new_location("000001-00000000"))

    def remove() -> None:
        engine.remove(at)
        shutil.rmtree(work, ignore_errors=True)

    remove()
    stack.callback(remove)
    at.folder.mkdir(parents=True)
    started = time.perf_counter()
    _build(site, engine, at)
    yield _loaded(site, name, time.perf_counter() - started)
    yield _bytes_patient(site, name, _stored(site, at))
    reader = stack.enter_context(closing(engine.open(IndexPlace(at.folder, at.location, engine.uuid(at)))))
    return Ours(reader, site.frequencies)


def _stored(site: Site, at: IndexPlace) -> int:
    """Bytes of an index: its folder's, or its primary shards'."""
    if folder_of(at).is_dir():
        return sum(file.stat().st_size for file in folder_of(at).iterdir())
    return store_bytes(site.cluster, at.location)


def _build(site: Site, engine: IndexEngine, at: IndexPlace) -> None:
    if isinstance(engine, BulkEngine):
        bulk = engine.bulk(at, site.frequencies, show_very_restricted=False, processes=PROCESSES)
        for start in range(0, site.frame.height, FRAME_ROWS):
            bulk.add_frame(site.frame.slice(start, FRAME_ROWS))
        bulk.commit()
        return
    writer = engine.create(at)
    writer.add(documents(site.frame, site.frequencies))
    writer.commit()


def _plain(site: Site, stack: ExitStack) -> Iterator[Figure]:
    def remove() -> None:
        site.cluster.call("DELETE", f"/{PLAIN_INDEX}", budget=60)

    remove()
    stack.callback(remove)
    started = time.perf_counter()
    plain.load(site.cluster, PLAIN_INDEX, site.frame, site.settings.opensearch_bulk_bytes)
    yield _loaded(site, "plain_opensearch", time.perf_counter() - started)
    yield _bytes_patient(site, "plain_opensearch", store_bytes(site.cluster, PLAIN_INDEX))


def _loaded(site: Site, name: str, seconds: float) -> Figure:
    what = "People made into documents, written, refreshed and merged"
    return Figure(f"bench.{name}.{site.size}.load_per_s", site.frame.height / seconds, "/s", what, more_is_better=True)


def _bytes_patient(site: Site, name: str, stored: int) -> Figure:
    return Figure(
        f"bench.{name}.{site.size}.bytes_patient", stored / site.frame.height, "B", "Disk of the search index a patient"
    )


def store_bytes(cluster: Cluster, index: str) -> int:
    """Size of the primary shards of an index on disk, what merges have left behind not counted."""
    cluster.call("POST", f"/{index}/_flush", budget=60)
    time.sleep(STATS_AGE_S)
    answer = cluster.call("GET", f"/_cat/indices/{index}", params={"format": "json", "bytes": "b"}, budget=60)
    return int(answer.body[0]["pri.store.size"])


def _asked(site: Site, askers: dict[str, Asker]) -> Iterator[Figure]:
    """All questions to all; the plain ones are not asked what only an exact filter answers."""
    questions = {mode: cases(site.frame, mode) for mode in Mode}
    first = [case for mode in TOLERANT for case in cases(site.frame, mode, WARM, WARM_SEED)]
    gc.freeze()
    warm(askers.values(), first)
    tallies: dict[str, dict[Mode, Tally]] = {name: {} for name in askers}
    for mode in Mode:
        told = askers if mode in TOLERANT else {name: each for name, each in askers.items() if isinstance(each, Ours)}
        for name, tally in in_turn(told, questions[mode]).items():
            tallies[name][mode] = tally
    gc.unfreeze()
    pooled = {name: found[Mode.WIDE].add(found[Mode.FUZZY]) for name, found in tallies.items()}
    for name, found in tallies.items():
        yield from _named(f"bench.{name}.{site.size}", pooled[name], found)
    yield from _compared(site.size, pooled)


def _named(stem: str, pooled: Tally, found: dict[Mode, Tally]) -> Iterator[Figure]:
    for share in SHARES:
        yield Figure(
            f"{stem}.search_p{share}_ms", pooled.percentile(share), "ms", f"wide and fuzzy, percentile {share}"
        )
        value = pooled.percentile(share, pooled.engine)
        yield Figure(f"{stem}.engine_p{share}_ms", value, "ms", f"of it in the engine, percentile {share}")
    yield from _right(stem, pooled, "wide and fuzzy")
    for mode, tally in found.items():
        yield from _of_mode(f"{stem}.{mode.value}_", mode, tally)


def _of_mode(stem: str, mode: Mode, tally: Tally) -> Iterator[Figure]:
    for share in SHARES:
        yield Figure(f"{stem}p{share}_ms", tally.percentile(share), "ms", f"{mode.value}, percentile {share}")
    yield from _right(stem.removesuffix("_"), tally, mode.value, "_")


def _right(stem: str, tally: Tally, what: str, join: str = ".") -> Iterator[Figure]:
    yield Figure(f"{stem}{join}right_first", tally.right_first, "", f"{what}, right person first", more_is_better=True)
    yield Figure(f"{stem}{join}found_50", tally.found_50, "", f"{what}, found among 50", more_is_better=True)


def _compared(size: str, pooled: dict[str, Tally]) -> Iterator[Figure]:
    """What the project promises of its OpenSearch engine against the plain one."""
    stem, ours, other = f"bench.opensearch.{size}", pooled["opensearch"], pooled["plain_opensearch"]
    for share in SHARES:
        value = ours.percentile(share) / other.percentile(share)
        yield Figure(f"{stem}.share_of_plain_p{share}", value, "of plain", f"search time, percentile {share}", 1.0)
    times = other.percentile(50) / ours.percentile(50)
    what = "times faster than plain at the median (the aim)"
    yield Figure(f"{stem}.times_faster_p50", times, "times", what, FASTER_AIM, more_is_better=True)
    for name in ("plain_opensearch", "plain_birth_only"):
        more = ours.found_50 - pooled[name].found_50
        what = f"share found among 50 beyond {name.replace('_', ' ')}"
        yield Figure(f"{stem}.found_beyond_{name}", more, "", what, 0.0, more_is_better=True)


def main() -> None:
    """One size, printed as it comes; kept unless ``--dry``."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.bench_opensearch", description=__doc__)
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="an extract made here stays, and is taken again")
    parser.add_argument("--dry", action="store_true", help="print only; do not write docs/figures.json")
    options = parser.parse_args()
    sys.stdout.write(f"{hardware()}\n")
    measured = []
    with bench_home(options.home, options.patients) as home, a_node() as url:
        way.extract(home, options.patients, options.seed)
        for figure in figures(home, way.label(options.patients), url):
            sys.stdout.write(f"{figure.line}\n")
            sys.stdout.flush()
            measured.append(figure)
    if not options.dry:
        write(measured, seed=options.seed)


if __name__ == "__main__":
    main()
