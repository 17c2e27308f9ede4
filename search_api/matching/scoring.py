"""Fellegi-Sunter: each candidate's evidence and weight, over the best pairing of names.

Belongs here: the sum. Does not belong here: which level is reached (``comparisons.py``), what a
level is worth (``weights.json``), grades (``grading.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

from search_api.matching import comparisons as compare
from search_api.matching.asked import Asked
from search_api.matching.person import HISTORIC, SKIP_FAMILY, SKIP_GIVEN, Person, StoredName
from search_api.matching.questions import Evidence
from search_api.matching.weights import Level, Weights


@dataclass(frozen=True)
class Scored:
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


@dataclass(frozen=True)
class NameScales:
    """Levels of every held spelling, as asked and with given and family exchanged."""

    family: dict[str, str]
    given: dict[str, str]
    family_as_given: dict[str, str]
    given_as_family: dict[str, str]
    unknown: Unknown


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


class Seen:
    """What candidates of one question have in common: birth dates and places come again and again."""

    __slots__ = ("births", "places")

    def __init__(self, asked: Asked) -> None:
        low, high = (asked.birth.low, asked.birth.high) if asked.birth else (0, 0)
        self.births: Once[int, str | None] = Once(lambda held: compare.birth_level(low, high, held))
        self.places: Once[tuple[tuple[str, str], ...], tuple[str, bool] | None] = Once(
            lambda held: compare.postcode_level(asked.postcode, held)
        )


class Scorer:
    """Scores persons for one weights file; caches the evidence objects it hands out."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self._steps = weights.frequency.steps
        self._make = lru_cache(maxsize=20_000)(self._evidence)

    def score(self, asked: Asked, persons: Sequence[Person], prior: float, unknown: Unknown = KNOWN) -> list[Scored]:
        """Evidence and weight of each person, in the order given."""
        scales, seen = _scales(asked, persons, unknown), Seen(asked)
        found = []
        for person in persons:
            evidence = (*self.names(asked, person, scales), *self._rest(asked, person, seen))
            found.append(Scored(person, evidence, prior + sum([item.weight for item in evidence])))
        return found

    def names(self, asked: Asked, person: Person, scales: NameScales) -> tuple[Evidence, ...]:
        """The most telling pairing of the asked name with any name ever held."""
        best: tuple[Evidence, ...] = ()
        best_weight = -math.inf
        for held in person.names:
            for pairing in self._pairings(asked, held, scales):
                weight = sum([item.weight for item in pairing])
                if weight > best_weight:
                    best, best_weight = pairing, weight
        return best

    def _pairings(self, asked: Asked, held: StoredName, scales: NameScales) -> Iterable[tuple[Evidence, ...]]:
        previous = HISTORIC in held.marks
        has_family = bool(held.family) and SKIP_FAMILY not in held.marks
        words = " ".join(held.given).split() if held.given and SKIP_GIVEN not in held.marks else []
        straight: list[Evidence] = []
        family = scales.family[held.family] if has_family and scales.family else None
        if family:
            family = _misspelt(family, held.family_steps, scales.unknown.family)
            straight.append(self._make("family", family, previous, held.family_steps))
        given = _given_level(asked, held, words, scales.given)
        if given:
            given = _misspelt(given, held.given_steps, scales.unknown.given)
            straight.append(self._make("given", given, previous, held.given_steps))
            straight += self._middle(asked, words, given, previous)
        if family and given and asked.first:
            straight.append(self._make("name_order", "as_given", previous, 0))
        yield tuple(straight)
        if has_family and words and scales.given_as_family and family != compare.EXACT:
            yield from self._exchanged(held, words, scales, previous)

    def _exchanged(
        self, held: StoredName, words: list[str], scales: NameScales, previous: bool
    ) -> Iterable[tuple[Evidence, ...]]:
        """The asked family name as given name and the other way round; one of them may have changed."""
        family = scales.given_as_family[held.family]
        given = scales.family_as_given[words[0]]
        if given != compare.EXACT and scales.family_as_given[held.given[0]] == compare.EXACT:
            given = compare.EXACT
        if family == given == compare.OTHER:
            return
        family = _misspelt(family, held.family_steps, scales.unknown.given_as_family)
        given = _misspelt(given, held.given_steps, scales.unknown.family_as_given)
        yield (
            self._make("family", family, previous, held.family_steps),
            self._make("given", given, previous, held.given_steps),
            self._make("name_order", "swapped", previous, 0),
        )

    def _middle(self, asked: Asked, words: list[str], given: str, previous: bool) -> list[Evidence]:
        if given == compare.MIDDLE:
            return []
        level = compare.middle_level(asked.middle, words[1:])
        return [self._make("middle_names", level, previous, 0)] if level else []

    def _rest(self, asked: Asked, person: Person, seen: Seen) -> list[Evidence]:
        found: list[Evidence] = []
        make = self._make
        if asked.birth and (level := seen.births[person.birth]):
            found.append(make("birth_date", level, False, 0))
        if asked.sex in ("M", "F") and person.sex in ("M", "F"):
            found.append(make("sex", compare.EXACT if asked.sex == person.sex else compare.OTHER, False, 0))
        if asked.postcode and person.postcodes and (reached := seen.places[person.postcodes]):
            found.append(make("postcode", reached[0], reached[1], 0))
        if asked.phones and (reached := compare.contact_level(asked.phones, person.phones, "one_digit", 1)):
            found.append(make("phone", reached[0], reached[1], 0))
        if asked.emails and (reached := compare.contact_level(asked.emails, person.emails, "close", 2)):
            found.append(make("email", reached[0], reached[1], 0))
        return found + self._light(asked, person) if asked.gp or asked.premise or asked.death else found

    def _light(self, asked: Asked, person: Person) -> list[Evidence]:
        """Practice, address and death: a little evidence each."""
        found = []
        if asked.gp and person.gp:
            found.append(self._make("gp", compare.EXACT if asked.gp == person.gp else compare.OTHER, False, 0))
        if asked.premise and person.premises:
            found.append(self._make("address", compare.premise_level(asked.premise, person.premises), False, 0))
        if asked.death and person.death:
            inside = asked.death.low <= person.death <= asked.death.high
            found.append(self._make("death_date", compare.EXACT if inside else compare.OTHER, False, 0))
        return found

    def _evidence(self, comparison: str, name: str, previous: bool, steps: int) -> Evidence:
        level = self.weights.levels[comparison][name]
        return Evidence(comparison, name, self._weight(level, steps), previous)

    def _weight(self, level: Level, steps: int) -> float:
        """log2(m / u); u is the name's own share of the population where the level says so."""
        return math.log2(level.m) + steps / self._steps if level.frequency and steps else level.weight


def _misspelt(level: str, held_steps: int, limit: int) -> str:
    """Near in letters to a name that people bear, where hardly anybody bears what was asked."""
    return compare.MISSPELT if level == compare.CLOSE and limit and held_steps < limit else level


def _scales(asked: Asked, persons: Sequence[Person], unknown: Unknown) -> NameScales:
    families = {name.family for person in persons for name in person.names if name.family}
    firsts = {name.given[0].split(" ")[0] for person in persons for name in person.names if name.given}
    wholes = {name.given[0] for person in persons for name in person.names if name.given}
    family, first = asked.family.joined, asked.first
    both = bool(family and first)
    rule = compare.family_rule(asked.family.words)
    return NameScales(
        compare.scale(family, families, rule) if family else {},
        _given_scale(asked, firsts | wholes) if first else {},
        compare.scale(family, firsts | wholes, compare.given_rule) if both else {},
        compare.scale(asked.given[0].joined, families, compare.family_rule(asked.given[0].words)) if both else {},
        unknown,
    )


def _given_scale(asked: Asked, held: set[str]) -> dict[str, str]:
    """First asked word against held values; a compound value (Anne Marie) also as a whole."""
    levels = compare.scale(asked.first, held, compare.given_rule)
    whole = asked.given[0].joined
    if whole != asked.first:
        levels.update({text: compare.EXACT for text in held if text.replace(" ", "") == whole})
    return levels


def _given_level(asked: Asked, held: StoredName, words: list[str], scale: dict[str, str]) -> str | None:
    if not words or not scale:
        return None
    level = scale[words[0]]
    if level != compare.EXACT and len(words) > 1:
        if scale[held.given[0]] == compare.EXACT:
            return compare.EXACT
        if level in (compare.OTHER, compare.SIMILAR, compare.SOUNDS) and _is_middle(asked, words):
            return compare.MIDDLE
    if level == compare.OTHER and words[0] in asked.middle:
        return compare.MIDDLE
    return level


def _is_middle(asked: Asked, words: list[str]) -> bool:
    """The first asked name is, or nearly is, a middle name held."""
    first = asked.first
    if len(first) < 2:
        return False
    return any(compare.near_name(first, word) for word in words[1:] if len(word) > 1)
