"""How many of the documents found by keys are fetched and compared: those that promise most, until the rest can
hardly matter.

Belongs here: how much is looked at, the order, and when to stop. Does not belong here: what a document promises (``promise.py``), the
comparison (``scoring.py``), who is an answer (``matcher.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from search_api.index.provider import CandidateSet
from search_api.matching.person import Person, unpack
from search_api.matching.promise import Promise
from search_api.matching.scoring import Scored

# Sets of no more are compared whole: there is little to save. Of larger ones so many at a time.
WHOLE, STEP = 12, 4


@dataclass(frozen=True)
class Effort:
    """How much a tolerant search may look at (settings of the same names).

    ``unseen_odds``: candidates are left uncompared when the odds of all of them together are no more than this
    share of the odds of those compared and of nobody. ``most_compared``: most of those that keys with a whole birth
    date find. ``second_look_documents``: how many documents the keys of a second look may be expected to have, all
    together; ``second_look_candidates``: most of them compared.
    """

    unseen_odds: float = 0.0005
    most_compared: int = 100
    second_look_documents: int = 150
    second_look_candidates: int = 50

    @classmethod
    def of(cls, chosen: Chosen) -> Effort:
        """As settings, or rules made of them, say."""
        return cls(
            chosen.unseen_odds, chosen.most_compared, chosen.second_look_documents, chosen.second_look_candidates
        )


class Chosen(Protocol):
    """Whatever holds the settings of these names."""

    @property
    def unseen_odds(self) -> float: ...
    @property
    def most_compared(self) -> int: ...
    @property
    def second_look_documents(self) -> int: ...
    @property
    def second_look_candidates(self) -> int: ...


Compare = Callable[[Sequence[Person]], list[Scored]]


def persons(found: CandidateSet) -> list[Person]:
    """Every candidate, unpacked."""
    return [unpack(number, payload) for number, payload in zip(found.numbers, found.payloads, strict=True)]


def likely(found: CandidateSet, promise: Promise, compare: Compare, effort: Effort, *, near: bool) -> list[Scored]:
    """The candidates compared, best promise first, as far as ``effort`` goes. ``near``: whoever may be near in both
    names is compared before others, and whatever the odds."""
    odds = [promise[worth] for worth in found.worths]
    order, owed = _order(found.worths, odds, promise if near else None)
    # Of each place, the odds of all from there on.
    left = list(accumulate([odds[at] for at in reversed(order)]))[::-1]
    scored: list[Scored] = []
    whole, at = 1.0, 0
    most = min(effort.most_compared, len(order))
    meant: dict[int, float] = {}
    while at < most and (
        at < owed
        or left[at] > effort.unseen_odds * whole
        # Who has the very keys of somebody likely meant is as likely meant, whatever they promised.
        or meant.get(found.worths[order[at]], 0.0) > effort.unseen_odds * whole
    ):
        chosen = order[at : at + STEP]
        more = compare([unpack(found.numbers[each], found.payloads[each]) for each in chosen])
        worth_of = {found.numbers[each]: found.worths[each] for each in chosen}
        for item in more:
            weight, worth = 2.0 ** min(item.weight, 1000.0), worth_of[item.person.nhs_number]
            whole += weight
            meant[worth] = max(meant.get(worth, 0.0), weight)
        scored += more
        at += STEP
    return scored


def _order(worths: Sequence[int], odds: Sequence[float], near: Promise | None) -> tuple[list[int], int]:
    """Places by promise, and how many of them must be compared: those near."""
    places = range(len(worths))
    if near is None:
        # Those with the very same keys stand together.
        return sorted(places, key=lambda at: (-odds[at], worths[at])), 0
    owed = {worth: near.near(worth) for worth in set(worths)}
    keys = [(not owed[worth], -each) for worth, each in zip(worths, odds, strict=True)]
    return sorted(places, key=keys.__getitem__), sum([owed[worth] for worth in worths])
