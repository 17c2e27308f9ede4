"""What became of a row, as the values of the added columns.

Belongs here: the order and the form of those values. Does not belong here: files, deciding.
"""

from __future__ import annotations

from search_api.matching.grading import posterior
from search_api.matching.questions import Match
from search_api.trace.asking import Traced
from search_api.trace.columns import ANSWER, LEVELS
from search_api.trace.outcomes import GIVEN, Outcome, Way, shipped
from search_api.trace.rules import TraceRules

_LEVEL_PLACE = {comparison: place for place, comparison in enumerate(LEVELS)}
_NO_LEVELS = [""] * len(LEVELS)
WIDTH = len(ANSWER)


def cells(traced: Traced, rules: TraceRules) -> list[str]:
    """One value for each column of ``ANSWER``, in its order."""
    codes, outcome, match = shipped(), traced.outcome, traced.match
    said = traced.reason
    if traced.refused:
        return [
            "",
            codes.codes[outcome],
            "",
            codes.algorithm["none"],
            "",
            outcome.value,
            said,
            "",
            "",
            "0",
            *_NO_LEVELS,
            "",
        ]
    number = traced.given
    return [
        f"{number:010d}" if number is not None else _placeholder(outcome, rules),
        codes.codes[outcome],
        codes.result(outcome, traced.way),
        codes.algorithm[_algorithm(traced)],
        f"{100 * _confidence(match):.2f}" if match else "0.00",
        outcome.value,
        said,
        match.graded.value if match else "",
        f"{match.weight:.3f}" if match else "",
        str(traced.candidates),
        *(_levels(match) if match else _NO_LEVELS),
        " ".join(item.comparison for item in match.evidence if item.previous) if match else "",
    ]


def _confidence(match: Match) -> float:
    return posterior(match.weight)


def _placeholder(outcome: Outcome, rules: TraceRules) -> str:
    return rules.trace_several if outcome is Outcome.AMBIGUOUS else rules.trace_no_match


def _algorithm(traced: Traced) -> str:
    if traced.outcome not in GIVEN:
        return "none"
    return "cross_check" if traced.way in (Way.CROSS_CHECKED, Way.MERGED) else "wide"


def _levels(match: Match) -> list[str]:
    levels = [""] * len(LEVELS)
    for item in match.evidence:
        place = _LEVEL_PLACE.get(item.comparison)
        if place is not None:
            levels[place] = item.level
    return levels
