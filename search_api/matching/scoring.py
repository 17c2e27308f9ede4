"""Fellegi-Sunter: each candidate's evidence and weight, over the best pairing of names.

Belongs here: the sum. Does not belong here: which level is reached (``comparisons.py``), what a
level is worth (``weights.json``), grades (``grading.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

from search_api.matching import comparisons as compare
from search_api.matching.asked import Asked
from search_api.matching.normalise import Name
from search_api.matching.person import HISTORIC, SKIP_FAMILY, SKIP_GIVEN, Person, StoredName
from search_api.matching.questions import Evidence
from search_api.matching.weights import Level, Weights


class Scored(NamedTuple):
    """One candidate with its evidence; ``weight`` is prior plus the evidence's weights, in bits."""

    person: Person
    evidence: tuple[Evidence, ...]
    weight: float

    def level(self, comparison: str) -> str | None:
        """The level reached in a comparison, None where it said nothing."""
        return next((item.level for item in self.evidence if item.comparison == comparison), None)

    @property
    def named(self) -> bool:
        """Whether a name speaks for this person."""
        return any(item.weight > 0 and item.comparison in ("family", "given") for item in self.evidence)

    @property
    def bits(self) -> float:
        """Evidence without the prior."""
        return sum(item.weight for item in self.evidence)


class Unknown(NamedTuple):
    """Of each name asked for, whether hardly anybody bears it: from how many steps of rarity on, or 0.

    Such a spelling is likely a slip. ``given_as_family``: the given name asked for, as a family name.
    """

    family: int
    given: int
    given_as_family: int
    family_as_given: int


KNOWN = Unknown(0, 0, 0, 0)
_MAYBE_MIDDLE = frozenset((compare.OTHER, compare.SIMILAR, compare.SOUNDS))


Known = TypeVar("Known", bound=Hashable)
Reached = TypeVar("Reached")


class Once(dict[Known, Reached], Generic[Known, Reached]):
    """Levels by the value held, each worked out once a question."""

    def __init__(self, reach: Callable[[Known], Reached]) -> None:
        super().__init__()
        self._reach = reach

    def __missing__(self, held: Known) -> Reached:
        reached = self[held] = self._reach(held)
        return reached


class Scorer:
    """Scores persons for one weights file; caches the evidence objects it hands out."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self._steps = weights.frequency.steps
        self.make = lru_cache(maxsize=20_000)(self._evidence)

    def score(self, asked: Asked, persons: Sequence[Person], prior: float, unknown: Unknown = KNOWN) -> list[Scored]:
        """Evidence and weight of each person, in the order given."""
        return self.sheet(asked, prior, unknown).score(persons)

    def sheet(self, asked: Asked, prior: float, unknown: Unknown = KNOWN) -> Sheet:
        """For persons who come a few at a time."""
        return Sheet(self, asked, prior, unknown)

    def _evidence(self, comparison: str, name: str, previous: bool, steps: int) -> Evidence:
        level = self.weights.levels[comparison][name]
        return Evidence(comparison, name, self._weight(level, steps), previous)

    def _weight(self, level: Level, steps: int) -> float:
        """log2(m / u); u is the name's own share of the population where the level says so."""
        return math.log2(level.m) + steps / self._steps if level.frequency and steps else level.weight


class Sheet:
    """One question against any number of persons: names, dates and places come again and again among them, and
    each is compared once."""

    def __init__(self, scorer: Scorer, asked: Asked, prior: float, unknown: Unknown) -> None:
        self._asked, self._prior, self._unknown, self._make = asked, prior, unknown, scorer.make
        low, high = (asked.birth.low, asked.birth.high) if asked.birth else (0, 0)
        self._births: Once[int, str | None] = Once(lambda held: compare.birth_level(low, high, held))
        self._place: Once[str, tuple[int, str] | None] = Once(compare.place_rule(asked.postcode))
        self._middles: Once[str, bool] = Once(lambda held: compare.near_name(asked.first, held))
        family, first = asked.family, asked.first
        whole = asked.given[0] if first else None
        self._family = compare.family_levels(family.joined, family.words) if family.joined else None
        self._given = compare.given_levels(first, whole.joined) if whole else None
        # The given name asked for, where the two may have been exchanged.
        self._both = whole if family.joined else None

    def score(self, persons: Sequence[Person]) -> list[Scored]:
        """Evidence and weight of each person, in the order given."""
        found = []
        for person in persons:
            evidence = (*self.names(person), *self._rest(person))
            found.append(Scored(person, evidence, self._prior + sum([item.weight for item in evidence])))
        return found

    def names(self, person: Person) -> tuple[Evidence, ...]:
        """The most telling pairing of the asked name with any name ever held."""
        if len(person.names) == 1:
            pairings = self._pairings(person.names[0])
            return pairings[0] if len(pairings) == 1 else max(pairings, key=_bits)
        return max([each for held in person.names for each in self._pairings(held)], key=_bits, default=())

    def _pairings(self, held: StoredName) -> list[tuple[Evidence, ...]]:
        """The names held as asked for, and exchanged where that may tell more."""
        previous = HISTORIC in held.marks
        has_family = bool(held.family) and SKIP_FAMILY not in held.marks
        words = " ".join(held.given).split(" ") if held.given and SKIP_GIVEN not in held.marks else []
        straight: list[Evidence] = []
        family = self._family[held.family] if has_family and self._family is not None else None
        if family:
            family = _misspelt(family, held.family_steps, self._unknown.family)
            straight.append(self._make("family", family, previous, held.family_steps))
        given = self._given_level(held, words) if words and self._given is not None else None
        if given:
            given = _misspelt(given, held.given_steps, self._unknown.given)
            straight.append(self._make("given", given, previous, held.given_steps))
            if self._asked.middle:
                straight += self._middle(words, given, previous)
        if family and given:
            straight.append(self._make("name_order", "as_given", previous, 0))
        if has_family and words and self._both is not None and family != compare.EXACT:
            exchanged = self._exchanged(self._both, held, words, previous=previous)
            return [tuple(straight), exchanged] if exchanged else [tuple(straight)]
        return [tuple(straight)]

    def _exchanged(
        self, first: Name, held: StoredName, words: list[str], *, previous: bool
    ) -> tuple[Evidence, ...] | None:
        """The asked family name as given name and the other way round; one of them may have changed."""
        family = compare.family_levels(first.joined, first.words)[held.family]
        as_given = compare.given_levels(self._asked.family.joined)
        given = as_given[words[0]]
        if given != compare.EXACT and len(words) > 1 and as_given[held.given[0]] == compare.EXACT:
            given = compare.EXACT
        if family == given == compare.OTHER:
            return None
        family = _misspelt(family, held.family_steps, self._unknown.given_as_family)
        given = _misspelt(given, held.given_steps, self._unknown.family_as_given)
        return (
            self._make("family", family, previous, held.family_steps),
            self._make("given", given, previous, held.given_steps),
            self._make("name_order", "swapped", previous, 0),
        )

    def _given_level(self, held: StoredName, words: list[str]) -> str:
        """First asked word against the first held, then what else of the given names it may be."""
        assert self._given is not None  # noqa: S101 - only asked where there is one
        asked, levels = self._asked, self._given
        level = levels[words[0]]
        if level != compare.EXACT and len(words) > 1:
            if levels[held.given[0]] == compare.EXACT:
                return compare.EXACT
            if level in _MAYBE_MIDDLE and self._is_middle(words):
                return compare.MIDDLE
        if level == compare.OTHER and words[0] in asked.middle:
            return compare.MIDDLE
        return level

    def _is_middle(self, words: list[str]) -> bool:
        """The first asked name is, or nearly is, a middle name held."""
        return len(self._asked.first) > 1 and any(self._middles[word] for word in words[1:] if len(word) > 1)

    def _middle(self, words: list[str], given: str, previous: bool) -> list[Evidence]:
        if given == compare.MIDDLE:
            return []
        level = compare.middle_level(self._asked.middle, words[1:])
        return [self._make("middle_names", level, previous, 0)] if level else []

    def _rest(self, person: Person) -> list[Evidence]:
        found: list[Evidence] = []
        asked, make = self._asked, self._make
        if asked.birth and (level := self._births[person.birth]):
            found.append(make("birth_date", level, False, 0))
        if asked.sex in ("M", "F") and person.sex in ("M", "F"):
            found.append(make("sex", compare.EXACT if asked.sex == person.sex else compare.OTHER, False, 0))
        if asked.postcode and (reached := compare.places_level(self._place.__getitem__, person.postcodes)):
            found.append(make("postcode", reached[0], reached[1], 0))
        if asked.phones and (reached := compare.contact_level(asked.phones, person.phones, "one_digit", 1)):
            found.append(make("phone", reached[0], reached[1], 0))
        if asked.emails and (reached := compare.contact_level(asked.emails, person.emails, "close", 2)):
            found.append(make("email", reached[0], reached[1], 0))
        return found + self._light(person) if asked.gp or asked.premise or asked.death else found

    def _light(self, person: Person) -> list[Evidence]:
        """Practice, address and death: a little evidence each."""
        found, asked = [], self._asked
        if asked.gp and person.gp:
            found.append(self._make("gp", compare.EXACT if asked.gp == person.gp else compare.OTHER, False, 0))
        if asked.premise and person.premises:
            found.append(self._make("address", compare.premise_level(asked.premise, person.premises), False, 0))
        if asked.death and person.death:
            inside = asked.death.low <= person.death <= asked.death.high
            found.append(self._make("death_date", compare.EXACT if inside else compare.OTHER, False, 0))
        return found


def _bits(pairing: tuple[Evidence, ...]) -> float:
    return sum([item.weight for item in pairing])


def _misspelt(level: str, held_steps: int, limit: int) -> str:
    """Near in letters to a name that people bear, where hardly anybody bears what was asked."""
    return compare.MISSPELT if level == compare.CLOSE and limit and held_steps < limit else level
