"""How many of the documents found by keys are fetched and compared: those that promise most, until the rest can
hardly matter.

Belongs here: how much is looked at, the order, and when to stop. Does not belong here: what a document promises (``promise.py``), the
comparison (``scoring.py``), who is an answer (``matcher.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby
from typing import Protocol

from search_api.index.provider import CandidateSet, KeyQuery
from search_api.matching.lettering import UNKNOWN
from search_api.matching.person import Person, unpack
from search_api.matching.promise import FAMILY, GIVEN, INITIAL, Promise, Signs
from search_api.matching.rarity import PARTS, expected
from search_api.matching.scoring import Scored

# Sets of no more are compared whole: there is little to save.
WHOLE = 4
# Whoever has the same keys as somebody whose chance is so great is compared as well.
ALIKE = 0.005
# Whoever has another name altogether is compared when their odds alone are more than this share, as of a possible grade.
DISTANT = 0.0005
# Beyond which odds are not told apart, nor could be: a float holds 1,023.
_MOST_BITS = 1000.0


@dataclass(frozen=True)
class Effort:
    """How much a tolerant search may look at (settings of the same names).

    ``unseen_odds``: candidates are left uncompared when the odds of all of them together are no more than this
    share of the odds of those compared and of nobody. ``unseen_odds_doubtful``: the same while those compared are too
    unlikely for anybody to be certain. ``settled_odds``: of whom the narrowest keys find, from which on a wide search asks
    no others. ``most_compared``: most of those that keys with a whole birth date find. ``second_look_documents``: how many
    documents the keys of a second look may be expected to have, all together; ``second_look_candidates``: most of them
    compared.
    """

    unseen_odds: float = 0.0005
    unseen_odds_doubtful: float = 0.002
    settled_odds: float = 65_536.0
    most_compared: int = 100
    second_look_documents: int = 150
    second_look_candidates: int = 50

    @classmethod
    def of(cls, chosen: Chosen) -> Effort:
        """As settings, or rules made of them, say."""
        return cls(
            chosen.unseen_odds,
            chosen.unseen_odds_doubtful,
            chosen.settled_odds,
            chosen.most_compared,
            chosen.second_look_documents,
            chosen.second_look_candidates,
        )

    def settled(self, scored: Sequence[Scored]) -> bool:
        """Whether those compared are beyond doubt. Before any evidence the odds of all people together are about one, so
        whatever keys not asked would find is expected to be no more than that."""
        return 0.0 < self.settled_odds <= odds(scored)

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
    def settled_odds(self) -> float: ...
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
class Comparing:
    """The comparisons of one question, each person fetched and compared once. ``known``: what became of each by number,
    None where a filter left them out."""

    compare: Compare
    known: dict[int, Scored | None] = field(default_factory=dict)

    def all(self) -> list[Scored]:
        """Everybody compared so far whom no filter left out."""
        return [item for item in self.known.values() if item is not None]

    def of(self, found: CandidateSet, places: Sequence[int]) -> list[Scored]:
        """The candidates at some places, compared."""
        numbers, payloads, known = found.numbers, found.payloads, self.known
        fresh = [at for at in places if numbers[at] not in known]
        if fresh:
            known.update([(numbers[at], None) for at in fresh])
            more = self.compare([unpack(numbers[at], payloads[at]) for at in fresh])
            known.update([(item.person.nhs_number, item) for item in more])
        return [item for at in places if (item := known[numbers[at]]) is not None]


def narrowed(asked: KeyQuery, marks: Signs) -> KeyQuery:
    """The same keys, those of day, sex and initial beside the others where both names are asked for: among sixty million
    people they find two hundred who have nothing else, and whose names are hardly ever meant."""
    if not {FAMILY, GIVEN} <= set(marks.of.values()):
        return asked
    beside = tuple([key for key in asked.keys if marks.of.get(key.key) == INITIAL])
    keys = tuple([key for key in asked.keys if marks.of.get(key.key) != INITIAL])
    return replace(asked, keys=keys, beside=beside) if keys and beside else asked


@dataclass(frozen=True)
class Beside:
    """Keys that were asked only of whom others found. ``find``: the candidates of all keys; ``documents``: how many these
    may be expected to have; ``worth``: of a document that has one of them and no other."""

    find: Callable[[], CandidateSet]
    documents: int
    worth: int

    @classmethod
    def of(cls, narrow: KeyQuery, population: int, find: Callable[[], CandidateSet]) -> Beside | None:
        """None where all keys were asked."""
        if not narrow.beside:
            return None
        return cls(find, expected(narrow.beside, population), int(narrow.beside[-1].rarity) * PARTS + INITIAL)


@dataclass(frozen=True)
class Look:
    """Candidates, and what they promise where their keys tell."""

    found: CandidateSet
    promise: Callable[[], Promise] | None = None
    beside: Beside | None = None

    def compared(self, comparing: Comparing, effort: Effort, *, near: bool = False) -> CandidateSet:
        """Compare those of them worth it; a few are compared whatever they promise. The candidates, with how many were
        compared for this question so far and whether the limit cut it. ``near``: as in ``likely``."""
        found, beside = self.found, self.beside
        promise = self.promise() if self.promise and (beside or len(found.numbers) > WHOLE) else None
        cut = _compare(found, promise, comparing, effort, near=near)
        if beside and promise:
            bearable = effort.bearable(1.0 + odds(comparing.all()))
            if beside.documents * promise[beside.worth] > bearable:
                found = beside.find()
                cut = _compare(found, promise, comparing, effort, near=near)
        counters = {**found.counters, "compared": len(comparing.all())}
        return replace(found, truncated=found.truncated or cut, counters=counters)


def odds(scored: Sequence[Scored]) -> float:
    """That one of them is meant, all together."""
    return math.fsum([2.0 ** min(item.weight, _MOST_BITS) for item in scored])


def _compare(found: CandidateSet, promise: Promise | None, comparing: Comparing, effort: Effort, *, near: bool) -> bool:
    """Compare those worth it; whether the limit cut it."""
    if promise is None or len(found.numbers) <= WHOLE:
        comparing.of(found, range(len(found.numbers)))
        return False
    return likely(found, promise, comparing, effort, near=near)


def likely(found: CandidateSet, promise: Promise, comparing: Comparing, effort: Effort, *, near: bool) -> bool:
    """Compare candidates, best promise first, as far as ``effort`` goes; whether its limit cut it.
    ``near``: whoever may be near in both names is compared before others, and whatever the odds; whoever cannot be is
    not."""
    order, left, owed = _order(found.worths, promise, near=near)
    worths = found.worths
    letters = found.letters or (UNKNOWN,) * len(worths)
    apart: list[tuple[float, int]] = []
    # The greatest odds of those compared who have the very same keys as the next: whatever was expected of these,
    # the next are as likely (namesakes of one day).
    whole, alike, last, known = 1.0, 0.0, -1, comparing.known
    for at, each in enumerate(order):
        worth = worths[each]
        if worth != last:
            alike, last = 0.0, worth
        if at >= owed and left[at] <= effort.bearable(whole) and alike <= ALIKE * whole:
            break
        distant = promise.distant(worth, letters[each]) if effort.unseen_odds else None
        if distant is not None:
            apart.append((distant, each))
            continue
        if len(known) >= effort.most_compared and found.numbers[each] not in known:
            return True
        # One at a time: the first is mostly the one meant, and then nobody else need be fetched.
        for item in comparing.of(found, (each,)):
            one = odds((item,))
            whole, alike = whole + one, max(alike, one)
    if near or not apart:
        return False
    # A name of theirs is another one, which no comparison changes: they are compared where they may be meant all the same.
    meant = sorted([(-distant, each) for distant, each in apart if distant > DISTANT * whole])
    room = max(effort.most_compared - len(known), 0)
    comparing.of(found, [each for _, each in meant[:room]])
    return len(meant) > room


def _order(worths: Sequence[int], promise: Promise, *, near: bool) -> tuple[list[int], list[float], int]:
    """Places by promise; of each, the odds of all from there on; and how many must be compared: those near.

    Candidates come by descending worth, so those of one worth stand side by side and are ordered as one."""
    groups = [(worth, list(places)) for worth, places in groupby(range(len(worths)), worths.__getitem__)]
    owed = {worth for worth, _ in groups if promise.near(worth)} if near else set[int]()
    groups.sort(key=lambda group: (group[0] in owed, promise[group[0]], group[0]), reverse=True)
    order = [place for _, places in groups for place in places]
    left = list(accumulate([promise[worths[place]] for place in reversed(order)]))[::-1]
    return order, left, sum([len(places) for worth, places in groups if worth in owed])
