"""The stages of a national run, in order: what each runs, measures, and needs.

Belongs here: the list, and the commands of each. Does not belong here: watching them (``watching.py``), the
journal, what a figure is called (``results.py``).

Needs are what was measured at a million people, summaries as headers, with some to spare; they grow with the
population, for files do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.extract import MANIFEST_NAME
from schemas.feeds import FEEDS
from tests.performance import served
from tests.performance.national.watching import Told, Watched, watch

CHANGES = 100_000
MOST_DAYS = 60
# A day changes at most one patient in so many: several days where the population is small.
LEAST_SHARE = 20
BUILDING, ASKING = "tests.performance.national.building", "tests.performance.national.asking"
TRACE_FILE, TRACE_ANSWER = "national-trace.csv", "national-trace.traced.csv"


@dataclass(frozen=True)
class Run:
    """One run: where, how many people, and whether what has landed leaves the drop folder in any case."""

    home: Path
    patients: int
    seed: int
    spare_drop: bool = False

    @property
    def drop(self) -> Path:
        """The drop folder of the run's home."""
        return self.home / "drop"


@dataclass
class Work:
    """What a stage may use: commands watched one after the other, whose times add up."""

    run: Run
    told: Told
    seconds: float = 0.0
    peak_gb: float = 0.0

    def command(self, *arguments: str) -> Watched:
        """Run one command of ours in the run's home."""
        before = self.seconds
        held = self.peak_gb
        settings = {"NCRS_HOME": str(self.run.home), "NCRS_DROP": str(self.run.drop)}
        done = watch(list(arguments), settings, lambda seconds, peak: self.told(before + seconds, max(held, peak)))
        self.seconds += done.seconds
        self.peak_gb = max(held, done.peak_gb)
        return done


@dataclass(frozen=True)
class Stage:
    """One stage: ``disk_bytes`` a patient it may add, ``memory_gb`` it may take whatever the size."""

    name: str
    does: Callable[[Work], Mapping[str, float]]
    disk_bytes: int
    memory_gb: float


def extract(work: Work) -> Mapping[str, float]:
    """The full delivery of day 0."""
    _extract(work, 0)
    return {}


def ingest(work: Work) -> Mapping[str, float]:
    """Landing, validated, quarantine of every feed."""
    work.command("pipelines.cli", "ingest", "--no-publish")
    return {}


def built(step: str) -> Callable[[Work], Mapping[str, float]]:
    """One step of the build, in a process of its own."""

    def does(work: Work) -> Mapping[str, float]:
        work.command(BUILDING, step)
        return {}

    return does


def asked(kind: str) -> Callable[[Work], Mapping[str, float]]:
    """The generation asked in process."""

    def does(work: Work) -> Mapping[str, float]:
        return _figures(work.command(ASKING, kind))

    return does


def http(work: Work) -> Mapping[str, float]:
    """One worker over HTTP, tokens checked, every answer in the durable log first."""
    measured = {
        figure.name.removeprefix("bench.national."): figure.value
        for figure in served.figures(work.run.home, "bench.national")
    }
    work.told(0.0, 0.0)
    return measured


def changes(work: Work) -> Mapping[str, float]:
    """A day's delivery of a hundred thousand changes; where the country is too small for that, so many days as make them."""
    made = days = 0
    while made < CHANGES and days < MOST_DAYS:
        days += 1
        _extract(work, days)
        made = _changes(work.run.drop)
    return {"delta_changes": float(made), "delta_days": float(days)}


def delta(work: Work) -> Mapping[str, float]:
    """The changes taken in and published. A stage of its own, as all of its time counts: a killed attempt has done some."""
    work.command("pipelines.cli", "ingest")
    return {}


def trace(work: Work) -> Mapping[str, float]:
    """A file as a hospital would send it, traced."""
    rows = _figures(work.command(ASKING, "trace_file"))["trace_rows"]
    before = work.seconds
    answer = work.run.home / TRACE_ANSWER
    told = ["--actor", "benchmark", "--reason", "national run", "--out", str(answer), "--restart"]
    work.command("pipelines.cli", "trace", str(work.run.home / TRACE_FILE), *told)
    return {"trace_rows_per_s": rows / (work.seconds - before), "trace_rows": rows}


STAGES: tuple[Stage, ...] = (
    Stage("extract", extract, 170, 2.0),
    Stage("ingest", ingest, 180, 3.0),
    Stage("replica", built("replica"), 430, 4.0),
    Stage("index", built("index"), 320, 4.0),
    Stage("reconcile", built("reconcile"), 10, 3.0),
    Stage("publish", built("publish"), 10, 1.0),
    Stage("search", asked("search"), 1, 1.0),
    Stage("read", asked("read"), 1, 1.0),
    Stage("http", http, 1, 1.0),
    Stage("changes", changes, 1, 2.0),
    Stage("delta", delta, 430, 4.0),
    Stage("trace", trace, 1, 1.0),
)


def chosen(names: Sequence[str]) -> list[Stage]:
    """Stages of these names in their order; all of them when none is named.

    Raises:
        ValueError: there is no stage of a name.
    """
    known = {stage.name for stage in STAGES}
    if wrong := [name for name in names if name not in known]:
        raise ValueError(f"{', '.join(wrong)} is no stage; there are {', '.join(stage.name for stage in STAGES)}.")
    return [stage for stage in STAGES if not names or stage.name in names]


def _extract(work: Work, day: int) -> None:
    """One day's delivery; one that is there whole, its manifests written last, is kept."""
    sequence = f"{day + 1:08d}"
    if all(any((work.run.drop / feed).glob(f"*/{sequence}/{MANIFEST_NAME}")) for feed in FEEDS):
        return
    asked_for = ["--drop", str(work.run.drop), "--patients", str(work.run.patients), "--seed", str(work.run.seed)]
    # The summaries of a whole country are headers (matching.md 3); a day changes enough patients for the delta.
    volume = ["--summaries", "headers", "--changes", str(min(CHANGES, work.run.patients // LEAST_SHARE))]
    work.command("sandbox", "extract", *asked_for, *volume, "--day", str(day), "--format", "parquet")


def _changes(drop: Path) -> int:
    """Records of all deliveries after the first."""
    found = [path for path in drop.glob(f"*/*/*/{MANIFEST_NAME}") if path.parent.name != "00000001"]
    return sum(json.loads(path.read_text("utf-8"))["record_count"] for path in found)


def _figures(done: Watched) -> dict[str, float]:
    figures: dict[str, float] = json.loads(done.output.splitlines()[-1])
    return figures
