"""Keys of a second look, asked when the first found nobody who is likely meant.

Belongs here: which slips a wide question is then allowed, several at once, in the order they pay. Does
not belong here: the keys of the first look and the formats (``blocking.py``), what a key is worth and how
many a look may cost (``rarity.py``).

Nothing here is indexed for its own sake but the pair of sounds without a date: the other keys are those of the
first look with another date or another spelling in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from functools import lru_cache
from string import ascii_uppercase

from search_api.matching import normalise
from search_api.matching.asked import Asked
from search_api.matching.blocking import SEXES, Codes, NameCounts, area_of, codes_of, pairs, sexes, swapped
from search_api.matching.phonetics import code

NEIGHBOURS = 12
# Sounds near a name that are asked for in pairs with those near the other name.
NEAR_IN_PAIRS = 4
# Anybody born on the day is looked at in a population of at most so many: seventeen people.
ANYBODY_MOST = 500_000
INITIALS = ascii_uppercase + "_"
OLDEST_YEAR, LAST_YEAR = 1890, 2040
_OTHERS = {digit: tuple(each for each in "0123456789" if each != digit) for digit in "0123456789"}


def keys(asked: Asked, counts: NameCounts) -> Iterator[str]:
    """Keys in the order they pay; some are those of the first look again."""
    family, given = codes_of(asked, counts)
    near = near_codes(asked, counts)
    yield from (f"n{pair}" for pair in pairs(family, given))
    yield from (f"n{min(one, two)}{max(one, two)}" for one, two in near_pairs(family, given, near))
    yield from _places(asked, (*family.own[:1], *given.own[:1]), (*near[0], *near[1]))
    day = asked.birth.day if asked.birth else 0
    if day and not normalise.placeholder_date(day):
        yield from _same_day(asked, day, (*near[0], *near[1]))
        if counts.population <= ANYBODY_MOST:
            yield from (f"c{day:08d}{letter}{initial}" for initial in INITIALS for letter in sexes(asked.sex))
        yield from _other_days(day, (*family.own[:1], *given.own[:1]))


def near_codes(asked: Asked, counts: NameCounts) -> tuple[list[str], list[str]]:
    """Sounds of names one edit away from the family name and the first given name, whoever bears them and
    whether as family name or given name: the two may have been exchanged as well."""
    return _near(asked.family.joined, counts), _near(asked.first, counts)


def _near(word: str, counts: NameCounts) -> list[str]:
    if not word:
        return []
    found = [*counts.family_spelling.neighbours(word, NEIGHBOURS), *counts.given_spelling.neighbours(word, NEIGHBOURS)]
    found.sort(key=lambda pair: (-pair[1], pair[0]))
    return [each for each in dict.fromkeys(code(name) for name, _ in found) if each != code(word)]


def near_pairs(family: Codes, given: Codes, near: tuple[list[str], list[str]]) -> Iterator[tuple[str, str]]:
    """Both names misspelt, or one: of each the sounds as asked and those near."""
    families, givens = (*family.own, *near[0][:NEAR_IN_PAIRS]), (*given.own, *near[1][:NEAR_IN_PAIRS])
    yield from ((one, two) for one in families for two in givens)


def _places(asked: Asked, own: Iterable[str], near: Iterable[str]) -> Iterator[str]:
    """The place as asked with other spellings and with anybody; a slip in it with a name as asked."""
    place = "" if asked.pseudo_postcode else normalise.unit(asked.postcode)
    if not place:
        return
    yield from (f"p{place}{each}" for each in near)
    yield f"l{place}"
    yield from (f"p{other}{name}" for name in own for other in exchanges(place))


@lru_cache(maxsize=4096)
def exchanges(text: str) -> tuple[str, ...]:
    """Two characters beside each other exchanged, and one digit of a code of digits wrong."""
    changed = [text[:at] + text[at + 1] + text[at] + text[at + 2 :] for at in range(len(text) - 1)]
    if text.isdigit():
        changed += [text[:at] + other + text[at + 1 :] for at in range(len(text)) for other in _OTHERS[text[at]]]
    return tuple(each for each in dict.fromkeys(changed) if each != text and normalise.unit(each))


def _same_day(asked: Asked, day: int, near: Iterable[str]) -> Iterator[str]:
    """The day as asked with other spellings, and with the family name's initial; day and month exchanged."""
    yield from (f"a{day:08d}{each}" for each in near)
    if asked.family.joined:
        yield from (f"c{day:08d}{letter}{asked.family.joined[0]}" for letter in SEXES)
    other, place = swapped(day), area_of(asked)
    if other and place:
        yield f"b{other:08d}{place}"


def _other_days(day: int, codes: Iterable[str]) -> Iterator[str]:
    """One digit of the date wrong, or two beside each other exchanged; one name as asked."""
    yield from (f"a{each}{name}" for name in codes for each in slips(day))


@lru_cache(maxsize=4096)
def slips(day: int) -> tuple[str, ...]:
    """Dates that a slip of one digit, or an exchange of two beside each other, makes of this one."""
    text = f"{day:08d}"
    changed = [text[:at] + other + text[at + 1 :] for at in range(7, -1, -1) for other in _OTHERS[text[at]]]
    changed += [text[:at] + text[at + 1] + text[at] + text[at + 2 :] for at in range(7)]
    return tuple(each for each in dict.fromkeys(changed) if each != text and _lived(each))


def _lived(text: str) -> bool:
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:])
    if not OLDEST_YEAR <= year <= LAST_YEAR:
        return False
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
