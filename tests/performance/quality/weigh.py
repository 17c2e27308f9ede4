"""Two weights files asked the same questions: what a change of weights does to match quality, side by side.

Belongs here: asking under both, and the table of what moved. Does not belong here: questions, counting, the page.
``ncrs weights diff --quality`` runs it. Nothing is kept; the exit code is 1 when a share fell beyond noise.
Example: python -m tests.performance.quality.weigh --after proposed.json --patients 100000 --queries 5000
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from search_api.matching.weights import Weights, shipped
from tests.performance import way
from tests.performance.place import bench_home
from tests.performance.quality.cases import Labelled
from tests.performance.quality.febrl import febrl3, febrl4
from tests.performance.quality.judge import Tally, Verdict, judge
from tests.performance.quality.labelled import labelled
from tests.performance.quality.measures import LESS_IS_BETTER
from tests.performance.quality.ours import Ours
from tests.performance.quality.statistic import STRICT, USUAL, Share, fell

HEAD = f"{'set':34} {'share':18} {'of':>7} {'before':>9} {'after':>9} {'points':>8}"


@dataclass(frozen=True)
class Row:
    """One share of one group under both files; ``verdict`` is empty where the change is within noise."""

    group: str
    share: str
    before: Share
    after: Share
    verdict: str

    def __str__(self) -> str:
        """As a line of the table."""
        points = (self.after.value - self.before.value) * 100
        shares = f"{self.before.value:9.2%} {self.after.value:9.2%} {points:+8.2f}"
        return f"{self.group:34} {self.share:18} {self.after.of:7,} {shares}  {self.verdict}".rstrip()


def rows(name: str, before: Verdict, after: Verdict) -> Iterator[Row]:
    """Every share of the whole set, and of its strata and kinds of mistakes those that moved beyond noise.

    Whole sets at 95 %, groups at 99.9 %, as there are hundreds.
    """
    yield from _shares(name, before.whole, after.whole, USUAL)
    for kind in ("strata", "errors"):
        old, new = _groups(before, kind), _groups(after, kind)
        for group in sorted(old.keys() & new.keys()):
            yield from (row for row in _shares(f"{name}, {group}", old[group], new[group], STRICT) if row.verdict)


def _groups(verdict: Verdict, kind: str) -> Mapping[str, Tally]:
    return verdict.strata if kind == "strata" else verdict.errors


def _shares(group: str, before: Tally, after: Tally, z: float) -> Iterator[Row]:
    old, new = before.shares, after.shares
    for name in old:
        if old[name].of and new[name].of:
            yield Row(group, name, old[name], new[name], _verdict(name, old[name], new[name], z))


def _verdict(name: str, old: Share, new: Share, z: float) -> str:
    worse, better = ("better", "worse") if name in LESS_IS_BETTER else ("worse", "better")
    if fell(old, new, z):
        return worse
    return better if fell(new, old, z) else ""


def compared(groups: Sequence[Sequence[Labelled]], before: Weights, after: Weights) -> Iterator[Row]:
    """Both files over each population in turn; names are counted by the rule of the file that asks."""
    for group in groups:
        told = [_verdicts(group, weights) for weights in (before, after)]
        for each in group:
            yield from rows(each.name, told[0][each.name], told[1][each.name])


def _verdicts(group: Sequence[Labelled], weights: Weights) -> dict[str, Verdict]:
    rival = Ours()
    rival.matcher = rival.matcher.under(weights)
    try:
        rival.prepare(group[0].people)
        return {each.name: judge(each.queries, rival.rank(each.queries)) for each in group}
    finally:
        rival.close()


def main() -> None:
    """Print the table; 1 when something got worse beyond noise."""
    options = _options()
    before, after = (Weights.load(path) if path else shipped() for path in (options.before, options.after))
    with bench_home(options.home, options.patients) as home:
        way.extract(home, options.patients, options.seed)
        own = labelled(home, options.queries, options.seed)
    print(f"{before.version} -> {after.version}\n{HEAD}", flush=True)
    worse = False
    for row in compared([own, [febrl4()], [febrl3()]], before, after):
        print(row, flush=True)
        worse |= row.verdict == "worse"
    sys.exit(int(worse))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.performance.quality.weigh", description=__doc__)
    parser.add_argument("--before", type=Path, help="weights in force; without, the shipped ones")
    parser.add_argument("--after", type=Path, help="weights held against them; without, the shipped ones")
    parser.add_argument("--home", type=Path, help="a folder with extracts of day 0; without, a temporary one")
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=5_000, help="questions of each mix; the hard sets have half")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
