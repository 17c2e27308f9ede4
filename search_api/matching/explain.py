"""Why a match matched: levels, weights, prior, sum, in order, ready to show.

Belongs here: turning a match into rows. Does not belong here: FHIR, HTML, arithmetic of evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from search_api.matching.questions import Match


@dataclass(frozen=True)
class Step:
    """One row of a waterfall: what was compared, the level, bits, and the running sum after it."""

    comparison: str
    level: str
    weight: float
    total: float
    previous: bool


def waterfall(match: Match, prior: float) -> tuple[Step, ...]:
    """The prior, then each comparison in the order scored; the last total is ``match.weight``."""
    return tuple(_steps(match, prior))


def _steps(match: Match, prior: float) -> Iterator[Step]:
    yield Step("prior", "population", prior, prior, previous=False)
    bits = 0.0
    for item in match.evidence:
        bits += item.weight
        yield Step(item.comparison, item.level, item.weight, prior + bits, item.previous)


def previous_fields(match: Match) -> tuple[str, ...]:
    """Comparisons that a previous name, address or contact made: say so to the reader (pds.md 1.8)."""
    return tuple(item.comparison for item in match.evidence if item.previous)
