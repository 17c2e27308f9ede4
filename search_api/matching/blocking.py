"""Blocking keys of a question: many narrow ANDs, of which the index takes the OR.

Belongs here: which keys a question has in a mode, and the variants asked (swaps, nicknames,
spelling neighbours, sounds). Does not belong here: the documents' side (``index/documents.py``;
formats below must be the same, a test compares them), what a key is worth (``rarity.py``), engines.

Formats, each one word: a{yyyymmdd}{code}  b{yyyymmdd}{area}  c{yyyymmdd}{sex}{initial}
e{yyyy}{code}{code}  n{code}{code} (codes sorted)  p{postcode}{code}  l{postcode}
t{digits}  @{e-mail}. The area is the outward part of a postcode, or a foreign code; sex is M, F, or U where it is
neither. A key with a missing part is skipped, never widened (matching.md 2.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from search_api.matching import normalise
from search_api.matching.asked import OPEN_HIGH, Asked, Span
from search_api.matching.nicknames import related
from search_api.matching.normalise import EMPTY, Name
from search_api.matching.phonetics import code, sibling_codes
from search_api.matching.questions import Mode

MOST_DAYS = 31
MOST_YEARS = 130
LAST_YEAR = 2100
NICKNAME_CODES = 6
NEIGHBOUR_CODES = 3
NEIGHBOURS = 6
SEXES = "MFU"
# Names asked for whose codes are kept.
KEPT_CODES = 20_000


class Spelling(Protocol):
    """Names one edit away in the population, most borne first."""

    def neighbours(self, word: str, limit: int) -> list[tuple[str, int]]: ...


class NameCounts(Protocol):
    """What blocking asks of the name frequencies."""

    @property
    def population(self) -> int: ...
    @property
    def family(self) -> dict[str, int]: ...
    @property
    def given(self) -> dict[str, int]: ...
    @property
    def family_spelling(self) -> Spelling: ...
    @property
    def given_spelling(self) -> Spelling: ...
    @property
    def kept_codes(self) -> dict[tuple[Name, ...], Codes]: ...


@dataclass(frozen=True)
class Codes:
    """Sound codes of a name as asked, then those of its variants."""

    own: tuple[str, ...]
    variants: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Own codes first."""
        return self.own + self.variants


def keys(asked: Asked, mode: Mode, counts: NameCounts, codes: tuple[Codes, Codes] | None = None) -> list[str]:
    """Keys of a fuzzy or wide question, distinct, in a steady order; ``codes`` where they are known already."""
    if mode is Mode.FUZZY and asked.emails:
        return [f"@{value}" for value in asked.emails]
    family, given = codes or codes_of(asked, counts)
    found = list(_dated(asked, family, given, mode))
    found += _placed(asked, family, given, mode)
    if mode is Mode.WIDE:
        found += [f"t{value}" for value in asked.phones]
        found += [f"@{value}" for value in asked.emails]
        if not asked.birth or not asked.birth.day:
            found += [f"n{pair}" for pair in pairs(family, given)]
    return list(dict.fromkeys(found))


def first_keys(asked: Asked, family: Codes, given: Codes) -> list[str]:
    """Of the keys of a wide question with these sounds those of the day or the home and a sound, and of the day and the
    area. Empty unless the question has both names, a whole birth date and a postcode."""
    day = asked.birth.day if asked.birth else 0
    placed = list(_placed(asked, family, given, Mode.WIDE))
    if not (day and placed and family.own and given.own) or normalise.placeholder_date(day):
        return []
    dated = [key for key in _day_keys(asked, day, (*family.all, *given.all)) if key[0] != "c"]
    return list(dict.fromkeys([*dated, *placed]))


def own_codes(asked: Asked) -> tuple[Codes, Codes]:
    """Sound codes of the names as they are asked for, without variants."""
    return Codes(_own((asked.family,)), ()), Codes(_own_given(asked), ())


def codes_of(asked: Asked, counts: NameCounts) -> tuple[Codes, Codes]:
    """Sound codes of the family name and of the given names asked for."""
    return _family_codes(asked, counts), _given_codes(asked, counts)


def _dated(asked: Asked, family: Codes, given: Codes, mode: Mode) -> Iterator[str]:
    """Keys that hold a birth date or a part of one."""
    if asked.birth is None:
        return
    wide = mode is Mode.WIDE
    for day in _days(asked.birth):
        yield from _day_keys(asked, day, (*family.all, *given.all))
    both = tuple(pairs(family, given))
    if (day := asked.birth.day) and wide:
        yield from (f"a{swapped(day):08d}{each}" for each in (*family.all, *given.all) if swapped(day))
    if wide or not asked.birth.day or normalise.placeholder_date(asked.birth.day):
        yield from (f"e{year:04d}{pair}" for year in years(asked.birth) for pair in both)


def _day_keys(asked: Asked, day: int, codes: Iterable[str]) -> Iterator[str]:
    yield from (f"a{day:08d}{each}" for each in codes)
    if place := area_of(asked):
        yield f"b{day:08d}{place}"
    if asked.first:
        yield from (f"c{day:08d}{letter}{asked.first[0]}" for letter in sexes(asked.sex))


def area_of(asked: Asked) -> str | None:
    return None if asked.pseudo_postcode else normalise.area(asked.postcode)


def sexes(asked: str) -> str:
    """Letters of the records that a sex asked for does not rule out."""
    return f"{asked}U" if asked in ("M", "F") else SEXES


def _placed(asked: Asked, family: Codes, given: Codes, mode: Mode) -> Iterator[str]:
    """Keys of the full postcode; in fuzzy mode only where no single day leads."""
    place = "" if asked.pseudo_postcode else normalise.unit(asked.postcode)
    if not place or (mode is Mode.FUZZY and asked.birth is not None and asked.birth.day):
        return
    yield from (f"p{place}{each}" for each in (*family.all, *given.all))


def pairs(family: Codes, given: Codes) -> Iterator[str]:
    """Both codes in sorted order; variants of one side at a time."""
    for one in family.own:
        yield from (min(one, two) + max(one, two) for two in given.all)
    for one in family.variants:
        yield from (min(one, two) + max(one, two) for two in given.own)


def _days(span: Span) -> Iterator[int]:
    """Each whole day of a short range; nothing for placeholders and long ranges."""
    try:
        first, last = _as_date(span.low), _as_date(span.high)
    except ValueError:
        return
    if (last - first).days < MOST_DAYS:
        for offset in range((last - first).days + 1):
            day = first + timedelta(days=offset)
            number = day.year * 10000 + day.month * 100 + day.day
            if not normalise.placeholder_date(number):
                yield number


def _as_date(number: int) -> date:
    return date(number // 10000, number // 100 % 100, number % 100)


def years(span: Span) -> range:
    """Each year of a range; an open end is cut to the years that people live in."""
    high = LAST_YEAR if span.high == OPEN_HIGH else span.high // 10000
    low = max(span.low // 10000, high - 2 * MOST_YEARS if span.high == OPEN_HIGH else high - MOST_YEARS)
    return range(low, high + 1)


def swapped(day: int) -> int:
    """The date with day and month exchanged, or 0 where that is no other date."""
    month, dom = day // 100 % 100, day % 100
    return day // 10000 * 10000 + dom * 100 + month if dom <= 12 and dom != month else 0


def _own(names: Iterable[Name]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code(form) for name in names for form in name.forms if len(form) > 1))


def _family_codes(asked: Asked, counts: NameCounts) -> Codes:
    """Kept, as common names are asked for again and again; a family name is told from given ones by EMPTY before it,
    which is never a given name asked for."""
    return _kept(counts, (EMPTY, asked.family), lambda: _new_family_codes(asked, counts))


def _given_codes(asked: Asked, counts: NameCounts) -> Codes:
    return _kept(counts, asked.given, lambda: _new_given_codes(asked, counts))


def _kept(counts: NameCounts, names: tuple[Name, ...], make: Callable[[], Codes]) -> Codes:
    kept = counts.kept_codes
    codes = kept.get(names)
    if codes is None:
        if len(kept) >= KEPT_CODES:
            kept.clear()
        codes = kept[names] = make()
    return codes


def _new_family_codes(asked: Asked, counts: NameCounts) -> Codes:
    own = _own((asked.family,))
    extra = [each for form in asked.family.forms for each in sibling_codes(form)]
    extra += _neighbours(asked.family.joined, counts.family, counts.family_spelling, own)
    return Codes(own, tuple(each for each in dict.fromkeys(extra) if each not in own))


def _own_given(asked: Asked) -> tuple[str, ...]:
    own = _own(asked.given)
    if len(asked.given) == 1 and len(asked.words) > 1:
        own = tuple(dict.fromkeys((*own, *(code(word) for word in asked.words if len(word) > 1))))
    return own


def _new_given_codes(asked: Asked, counts: NameCounts) -> Codes:
    own = _own_given(asked)
    if not asked.first:
        return Codes(own, ())
    nick = dict.fromkeys(code(other) for other in related(asked.first))
    extra = [each for each in nick if each not in own][:NICKNAME_CODES]
    extra += sibling_codes(asked.first)
    extra += _neighbours(asked.first, counts.given, counts.given_spelling, own)
    return Codes(own, tuple(each for each in dict.fromkeys(extra) if each not in own))


def _neighbours(word: str, bearers: dict[str, int], spelling: Spelling, own: tuple[str, ...]) -> list[str]:
    """Codes of better known spellings one edit away: a rare spelling may be a slip of a common one."""
    if not word:
        return []
    borne = bearers.get(word, 0)
    near = [code(name) for name, count in spelling.neighbours(word, NEIGHBOURS) if count >= borne]
    return [each for each in dict.fromkeys(near) if each not in own][:NEIGHBOUR_CODES]
