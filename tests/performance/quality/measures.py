"""Verdicts as figures of the store: their steady names, what they mean, which promise each is held against.

Belongs here: names, meanings, promises, and what counts as a fall. Does not belong here: counting
(``judge.py``), the page (``report.py``).

``match.<set>.<share>`` is ours, ``match.<rival>.<set>.<share>`` a rival's. Below a set: ``stratum.<name>``,
``error.<kind>`` and ``calibration``. All shares are from 0 to 1, with the number of questions they are of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.performance.figures import Figure, Store
from tests.performance.quality.judge import EDGES, Calibration, Tally, Verdict
from tests.performance.quality.ours import Candidates
from tests.performance.quality.statistic import STRICT, USUAL, Share, fell

OURS = "ours"
NEGATIVES = "own_negatives"
SETS = {
    "own": "people drawn from everybody, NHS mistakes",
    "own_hard": "hard strata in equal parts, NHS mistakes",
    "own_justice": "people drawn from everybody, justice mistakes",
    "own_justice_hard": "hard strata in equal parts, justice mistakes",
    "own_copies": "people of whom a copy lives elsewhere in their town, NHS mistakes",
    "febrl4": "FEBRL 4",
    "febrl3": "FEBRL 3",
}
SHARES = {
    "right_first": "the right person is first, of those whom the population holds",
    "recall_50": "the right person is among the first 50",
    "recall_200": "the right person is among the 200 candidates",
    "certain_recall": "the right person is graded certain",
    "certain_precision": "who is graded certain is the right person",
    "absent_certain": "somebody is graded certain for a person whom the population does not hold",
    "absent_probable": "somebody is graded probable or certain for such a person",
}
LESS_IS_BETTER = ("absent_certain", "absent_probable")
MUST = {
    "match.own.right_first": 0.995,
    "match.own.certain_precision": 0.9995,
    "match.own.certain_recall": 0.93,
    "match.own_negatives.certain_precision": 0.9995,
    "match.own_hard.certain_precision": 0.9995,
    "match.febrl4.right_first": 0.995,
    "match.febrl4.recall_200": 0.999,
}
_BY_STRATUM = ("right_first", "recall_200", "certain_recall", "certain_precision", "absent_certain")
_BY_ERROR = ("right_first", "recall_200", "certain_recall")
_OF_RIVALS = ("right_first", "certain_recall", "certain_precision")
_WATCHED = re.compile(
    r"match\.(?:own|febrl)[a-z0-9_]*\.(?P<group>(?:stratum|error)\.[a-z0-9_]+\.)?(?P<share>[a-z0-9_]+)"
)


def prefix(rival: str, set_name: str) -> str:
    """How the names of one rival's figures on one set begin."""
    return f"match.{set_name}." if rival == OURS else f"match.{rival}.{set_name}."


def figures(rival: str, set_name: str, verdict: Verdict) -> Iterator[Figure]:
    """Everything counted of one rival on one set."""
    start, what = prefix(rival, set_name), f"{SETS[set_name]}: "
    yield from _shares(start, what, verdict.whole, tuple(SHARES))
    yield Figure(
        f"{start}certain_f1", verdict.whole.f1, "share", f"{what}harmonic mean of precision and recall of certain"
    )
    yield from _calibration(start, what, verdict.calibration)
    by_stratum, by_error = (_BY_STRATUM, _BY_ERROR) if rival == OURS else (_OF_RIVALS, _OF_RIVALS[:1])
    for name, tally in sorted(verdict.strata.items()):
        yield from _shares(f"{start}stratum.{name}.", f"{what}{name}, ", tally, by_stratum)
    for name, tally in sorted(verdict.errors.items()):
        yield from _shares(f"{start}error.{name}.", f"{what}{name}, ", tally, by_error)


def negatives(rival: str, everybody: Tally, hard: Tally) -> Figure:
    """Precision of certain when every hard negative is asked besides everybody's questions.

    Of the hard set only who was wrongly called certain counts, be the person asked about absent or present: its
    right answers would hide them, and its strata are no population.
    """
    wrong = sum(tally.certain - tally.certain_right for tally in (everybody, hard))
    share = Share(everybody.certain_right, everybody.certain_right + wrong)
    what = f"{SETS['own']}, and all that was wrong in own_hard: {SHARES['certain_precision']}"
    return _share(f"{prefix(rival, NEGATIVES)}certain_precision", share, what)


def candidates(set_name: str, counted: Candidates) -> Iterator[Figure]:
    """What our index gave before anything was scored."""
    start, what = f"{prefix(OURS, set_name)}candidates.", f"{SETS[set_name]}: "
    for rank, found in ((50, counted.in_50), (200, counted.in_200)):
        yield _share(
            f"{start}recall_{rank}",
            Share(found, counted.present),
            f"{what}the right person is among the index's first {rank}",
        )
    mean = counted.given / counted.queries if counted.queries else 0.0
    yield Figure(f"{start}mean", mean, "people", f"{what}candidates a question")
    yield _share(
        f"{start}truncated",
        Share(counted.truncated, counted.queries),
        f"{what}questions where somebody may be left out",
    )


def people(set_name: str, count: int) -> Figure:
    """How large the population was: shares over another one are not compared."""
    return Figure(f"match.{set_name}.people", float(count), "people", f"{SETS[set_name]}: people indexed")


def _shares(start: str, what: str, tally: Tally, names: Iterable[str]) -> Iterator[Figure]:
    for name in names:
        share = tally.shares[name]
        if share.of:
            yield _share(f"{start}{name}", share, f"{what}{SHARES[name]}")


def _share(name: str, share: Share, meaning: str) -> Figure:
    better = not name.endswith(LESS_IS_BETTER)
    return Figure(name, share.value, "share", meaning, MUST.get(name), more_is_better=better, of=share.of)


def _calibration(start: str, what: str, found: Calibration) -> Iterator[Figure]:
    yield Figure(
        f"{start}calibration_error",
        found.error,
        "share",
        f"{what}expected distance of a claimed probability and the truth",
    )
    for at, each in enumerate(found.bins):
        if each.count:
            low, text = EDGES[at], f"{start}calibration.bin_{at:02d}"
            yield Figure(
                f"{text}.claimed",
                each.claimed / each.count,
                "share",
                f"{what}mean claim of first answers from {low:g} on",
                of=each.count,
            )
            yield Figure(
                f"{text}.right",
                each.right / each.count,
                "share",
                f"{what}right of first answers that claim {low:g} or more",
                of=each.count,
            )


def falls(old: Store, new: Iterable[Figure]) -> list[str]:
    """Our shares that got worse beyond noise since they were last kept, over a population of the same size.

    Whole sets at 95 %. Of the hundreds of strata and kinds of mistakes some would fall by chance: 99.9 %.
    """
    made = {figure.name: figure for figure in new}
    return [_told(old[name], figure) for name, figure in made.items() if name in old and _worse(old, made, figure)]


def _worse(old: Store, made: Mapping[str, Figure], figure: Figure) -> bool:
    watched = _WATCHED.fullmatch(figure.name)
    if watched is None or watched["share"] not in SHARES or figure.of is None or "of" not in old[figure.name]:
        return False
    asked = figure.name.split(".")[1]
    size = f"match.{'own' if asked == NEGATIVES else asked}.people"
    if size not in old or size not in made or old[size]["value"] != made[size].value:
        return False
    before, now = _counted(old[figure.name]), Share(figure.value * figure.of, figure.of)
    if figure.name.endswith(LESS_IS_BETTER):
        before, now = now, before
    return fell(before, now, STRICT if watched["group"] else USUAL)


def _counted(row: Mapping[str, Any]) -> Share:
    return Share(row["value"] * row["of"], row["of"])


def _told(row: Mapping[str, Any], figure: Figure) -> str:
    return f"{figure.name}: {row['value']:.4f} of {row['of']:,} before ({row['commit']}), {figure.value:.4f} of {figure.of:,} now"
