"""How many of the documents found by keys are fetched and compared: those that promise most, until the rest can
hardly matter.

Belongs here: how much is looked at, the order, and when to stop. Does not belong here: what a document promises (``promise.py``), the
comparison (``scoring.py``), who is an answer (``matcher.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from typing import Protocol

from search_api.index.provider import CandidateSet
from search_api.matching.lettering import UNKNOWN
from search_api.matching.person import Person, unpack
from search_api.matching.promise import Promise
from search_api.matching.scoring import Scored

# Sets of no more are compared whole: there is little to save. Of larger ones so many at a time.
WHOLE, STEP = 12, 4
# Whoever has the same keys as somebody whose chance is so great is compared as well.
ALIKE = 0.005
# Whoever has another name altogether is compared when their odds alone are more than this share, as of a possible grade.
DISTANT = 0.0005


@dataclass(frozen=True)
class Effort:
    """How much a tolerant search may look at (settings of the same names).

    ``unseen_odds``: candidates are left uncompared when the odds of all of them together are no more than this
    share of the odds of those compared and of nobody. ``unseen_odds_doubtful``: the same while those compared are too
    unlikely for anybody to be certain. ``most_compared``: most of those that keys with a whole birth
    date find. ``second_look_documents``: how many documents the keys of a second look may be expected to have, all
    together; ``second_look_candidates``: most of them compared.
    """

    unseen_odds: float = 0.0005
    unseen_odds_doubtful: float = 0.002
    most_compared: int = 100
    second_look_documents: int = 150
    second_look_candidates: int = 50

    @classmethod
    def of(cls, chosen: Chosen) -> Effort:
        """As settings, or rules made of them, say."""
        return cls(
            chosen.unseen_odds,
            chosen.unseen_odds_doubtful,
            chosen.most_compared,
            chosen.second_look_documents,
            chosen.second_look_candidates,
        )

    def bearable(self, whole: float) -> float:
        """Odds that may stay unseen, ``whole`` being those of who was compared and of nobody.

        From odds on at which what may stay unseen for certainty's sake is as likely as nobody, that decides.
        """
        doubtful = max(self.unseen_odds, self.unseen_odds_doubtful) * whole
        return min(doubtful, max(1.0, self.unseen_odds * whole)) if self.unseen_odds else 0.0


class Chosen(Protocol):
    """Whatever holds the settings of these names."""

    @property
    def unseen_odds(self) -> float: ...
    @property
    def unseen_odds_doubtful(self) -> float: ...
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


@dataclass(frozen=True)
class Look:
    """Candidates, and what they promise where their keys tell."""

    found: CandidateSet
    promise: Callable[[], Promise] | None = None

    def compared(self, compare: Compare, effort: Effort, *, near: bool = False) -> tuple[list[Scored], CandidateSet]:
        """Those of them worth comparing, compared; a few are compared whatever they promise. And the candidates,
        with how many that was and whether the limit cut it. ``near``: as in ``likely``."""
        found = self.found
        if self.promise is None or len(found.numbers) <= WHOLE:
            scored, cut = compare(persons(found)), False
        else:
            scored, cut = likely(found, self.promise(), compare, effort, near=near)
        counters = {**found.counters, "compared": len(scored)}
        return scored, replace(found, truncated=found.truncated or cut, counters=counters)


def likely(
    found: CandidateSet, promise: Promise, compare: Compare, effort: Effort, *, near: bool
) -> tuple[list[Scored], bool]:
    """The candidates compared, best promise first, as far as ``effort`` goes, and whether its limit cut it.
    ``near``: whoever may be near in both names is compared before others, and whatever the odds; whoever cannot be is
    not."""
    order, left, owed = _order(found.worths, promise, near=near)
    worths, numbers, payloads = found.worths, found.numbers, found.payloads
    letters = found.letters or (UNKNOWN,) * len(worths)
    scored: list[Scored] = []
    apart: list[tuple[float, int]] = []
    # The greatest odds of those compared who have the very same keys as the next: whatever was expected of these,
    # the next are as likely (namesakes of one day).
    whole, alike, at, room = 1.0, 0.0, 0, effort.most_compared
    while at < len(order) and (at < owed or left[at] > effort.bearable(whole) or alike > ALIKE * whole):
        if room <= 0:
            return scored, True
        step = order[at : at + min(STEP, room)]
        odds = [promise.distant(worths[each], letters[each]) if effort.unseen_odds else None for each in step]
        apart += [(distant, each) for distant, each in zip(odds, step, strict=True) if distant is not None]
        looked = [each for distant, each in zip(odds, step, strict=True) if distant is None]
        more = compare([unpack(numbers[each], payloads[each]) for each in looked])
        reached = {item.person.nhs_number: 2.0 ** min(item.weight, 1000.0) for item in more}
        whole += math.fsum(reached.values())
        scored += more
        at, room = at + len(step), room - len(looked)
        worth = worths[order[at]] if at < len(order) else -1
        same = [reached.get(numbers[each], 0.0) for each in step if worths[each] == worth]
        alike = max(same, default=0.0) if worths[step[0]] != worth else max(alike, *same)
    if near or not apart:
        return scored, False
    # A name of theirs is another one, which no comparison changes: they are compared where they may be meant all the same.
    meant = sorted([(-distant, each) for distant, each in apart if distant > DISTANT * whole])
    return scored + compare([unpack(numbers[each], payloads[each]) for _, each in meant[:room]]), len(meant) > room


def _order(worths: Sequence[int], promise: Promise, *, near: bool) -> tuple[list[int], list[float], int]:
    """Places by promise; of each, the odds of all from there on; and how many must be compared: those near.

    Candidates come by descending worth, so those of one worth stand side by side and are ordered as one."""
    groups = [(worth, list(places)) for worth, places in groupby(range(len(worths)), worths.__getitem__)]
    owed = {worth for worth, _ in groups if promise.near(worth)} if near else set[int]()
    groups.sort(key=lambda group: (group[0] in owed, promise[group[0]], group[0]), reverse=True)
    order = [place for _, places in groups for place in places]
    left = list(accumulate([promise[worths[place]] for place in reversed(order)]))[::-1]
    return order, left, sum([len(places) for worth, places in groups if worth in owed])
