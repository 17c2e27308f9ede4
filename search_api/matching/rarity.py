"""What a blocking key is worth when candidates are ranked, and which keys are left out as crowded.

Belongs here: the rarity of a key from its kind and what is known of names, and the cap. Does not belong
here: which keys a question has (``blocking.py``), counting (``index/frequencies.py``,
``index/crowding.py``), engines.

Nothing here asks an index: rarity and cap follow from the generation's frequencies file alone, so every
engine, and a full build and its deltas, rank and cut alike. All sums are of integers, so they are the
same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol

# How many of each part of a key there are, by order of size: birth dates and years of the living, outward
# parts and full postcodes of the United Kingdom.
DAYS, YEARS, SEXES = 30_000, 90, 2
OUTCODES, POSTCODES = 3_000, 1_700_000
CODE = 4
# Parts of one bit that an engine's score is read in: a 32-bit number holds 11 whole bits and 13 more exactly.
SIGNS = 13
PARTS = 1 << SIGNS
# What the kinds of keys (``blocking.py``) are called in counters.
KINDS = {
    "a": "day_and_sound",
    "b": "day_and_outcode",
    "c": "day_sex_and_initial",
    "e": "year_and_sounds",
    "n": "sounds",
    "p": "postcode_and_sound",
    "l": "postcode",
    "t": "phone",
    "@": "email",
}
_ASKED = {kind: f"keys_{name}" for kind, name in KINDS.items()}
_OVER_CAP = {kind: f"keys_over_cap_{name}" for kind, name in KINDS.items()}
# Rarities that are kept of each kind, and a place beyond the end of any key.
_KEPT, _NOTHING = 100_000, 1 << 30


class WeighedKey(NamedTuple):
    """A blocking key and its rarity in whole bits, at least 1; a fraction is a sign (``promise.py``)."""

    key: str
    rarity: float


# Half the time of calling the class.
_weighed = partial(tuple.__new__, WeighedKey)


@dataclass(frozen=True)
class Sounds:
    """Bearers of family and given names of each key code, and of given names of each initial."""

    family: dict[str, int] = field(default_factory=dict)
    given: dict[str, int] = field(default_factory=dict)
    initial: dict[str, int] = field(default_factory=dict)

    def __reduce__(self) -> tuple[type[Sounds], tuple[dict[str, int], ...]]:
        """A build hands it to its processes; see ``FrequencyRule`` (``weights.py``)."""
        return Sounds, (self.family, self.given, self.initial)


class Worths(dict[str, int]):
    """Rarities by part of a key, reckoned once; twice as fast to read as a cache that keeps an order."""

    def __init__(self, reckon: Callable[[str], int]) -> None:
        super().__init__()
        self._reckon = reckon

    def __missing__(self, part: str) -> int:
        if len(self) >= _KEPT:
            self.clear()
        worth = self[part] = self._reckon(part)
        return worth


class Rarities:
    """The rarity of any key in one population, before anybody has counted it.

    -log2 of the share of people who have the key, given that somebody has: one person, and as many more
    as its parts lead one to expect. Parts count as independent.
    """

    def __init__(self, population: int, sounds: Sounds) -> None:
        self._people = max(population, 1)
        self._sounds = sounds
        born = bits(DAYS * OUTCODES + self._people, DAYS * OUTCODES * self._people)
        shared = bits(2, self._people)
        kinds: dict[str, tuple[int, Callable[[str], int]]] = {
            "a": (9, self._of_dated),
            "b": (_NOTHING, lambda _: born),
            "c": (10, self._of_initial),
            "e": (5, lambda pair: self._of_pair(pair, YEARS)),
            "n": (1, lambda pair: self._of_pair(pair, 1)),
            "p": (-CODE, self._of_lived),
            "l": (1, self._of_place),
            "t": (_NOTHING, lambda _: shared),
            "@": (_NOTHING, lambda _: shared),
        }
        # Of each kind, where the part of a key begins that rarity depends on, and the rarity of that part.
        self.kinds = {kind: (start, Worths(worth)) for kind, (start, worth) in kinds.items()}

    def counted(self, documents: int) -> int:
        """The rarity of a key that so many documents have."""
        return bits(documents, self._people)

    def sounding(self, code: str) -> int:
        """The rarity of a name of this sound, family name or given name."""
        return bits(self._bearers(code), self._people)

    def _bearers(self, code: str) -> int:
        return self._sounds.family.get(code, 0) + self._sounds.given.get(code, 0)

    def _of_dated(self, code: str) -> int:
        return bits(DAYS + self._bearers(code), DAYS * self._people)

    def _of_initial(self, initial: str) -> int:
        return bits(DAYS * SEXES + self._sounds.initial.get(initial, 0), DAYS * SEXES * self._people)

    def _of_lived(self, code: str) -> int:
        """Who lives together often has one family name: two people at least."""
        return bits(2 * POSTCODES + self._bearers(code), POSTCODES * self._people)

    def _of_place(self, place: str) -> int:
        """A code of digits alone is foreign, and an area rather than a street."""
        places = OUTCODES if place.isdigit() else POSTCODES
        return bits(places + self._people, places * self._people)

    def _of_pair(self, pair: str, times: int) -> int:
        """Two codes of four characters, either of which may be the family name's. A name without Latin
        letters has a code of another length; there is no telling where the pair parts, and it is rare."""
        if len(pair) != 2 * CODE:
            return bits(1, self._people)
        one, two = pair[:CODE], pair[CODE:]
        family, given = self._sounds.family, self._sounds.given
        both = family.get(one, 0) * given.get(two, 0)
        if one != two:
            both += family.get(two, 0) * given.get(one, 0)
        return bits(times * self._people + both, times * self._people * self._people)


class KeyCounts(Protocol):
    """What is known of keys, counted at the last full build: those that many documents have, with how
    many; and what the others are worth."""

    @property
    def crowded(self) -> dict[str, int]: ...
    @property
    def rarities(self) -> Rarities: ...


@dataclass(frozen=True)
class Weighed:
    """The keys to ask, and how many keys the question has and how many were left out, of each kind."""

    keys: tuple[WeighedKey, ...]
    asked: dict[str, int]
    over_cap: dict[str, int]

    @property
    def counters(self) -> dict[str, int]:
        """All keys and those left out because too many people share them, in all and by kind; no value."""
        counters = {"keys": sum(self.asked.values()), "keys_over_cap": sum(self.over_cap.values())}
        for kind, count in self.asked.items():
            counters[_ASKED[kind]] = count
        for kind, count in self.over_cap.items():
            counters[_OVER_CAP[kind]] = count
        return counters


def weigh(keys: Iterable[str], counts: KeyCounts, cap: int) -> Weighed:
    """Rarity of each key; keys that more than ``cap`` documents had at the last full build are left out."""
    crowded, kinds = counts.crowded, counts.rarities.kinds
    kept: list[WeighedKey] = []
    asked: dict[str, int] = {}
    over: dict[str, int] = {}
    for key in keys:
        kind = key[0]
        asked[kind] = asked.get(kind, 0) + 1
        if key not in crowded:
            start, worths = kinds[kind]
            kept.append(_weighed((key, worths[key[start:]])))
        elif crowded[key] <= cap:
            kept.append(_weighed((key, counts.rarities.counted(crowded[key]))))
        else:
            over[kind] = over.get(kind, 0) + 1
    return Weighed(tuple(kept), asked, over)


def expected(weighed: Iterable[WeighedKey], population: int) -> int:
    """How many documents these keys may be expected to have, all together."""
    return sum([population >> int(rarity) for _, rarity in weighed])


def affordable(weighed: Iterable[WeighedKey], population: int, budget: int) -> tuple[WeighedKey, ...]:
    """The keys in their order, each that many documents are expected of left out when the budget is spent.

    A key is reckoned to have one document whoever has it, so only what is beyond that is counted."""
    kept: list[WeighedKey] = []
    for each in weighed:
        expected = max((population >> int(each.rarity)) - 1, 0)
        if expected <= budget:
            kept.append(each)
            budget -= expected
    return tuple(kept)


def bits(held: int, of: int) -> int:
    """log2(of / held), rounded to the nearest whole number, at least 1; exact, as floating point is not
    between machines. To round is to halve the whole part of log2(2 * of² / held²)."""
    large, small = 2 * of * of, max(held, 1) ** 2
    whole = large.bit_length() - small.bit_length()
    if whole > 0 and large < small << whole:
        whole -= 1
    return max(1, whole >> 1)
