"""Fellegi-Sunter: each candidate's evidence and weight, over the best pairing of names.

Belongs here: the sum. Does not belong here: which level is reached (``comparisons.py``), what a
level is worth (``weights.json``), grades (``grading.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache, partial
from typing import Generic, NamedTuple, TypeVar

from search_api.matching import comparisons as compare
from search_api.matching.asked import Asked
from search_api.matching.person import HISTORIC, RECORD, SKIP_FAMILY, SKIP_GIVEN, SLOT, UNIT, Person
from search_api.matching.questions import Evidence
from search_api.matching.relatives import COMPARISON as RELATIVES
from search_api.matching.weights import Level, Weights


class Scored(NamedTuple):
    """One candidate with its evidence; ``weight`` is prior plus the evidence's weights, in bits."""

    person: Person
    evidence: tuple[Evidence, ...]
    weight: float

    def level(self, comparison: str) -> str | None:
        """The level reached in a comparison, None where it said nothing."""
        for item in self.evidence:
            if item.comparison == comparison:
                return item.level
        return None

    @property
    def named(self) -> bool:
        """Whether a name speaks for this person."""
        return any(item.weight > 0 and item.comparison in ("family", "given") for item in self.evidence)

    @property
    def unbounded(self) -> float:
        """The weight, but for what relatives share by nature."""
        return self.weight - sum([item.weight for item in self.evidence if item.comparison == RELATIVES], 0.0)

    @property
    def bits(self) -> float:
        """Evidence without the prior."""
        return sum([item.weight for item in self.evidence], 0.0)


# Half the time of calling the class.
_scored = partial(tuple.__new__, Scored)


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


Found = tuple[Evidence, ...]
NOTHING: Found = ()


class Scorer:
    """Scores persons for one weights file; caches the evidence objects it hands out."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self._steps = weights.frequency.steps
        self.make = lru_cache(maxsize=20_000)(self._evidence)
        # Of each level that no frequency changes, its evidence of a current and of a previous value.
        self.plain = {
            comparison: {
                name: (self._evidence(comparison, name, False, 0), self._evidence(comparison, name, True, 0))
                for name, level in levels.items()
                if not level.frequency
            }
            for comparison, levels in weights.levels.items()
        }

    def score(self, asked: Asked, persons: Sequence[Person], prior: float, unknown: Unknown = KNOWN) -> list[Scored]:
        """Evidence and weight of each person, in the order given."""
        return self.sheet(asked, prior, unknown).score(persons)

    def sheet(self, asked: Asked, prior: float, unknown: Unknown = KNOWN) -> Sheet:
        """For persons who come a few at a time."""
        return Sheet(self, asked, prior, unknown)

    def frequent(self, comparison: str, level: str, previous: bool, steps: str) -> Evidence:
        """Evidence of a name, which may depend on how many bear it."""
        plain = self.plain[comparison].get(level)
        return plain[previous] if plain else self.make(comparison, level, previous, int(steps))

    def _evidence(self, comparison: str, name: str, previous: bool, steps: int) -> Evidence:
        level = self.weights.levels[comparison][name]
        return Evidence(comparison, name, self._weight(level, steps), previous)

    def _weight(self, level: Level, steps: int) -> float:
        """log2(m / u); u is the name's own share of the population where the level says so."""
        return math.log2(level.m) + steps / self._steps if level.frequency and steps else level.weight


class Sheet:
    """One question against any number of persons: dates and places come again and again among them, and each is
    compared once. What is held is read as it is packed, and only as far as the question asks for it."""

    def __init__(self, scorer: Scorer, asked: Asked, prior: float, unknown: Unknown) -> None:
        self._asked, self._prior, self._make = asked, prior, scorer.make
        self._relatives = scorer.weights.relatives
        self._names = NameSheet(scorer, asked, unknown)
        self._births: Once[str, Found] = Once(self._birth_found)
        self._sexes: Once[str, Found] = Once(self._sex_found)
        self._place: Once[str, tuple[int, str] | None] = Once(compare.place_rule(asked.postcode))
        self._more = bool(asked.phones or asked.emails or asked.gp or asked.premise or asked.death)

    def score(self, persons: Sequence[Person]) -> list[Scored]:
        """Evidence and weight of each person, in the order given."""
        found = []
        names, placed, least = self._names.found, bool(self._asked.postcode), self._relatives.least
        for person in persons:
            evidence = names(person) + self._births[person.birth_text] + self._sexes[person.sex]
            if placed and person.addresses_text:
                evidence += self._place_found(person.addresses_text)
            if self._more:
                evidence = (*evidence, *self._rest(person))
            weight = self._prior + sum([item.weight for item in evidence], 0.0)
            if weight > least and (shared := self._relatives.found(evidence, self._prior)):
                evidence += shared
                weight = self._prior + sum([item.weight for item in evidence], 0.0)
            found.append(_scored((person, evidence, weight)))
        return found

    def _birth_found(self, held: str) -> Found:
        birth = self._asked.birth
        level = compare.birth_level(birth.low, birth.high, int(held)) if birth else None
        return (self._make("birth_date", level, False, 0),) if level else NOTHING

    def _sex_found(self, held: str) -> Found:
        asked = self._asked.sex
        if asked not in ("M", "F") or held not in ("M", "F"):
            return NOTHING
        return (self._make("sex", compare.EXACT if asked == held else compare.OTHER, False, 0),)

    def _place_found(self, held: str) -> Found:
        """The nearest of all addresses ever held."""
        places = [item.split(UNIT) for item in held.split(RECORD)]
        reached = compare.places_level(self._place.__getitem__, [(code, marks) for code, marks, _ in places if code])
        return (self._make("postcode", reached[0], reached[1], 0),) if reached else NOTHING

    def _rest(self, person: Person) -> list[Evidence]:
        """Contacts; practice, address and death are a little evidence each."""
        found: list[Evidence] = []
        asked, make = self._asked, self._make
        if asked.phones and (reached := compare.contact_level(asked.phones, person.phones, "one_digit", 1)):
            found.append(make("phone", reached[0], reached[1], 0))
        if asked.emails and (reached := compare.contact_level(asked.emails, person.emails, "close", 2)):
            found.append(make("email", reached[0], reached[1], 0))
        if asked.gp and person.gp:
            found.append(make("gp", compare.EXACT if asked.gp == person.gp else compare.OTHER, False, 0))
        if asked.premise and (premises := person.premises):
            found.append(make("address", compare.premise_level(asked.premise, premises), False, 0))
        if asked.death and (death := person.death):
            inside = asked.death.low <= death <= asked.death.high
            found.append(make("death_date", compare.EXACT if inside else compare.OTHER, False, 0))
        return found


class NameSheet:
    """The names of one question against those held."""

    def __init__(self, scorer: Scorer, asked: Asked, unknown: Unknown) -> None:
        self._asked, self._unknown, self._frequent, self._plain = asked, unknown, scorer.frequent, scorer.plain
        family, first = asked.family, asked.first
        whole = asked.given[0] if first else None
        self._family = compare.family_levels(family.joined, family.words) if family.joined else None
        self._given = compare.given_levels(first, whole.joined) if whole else None
        # The given name asked for as a family name, and the other way round, where the two may have been exchanged.
        self._as_family = compare.family_levels(whole.joined, whole.words) if whole and family.joined else None
        self._as_given = compare.given_levels(family.joined)
        self._middles: Once[str, bool] = Once(lambda held: compare.near_name(first, held))

    def found(self, person: Person) -> Found:
        """The most telling pairing of the asked name with any name ever held."""
        best: Found | None = None
        for family, given, marks, family_steps, given_steps in person.name_texts:
            previous = HISTORIC in marks
            named = called = NOTHING
            if self._family is not None and family and SKIP_FAMILY not in marks:
                level = _misspelt(self._family[family], family_steps, self._unknown.family)
                named = (self._frequent("family", level, previous, family_steps),)
            if self._given is not None and given and SKIP_GIVEN not in marks:
                called = self._called(given, previous, given_steps)
            pairing = (*named, *called, self._order("as_given", previous)) if named and called else named or called
            best = pairing if best is None else _better(best, pairing)
            if self._as_family is not None and named and called and named[0].level != compare.EXACT:
                reached = self._as_family[family], self._exchanged_given(given)
                if reached != _NEITHER:
                    best = _better(best, self._exchanged(reached, previous, family_steps, given_steps))
        return best or NOTHING

    def _order(self, level: str, previous: bool) -> Evidence:
        return self._plain["name_order"][level][previous]

    def _called(self, text: str, previous: bool, steps: str) -> Found:
        """The first given name, and those after it. ``text``: given names as packed."""
        words = text.replace(SLOT, " ").split(" ")
        level = _misspelt(self._given_level(text, words), steps, self._unknown.given)
        found = (self._frequent("given", level, previous, steps),)
        if not self._asked.middle or level == compare.MIDDLE:
            return found
        middle = compare.middle_level(self._asked.middle, words[1:])
        return (*found, self._plain["middle_names"][middle][previous]) if middle else found

    def _given_level(self, text: str, words: list[str]) -> str:
        """First asked word against the first held, then what else of the given names it may be."""
        assert self._given is not None  # noqa: S101 - only asked where there is one
        level = self._given[words[0]]
        if level != compare.EXACT and len(words) > 1:
            if _opens_with_several(text) and self._given[text.partition(SLOT)[0]] == compare.EXACT:
                return compare.EXACT
            if level in _MAYBE_MIDDLE and self._is_middle(words):
                return compare.MIDDLE
        if level == compare.OTHER and words[0] in self._asked.middle:
            return compare.MIDDLE
        return level

    def _is_middle(self, words: list[str]) -> bool:
        """The first asked name is, or nearly is, a middle name held."""
        return len(self._asked.first) > 1 and any(self._middles[word] for word in words[1:] if len(word) > 1)

    def _exchanged_given(self, text: str) -> str:
        """The family name asked for, as a given name."""
        value = text.partition(SLOT)[0]
        level = self._as_given[value.partition(" ")[0]]
        return compare.EXACT if " " in value and self._as_given[value] == compare.EXACT else level

    def _exchanged(self, reached: tuple[str, str], previous: bool, family_steps: str, given_steps: str) -> Found:
        """Both names exchanged; one of them may have changed."""
        family = _misspelt(reached[0], family_steps, self._unknown.given_as_family)
        given = _misspelt(reached[1], given_steps, self._unknown.family_as_given)
        return (
            self._frequent("family", family, previous, family_steps),
            self._frequent("given", given, previous, given_steps),
            self._order("swapped", previous),
        )


_NEITHER = (compare.OTHER, compare.OTHER)


def _opens_with_several(given: str) -> bool:
    """Whether the first given value is of several words."""
    return " " in given and " " in given.partition(SLOT)[0]


def _better(one: Found, other: Found) -> Found:
    """The pairing with more bits, the first of equals."""
    return other if sum([item.weight for item in other], 0.0) > sum([item.weight for item in one], 0.0) else one


def _misspelt(level: str, held_steps: str, limit: int) -> str:
    """Near in letters to a name that people bear, where hardly anybody bears what was asked."""
    return compare.MISSPELT if limit and level == compare.CLOSE and int(held_steps) < limit else level
