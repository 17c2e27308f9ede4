"""Rankings held against the labels, counted as they come: overall, by stratum, by kind of mistake.

Belongs here: what is right and what is wrong, and the counters. Does not belong here: intervals
(``statistic.py``), names of figures and the page (``report.py``).

Nothing is kept of a question once it is counted. What counts as an answer is what was shown, that is has a
probability above 0: only such a one is first, certain or wrong; recall counts the whole ranking.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.performance.quality.cases import CERTAIN, MOST, Query, Ranked
from tests.performance.quality.statistic import Share, f1

PROBABLE = "probable"
NO_ERROR = "none"
# Where bins of claimed probability begin; the last ones are narrow because nearly all claims lie there.
EDGES = (0.0, 0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 0.999, 0.9999)


@dataclass
class Tally:
    """Counters of one group of questions; shares are reckoned from them."""

    present: int = 0
    absent: int = 0
    right: int = 0
    in_50: int = 0
    in_200: int = 0
    certain: int = 0
    certain_right: int = 0
    absent_certain: int = 0
    absent_probable: int = 0

    def take(self, truth: int | None, ranked: Sequence[Ranked]) -> None:
        """Count one question and its ranking."""
        shown = [each for each in ranked if each.probability > 0]
        certain = [each.nhs_number for each in shown if each.grade == CERTAIN]
        self.certain += len(certain)
        if truth is None:
            self.absent += 1
            self.absent_certain += bool(certain)
            self.absent_probable += any(each.grade in (CERTAIN, PROBABLE) for each in shown)
            return
        numbers = [each.nhs_number for each in ranked[:MOST]]
        self.present += 1
        self.right += bool(shown) and shown[0].nhs_number == truth
        self.in_50 += truth in numbers[:50]
        self.in_200 += truth in numbers
        self.certain_right += truth in certain

    @property
    def shares(self) -> dict[str, Share]:
        """By name of figure. Precision counts everybody called certain, of present and of absent people."""
        return {
            "right_first": Share(self.right, self.present),
            "recall_50": Share(self.in_50, self.present),
            "recall_200": Share(self.in_200, self.present),
            "certain_recall": Share(self.certain_right, self.present),
            "certain_precision": Share(self.certain_right, self.certain),
            "absent_certain": Share(self.absent_certain, self.absent),
            "absent_probable": Share(self.absent_probable, self.absent),
        }

    @property
    def f1(self) -> float:
        """Of certain matches."""
        precision, recall = self.shares["certain_precision"], self.shares["certain_recall"]
        return f1(precision.value if precision.of else 0.0, recall.value if recall.of else 0.0)


@dataclass
class Bin:
    """Claims of about one probability: how many, their sum, and how many were right."""

    count: int = 0
    claimed: float = 0.0
    right: int = 0


@dataclass
class Calibration:
    """Whether the first of an answer is the right one as often as its probability says."""

    bins: list[Bin] = field(default_factory=lambda: [Bin() for _ in EDGES])

    def take(self, truth: int | None, ranked: Sequence[Ranked]) -> None:
        """Count the first shown; an empty answer claims nothing."""
        if not ranked or not ranked[0].probability > 0:
            return
        first = ranked[0]
        place = self.bins[bisect_right(EDGES, first.probability) - 1]
        place.count += 1
        place.claimed += first.probability
        place.right += first.nhs_number == truth

    @property
    def error(self) -> float:
        """Expected calibration error: distance of claimed and right, bins weighed by their claims."""
        total = sum(each.count for each in self.bins)
        return sum(abs(each.claimed - each.right) for each in self.bins) / total if total else 0.0


@dataclass
class Verdict:
    """All counters of one set of questions asked of one rival."""

    whole: Tally = field(default_factory=Tally)
    strata: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    errors: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    calibration: Calibration = field(default_factory=Calibration)

    def take(self, query: Query, ranked: Sequence[Ranked]) -> None:
        """Count one question in every group it belongs to."""
        groups = [self.whole, self.strata[query.stratum]]
        groups += [self.errors[error] for error in dict.fromkeys(query.errors or (NO_ERROR,))]
        for tally in groups:
            tally.take(query.truth, ranked)
        self.calibration.take(query.truth, ranked)


def judge(queries: Iterable[Query], rankings: Iterable[Sequence[Ranked]]) -> Verdict:
    """Both in the same order, one ranking a question."""
    verdict = Verdict()
    for query, ranked in zip(queries, rankings, strict=True):
        verdict.take(query, ranked)
    return verdict
