"""What a document may be worth by the keys it has, before its record is fetched and compared.

Belongs here: signs on keys, by which the sum that ranks a document also tells which keys it has; the odds that
these lead one to expect. Does not belong here: formats and rarities of keys (``blocking.py``, ``rarity.py``), how
many documents are compared (``looking.py``), evidence (``scoring.py``).

Among sixty million people two hundred and more share a day and one other thing with any question; to compare all
takes ten times as long as to find them. Keys are known beforehand: of a document with the day and the sounds of both
names much may be expected, of one with the day and an initial nearly nothing.

The sum of rarities is of whole numbers, and an engine's 32-bit score is exact to 24 bits. Each telling key therefore
adds, besides its rarity, a fraction of its own. It also decides between documents of equal rarity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import NamedTuple

from search_api.matching import normalise
from search_api.matching.asked import Asked
from search_api.matching.blocking import Codes, area_of, sexes
from search_api.matching.lettering import Lettering
from search_api.matching.rarity import (
    DAYS,
    PARTS,
    SEXES,
    SIGNS,
    YEARS,
    KeyCounts,
    Rarities,
    Weighed,
    WeighedKey,
)
from search_api.matching.weights import PromiseRule, Weights

FAMILY, GIVEN, AREA, INITIAL, YEAR, HOME_FAMILY, HOME_GIVEN = (1 << at for at in range(7))
_VARIANTS = tuple(1 << at for at in range(7, SIGNS))
_HOME = HOME_FAMILY | HOME_GIVEN
_DAY_BITS = math.log2(DAYS)
_SEX_BITS = 1.0


@dataclass(frozen=True)
class Signs:
    """The sign of each telling key, and which signs are of variants of a name."""

    of: dict[str, int]
    family_variants: int
    given_variants: int


def signs(asked: Asked, family: Codes, given: Codes) -> Signs | None:
    """The telling keys of a question; None where there is no whole day, or both names sound alike: their keys are
    then one and the same."""
    day = asked.birth.day if asked.birth else 0
    if not day or normalise.placeholder_date(day) or family.own[:1] == given.own[:1]:
        return None
    found: dict[str, int] = {}
    place = "" if asked.pseudo_postcode else normalise.unit(asked.postcode)
    for codes, dated, placed in ((family, FAMILY, HOME_FAMILY), (given, GIVEN, HOME_GIVEN)):
        for code in codes.own[:1]:
            found[f"a{day:08d}{code}"] = dated
            if place:
                found[f"p{place}{code}"] = placed
    if area := area_of(asked):
        found[f"b{day:08d}{area}"] = AREA
    if asked.first:
        found.update((f"c{day:08d}{letter}{asked.first[0]}", INITIAL) for letter in sexes(asked.sex))
    if family.own and given.own:
        pair = "".join(sorted((family.own[0], given.own[0])))
        found[f"e{day // 10000:04d}{pair}"] = YEAR
    return _with_variants(found, day, family, given)


def _with_variants(found: dict[str, int], day: int, family: Codes, given: Codes) -> Signs:
    """The signs that are left go to variants, to the two names in turn."""
    free, masks = iter(_VARIANTS), [0, 0]
    for turn in zip_longest(family.all[1:], given.all[1:]):
        for name, code in enumerate(turn):
            key = f"a{day:08d}{code}"
            if code is None or key in found:
                continue
            sign = next(free, 0)
            if not sign:
                return Signs(found, *masks)
            found[key] = sign
            masks[name] |= sign
    return Signs(found, *masks)


def signed(keys: Sequence[WeighedKey], marks: Signs) -> tuple[WeighedKey, ...]:
    """The same keys, each with its sign as a fraction of its rarity."""
    sign = marks.of.get
    return tuple([WeighedKey(key, rarity + sign(key, 0) / PARTS) for key, rarity in keys])


class Promise(dict[int, float]):
    """Odds that the one meant is a document, by what its keys are worth; each worked out once a question."""

    def __init__(self, asked: Asked, marks: Signs, weighed: Weighed, shares: Shares) -> None:
        super().__init__()
        self._marks = marks
        self._shares, self._rule = shares, shares.rule
        self._untold_of: dict[int, tuple[bool, bool]] = {}
        self._distant_of: dict[tuple[int, bool, bool], float] = {}
        self._placed = bool(area_of(asked))
        self._named = bool(asked.family.joined), bool(asked.first)
        self._rarity = {sign: int(rarity) for key, rarity in weighed.keys if (sign := marks.of.get(key, 0))}
        self._most = max((int(rarity) for _, rarity in weighed.keys), default=0)
        self._day = f"a{asked.birth.day:08d}" if asked.birth else ""
        self._unsigned = weighed.keys
        self._lettering = Lettering(_families(asked), _givens(asked))

    def __missing__(self, worth: int) -> float:
        mark, rest = self._read(worth)
        # More than one key without a sign: variants of both names, or of a date. There is no telling, so compare.
        odds = self[worth] = math.inf if rest > self._most else 2.0 ** self._bits(mark, rest)
        return odds

    @cached_property
    def _alone(self) -> dict[int, float]:
        """Bits for a document that has one key, and that without a sign, by the rarity of the key."""
        found: dict[int, float] = {}
        for key, worth in self._unsigned:
            if key not in self._marks.of:
                rarity = int(worth)
                found[rarity] = max(found.get(rarity, -math.inf), rarity + self._slips(key))
        return found

    def _slips(self, key: str) -> float:
        """Bits, beside its rarity, for what must be wrong in a question where only this key is right."""
        shares = self._shares
        neither = max(shares.family.neither, shares.given.neither)
        if key.startswith(self._day):
            return shares.birth - _DAY_BITS + self._rule.unsigned_bits + neither
        if key[0] == "a":
            return self._rule.exchanged_bits + neither
        return shares.birth_slip + math.log2(self._rule.variant) if key[0] in "ep" else 0.0

    def near(self, worth: int) -> bool:
        """Whether both names asked for may be near to those held, or the given name where the area agrees."""
        mark, rest = self._read(worth)
        if rest > 0:
            return True
        family = bool(mark & (FAMILY | self._marks.family_variants)) or not self._named[0]
        given = bool(mark & (GIVEN | INITIAL | self._marks.given_variants)) or not self._named[1]
        return given and (family or bool(mark & AREA))

    def distant(self, worth: int, held: int) -> float | None:
        """Odds of a document if the letters of its names (``held``) say that a name of which no key tells is wholly another
        one; None where they do not, or more than names speaks for it."""
        family, given = self._untold(worth)
        family = family and not self._lettering.family_near(held)
        given = given and not self._lettering.given_near(held)
        return self._distant(worth, family, given) if family or given else None

    def _untold(self, worth: int) -> tuple[bool, bool]:
        """Whether family name and given name were asked for and no key tells of them, nor of the home."""
        found = self._untold_of.get(worth)
        if found is None:
            mark, rest = self._read(worth)
            told = rest > 0 or not mark or bool(mark & (AREA | _HOME | YEAR))
            family = self._named[0] and not mark & (FAMILY | self._marks.family_variants)
            given = self._named[1] and not mark & (GIVEN | self._marks.given_variants)
            found = self._untold_of[worth] = (not told and family, not told and given)
        return found

    def _distant(self, worth: int, family: bool, given: bool) -> float:
        """The odds of a whole birth date, of the names that keys tell of, and of the others being another name."""
        key = worth, family, given
        odds = self._distant_of.get(key)
        if odds is None:
            shares, marks, mark = self._shares, self._marks, self._read(worth)[0]
            names = (
                (shares.family, family, FAMILY, marks.family_variants),
                (shares.given, given, GIVEN, marks.given_variants),
            )
            bits = sum(
                [
                    name.other if other else self._name(name, mark & own, mark & variants, 0)
                    for name, other, own, variants in names
                ],
                0.0,
            )
            odds = self._distant_of[key] = 2.0 ** (shares.prior + shares.birth + _SEX_BITS + bits)
        return odds

    def _read(self, worth: int) -> tuple[int, int]:
        """Signs of a document's keys, and the rarity of its keys without one."""
        mark = worth % PARTS
        return mark, worth // PARTS - sum([rarity for sign, rarity in self._rarity.items() if mark & sign])

    def _bits(self, mark: int, rest: int) -> float:
        shares, marks = self._shares, self._marks
        if rest > 0 and not mark:
            # Several keys, though not of more worth than one may have.
            return shares.prior + self._place(mark) + self._alone.get(rest, math.inf)
        found = shares.prior + self._date(mark, rest) + self._place(mark)
        found += self._name(shares.family, mark & (FAMILY | HOME_FAMILY | YEAR), mark & marks.family_variants, rest)
        given = mark & (GIVEN | HOME_GIVEN | YEAR)
        found += self._name(shares.given, given, mark & marks.given_variants, rest)
        if mark & INITIAL:
            found += _SEX_BITS
            if not given and not mark & marks.given_variants:
                found += self._rule.kept_initial_bits + self._rarity[INITIAL] - _DAY_BITS - math.log2(SEXES)
        return found

    def _name(self, name: NameShares, own: int, variants: int, rest: int) -> float:
        """Bits for a name that sounds as asked, else as one of its variants, else neither."""
        if own:
            return name.own
        if variants:
            return max(self._rarity[sign] for sign in _VARIANTS if variants & sign) - _DAY_BITS + name.variant
        return max(name.neither, rest - _DAY_BITS + self._rule.unsigned_bits if rest > 0 else name.neither)

    def _date(self, mark: int, rest: int) -> float:
        if rest > 0 or mark & ~(YEAR | _HOME):
            return self._shares.birth
        return self._shares.birth_slip + (math.log2(YEARS) if mark & YEAR else 0.0)

    def _place(self, mark: int) -> float:
        if mark & _HOME:
            return self._shares.place
        if mark & AREA:
            return self._rule.area_bits
        return self._rule.elsewhere_bits if self._placed else 0.0


class NameShares(NamedTuple):
    """Bits for a name held that sounds as asked, that is a variant (beside its own rarity), that is neither and yet near,
    and that is another name."""

    own: float
    variant: float
    neither: float
    other: float


class Shares(NamedTuple):
    """Bits for what a key tells: of the names, the day and a slip in it, the postcode; and before anything is known."""

    prior: float
    family: NameShares
    given: NameShares
    birth: float
    birth_slip: float
    place: float
    rule: PromiseRule


def shares(
    weights: Weights, counts: KeyCounts, codes: tuple[Codes, Codes], unknown: tuple[bool, bool], prior: float
) -> Shares:
    """From the weights in force and from how many people have names of these sounds; ``unknown``: whether hardly
    anybody has the family name, the given name."""
    rule = weights.promise
    variants = [rule.unknown_variant if slip else rule.variant for slip in unknown]
    neither = (
        rule.unknown_family_neither if unknown[0] else rule.family_neither,
        rule.unknown_given_neither if unknown[1] else rule.given_neither,
    )
    others = [weights.levels[name]["other"].weight for name in ("family", "given")]
    family, given = (
        _name_shares(name, counts.rarities, expected)
        for name, expected in zip(codes, zip(variants, neither, others, strict=True), strict=True)
    )
    birth = weights.levels["birth_date"]["exact"]
    slip = math.log2(max(1.0 - birth.m, rule.least_slips))
    return Shares(prior, family, given, birth.weight, slip, weights.levels["postcode"]["exact"].weight, rule)


def _name_shares(codes: Codes, rarities: Rarities, expected: tuple[float, float, float]) -> NameShares:
    """``expected``: shares of a variant and of neither, and the bits of another name."""
    variant, neither, other = expected
    own = float(rarities.sounding(codes.own[0])) if codes.own else 0.0
    several = max(len(codes.all) - 1, 1)
    return NameShares(own, math.log2(variant / several), math.log2(neither), other)


def _families(asked: Asked) -> list[str]:
    """The family name asked for, and its parts: one of them is often held alone."""
    return [asked.family.joined, *(word for word in asked.family.words if len(word) > 2)]


def _givens(asked: Asked) -> list[str]:
    """The given names asked for: any of them may be held as the first."""
    return [*asked.words, *(name.joined for name in asked.given)]
