"""Grades: certain, probable, possible, certainly-not; ambiguity is an answer (matching.md 2.4).

Belongs here: posterior and grade of scored candidates. Does not belong here: weights, PDS's score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from search_api.matching.questions import Evidence, Grade
from search_api.matching.scoring import Scored
from search_api.matching.weights import GradeRule, NeededOdds

# How many others who are held bear the name of a candidate; None where they are too many to count.
Namesakes = Callable[[Scored], int | None]


def nobody_asked(_: Scored) -> int | None:
    """Where there is nobody to ask: the name counts as shared by too many to count."""
    return None


def posterior(weight: float) -> float:
    """Probability of bits of odds: 2^w / (1 + 2^w), kept inside 0 to 1 for any weight."""
    if weight > 60:
        return 1.0
    odds = 2.0**weight
    return float(odds / (1.0 + odds))


def posteriors(weights: Sequence[float]) -> list[float]:
    """Probability of each candidate when at most one of them is the one meant: its odds over the odds of all
    and of nobody. Together they never exceed one."""
    top = max((0.0, *weights))
    odds = [2.0 ** max(weight - top, -1000.0) for weight in weights]
    whole = sum(odds, 0.0) + 2.0**-top
    return [each / whole for each in odds]


def grades(ranked: Sequence[Scored], rule: GradeRule, namesakes: Namesakes = nobody_asked) -> list[Grade]:
    """Grade of each candidate, heaviest first; at most the first can be certain. ``namesakes`` is asked last, and only
    where nothing but name and birth date agrees and the odds may do.

    Certain asks five things: the posterior; enough bits of evidence, however small the population, and better
    odds where nothing but name and birth date agrees; the gap to the runner-up; that names and birth date were
    compared; and that nothing telling disagrees. Every threshold is data (``weights.json``, docs/weights.md).
    """
    second = ranked[1].weight if len(ranked) > 1 else None
    found = []
    for position, (item, probability) in enumerate(
        zip(ranked, posteriors([each.weight for each in ranked]), strict=True)
    ):
        gap_ok = position == 0 and (second is None or item.weight - second >= rule.certain_gap)
        certain = (
            gap_ok and probability >= rule.certain_posterior and _clean(item, rule) and _enough(item, rule, namesakes)
        )
        found.append(Grade.CERTAIN if certain else _grade(probability, rule))
    return found


def _grade(probability: float, rule: GradeRule) -> Grade:
    if probability >= rule.probable:
        return Grade.PROBABLE
    return Grade.POSSIBLE if probability >= rule.possible else Grade.CERTAINLY_NOT


def _enough(item: Scored, rule: GradeRule, namesakes: Namesakes) -> bool:
    """Bits enough, and more where nothing else than name and birth date agrees; then a place that is merely near
    says nothing, since namesakes live near each other, and the odds count too."""
    placed = [each for each in item.evidence if each.comparison in rule.corroborates]
    if any(each.level in rule.corroborates[each.comparison] for each in placed):
        return item.bits >= rule.certain_evidence
    near = sum([each.weight for each in placed if each.weight > 0], 0.0)
    if item.bits - near < rule.certain_alone:
        return False
    return _rare_enough(item, item.weight - near, rule.odds_of(_place(placed)), namesakes)


def _rare_enough(item: Scored, odds: float, needed: NeededOdds, namesakes: Namesakes) -> bool:
    """Whether the odds are enough for how many others bear the name: none, as many as are counted, or too many."""
    if needed.counted is None:
        return odds >= needed.shared or (odds >= needed.sole and namesakes(item) == 0)
    if odds < min(needed.sole, needed.counted, needed.shared):
        return False
    others = namesakes(item)
    if others is None:
        return odds >= needed.shared
    return odds >= needed.sole if others == 0 else odds - _crowd(item, others) >= needed.counted


def _crowd(item: Scored, others: int) -> float:
    """Bits by which the name says too much: the shares of both names, multiplied, would have had fewer bear it.

    Names are not drawn apart, so people who bear both can be counted and are never as rare as the product tells.
    """
    names = sum([each.weight for each in item.evidence if each.comparison in ("family", "given")], 0.0)
    prior = item.weight - item.bits
    return max(0.0, math.log2(others) + names + prior)


def _place(placed: Sequence[Evidence]) -> str:
    """What place and contacts say of somebody with whom none of them agrees: near, against or nothing."""
    if any(each.weight > 0 for each in placed):
        return "near"
    return "against" if placed else "silent"


def _clean(item: Scored, rule: GradeRule) -> bool:
    """What certainty needs was compared, no comparison reached a level that forbids it, and slips are few."""
    if not rule.needs <= {each.comparison for each in item.evidence}:
        return False
    slips = sum(
        [each.level not in rule.exact[each.comparison] for each in item.evidence if each.comparison in rule.exact]
    )
    return slips <= rule.most_slips and not any(
        each.level in rule.never.get(each.comparison, ()) for each in item.evidence
    )
