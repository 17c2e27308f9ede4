"""``ncrs bench match``: labelled questions asked of our matcher and its rivals; writes figures, page and charts.

Belongs here: the order of a run, its options, and how it ends: 1 when a share of ours fell beyond noise. Does
not belong here: questions, rivals, counting.
Example: python -m tests.performance.quality --patients 100000 --rivals ours,pds_rules
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

from search_api.matching.weights import Weights
from tests.performance import way
from tests.performance.figures import Figure, stored
from tests.performance.place import bench_home
from tests.performance.quality import measures, report
from tests.performance.quality.cases import Labelled, Query, Ranked, Rival
from tests.performance.quality.febrl import febrl3, febrl4
from tests.performance.quality.judge import Verdict, judge
from tests.performance.quality.labelled import labelled
from tests.performance.quality.ours import Ours

RIVALS = {"ours": ("ours", "Ours"), "pds_rules": ("pds_rules", "PdsRules"), "splink": ("splink_rival", "SplinkRival")}
QUERIES = 20_000
TELL_EVERY_S = 10.0


def main() -> None:
    """Measure, keep, compare; the exit code tells whether anything got worse."""
    options = _options()
    started = time.perf_counter()
    rivals = dict(_rivals(options.rivals.split(",")))
    for held in rivals.values():
        if isinstance(held, Ours) and options.weights is not None:
            held.matcher = held.matcher.under(Weights.load(options.weights))
    old = stored()
    measured: list[Figure] = []
    instead: list[str] = []
    try:
        for rival, sets in _asked(options, rivals):
            measured += _judged(rival, rivals[rival], sets)
            instead += [measures.prefix(rival, each.name) for each in sets]
    finally:
        for held in rivals.values():
            if isinstance(held, Ours):
                held.close()
    _say(f"{time.perf_counter() - started:,.0f} s in all, {_peak_gb():.1f} GB of memory at most")
    worse = measures.falls(old, measured)
    if not options.dry:
        report.write(measured, seed=options.seed, instead=tuple(instead))
    for line in worse:
        print(f"worse beyond noise: {line}", file=sys.stderr)
    sys.exit(1 if worse else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.performance.quality", description=__doc__)
    parser.add_argument(
        "--home", type=Path, help="a folder with extracts of day 0, or to make them in; without, a temporary one"
    )
    parser.add_argument("--patients", type=int, default=way.MILLION, help="people, where extracts are to be made")
    parser.add_argument(
        "--queries", type=int, default=QUERIES, help="questions of each mix; the hard sets have half as many"
    )
    parser.add_argument("--rivals", default=",".join(RIVALS), help=f"which of {', '.join(RIVALS)}")
    parser.add_argument("--sets", default=",".join(measures.SETS), help=f"which of {', '.join(measures.SETS)}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--weights", type=Path, help="weights of ours; without, the shipped ones")
    parser.add_argument("--dry", action="store_true", help="print and compare; write nothing")
    options = parser.parse_args()
    for chosen, known in ((options.rivals, RIVALS), (options.sets, measures.SETS)):
        if unknown := [name for name in chosen.split(",") if name not in known]:
            parser.error(f"{', '.join(unknown)}: choose of {', '.join(known)}")
    return options


def _rivals(names: Sequence[str]) -> Iterator[tuple[str, Rival]]:
    """Those asked for; one that cannot be had is said."""
    for name in names:
        module, kind = RIVALS[name]
        try:
            yield name, getattr(import_module(f"tests.performance.quality.{module}"), kind)()
        except ModuleNotFoundError as error:
            _say(
                f"{name} is left out: the module {error.name} is missing. Install the development environment (make environment)."
            )


def _asked(options: argparse.Namespace, rivals: dict[str, Rival]) -> Iterator[tuple[str, list[Labelled]]]:
    """Sets over one population go together, so that a rival takes it in once; the large one is made first."""
    wanted = options.sets.split(",")
    groups = [list(_own(options, wanted)), [febrl4()], [febrl3()]]
    for group in groups:
        chosen = [each for each in group if each.name in wanted]
        for name, rival in rivals.items() if chosen else ():
            started = time.perf_counter()
            rival.prepare(chosen[0].people)
            _say(f"{name}: {chosen[0].people.height:,} people taken in, {time.perf_counter() - started:.0f} s")
            yield name, chosen
        group.clear()


def _own(options: argparse.Namespace, wanted: Sequence[str]) -> Iterator[Labelled]:
    if not any(name.startswith("own") for name in wanted):
        return
    if options.home is not None and _delivered(options.home):
        yield from labelled(options.home, options.queries, options.seed)
        return
    with bench_home(options.home, options.patients) as home:
        _say(f"Making an extract of {options.patients:,} people")
        way.extract(home, options.patients, options.seed)
        yield from labelled(home, options.queries, options.seed)


def _delivered(home: Path) -> bool:
    """Whether the home has a full extract of patients."""
    return any(home.glob("*/pds_patient/*/00000001/part-*.parquet"))


def _judged(name: str, rival: Rival, sets: Sequence[Labelled]) -> Iterator[Figure]:
    """Every set asked of one rival; figures are printed as they come, those of groups and kinds left to the page."""
    verdicts: dict[str, Verdict] = {}
    for asked in sets:
        wall, cpu = time.perf_counter(), time.process_time()
        verdicts[asked.name] = judge(asked.queries, _told(name, asked, rival.rank(asked.queries)))
        spent = f"{time.perf_counter() - wall:,.0f} s, {time.process_time() - cpu:,.0f} s of processor"
        _say(f"{name}, {asked.name}: {spent}, {_peak_gb():.1f} GB at most so far")
        for figure in _figures(name, rival, asked, verdicts[asked.name]):
            if figure.name.count(".") <= 3 and figure.of:
                print(f"{figure.line} of {figure.of:,}", flush=True)
            yield figure
    if {"own", "own_hard"} <= verdicts.keys():
        figure = measures.negatives(name, verdicts["own"].whole, verdicts["own_hard"].whole)
        print(f"{figure.line} of {figure.of:,}", flush=True)
        yield figure


def _figures(name: str, rival: Rival, asked: Labelled, verdict: Verdict) -> Iterator[Figure]:
    yield from measures.figures(name, asked.name, verdict)
    if isinstance(rival, Ours):
        yield measures.people(asked.name, asked.people.height)
        yield from measures.candidates(asked.name, rival.candidates)


def _told(name: str, asked: Labelled, rankings: Iterable[list[Ranked]]) -> Iterator[list[Ranked]]:
    """The rankings, with how far they are on standard error."""
    queries: Sequence[Query] = asked.queries
    told = started = time.perf_counter()
    for count, ranked in enumerate(rankings, 1):
        now = time.perf_counter()
        if now - told >= TELL_EVERY_S or count == len(queries):
            told = now
            _say(
                f"{name}, {asked.name}: {count:,} of {len(queries):,} questions, {count / (now - started):,.0f} a second"
            )
        yield ranked


def _peak_gb() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
