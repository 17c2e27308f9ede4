"""Which level a pair of values reaches: ordered, named levels, closest first (matching.md 2.3).

Belongs here: values in, level name out. Does not belong here: m, u and bits (``weights.py``), the pairing over
history (``scoring.py``).

None means that one side is missing: neutral, no evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from rapidfuzz.distance import OSA, JaroWinkler

from search_api.matching import normalise
from search_api.matching.nicknames import alike, kindred
from search_api.matching.person import PLACEHOLDER
from search_api.matching.phonetics import metaphone, soundex, undoubled

EXACT, CLOSE, SOUNDS, SIMILAR, OTHER = "exact", "close", "sounds_alike", "similar", "other"
JOINED, NICKNAME, INITIAL, MIDDLE = "joined_or_split", "nickname", "initial", "middle_name"
MISSPELT, SAME_AREA, NEAR_AREA = "misspelt", "same_area", "near_area"
CLOSE_JARO, SIMILAR_JARO = 0.92, 0.82
LONG_NAME = 6
# Names asked for whose levels are kept, and of each the names held.
KEPT_NAMES, MOST_HELD = 2_000, 500

_jaro, _edits = JaroWinkler.normalized_similarity, OSA.distance

NameRule = Callable[[str], str | None]


class NameLevels(dict[str, str]):
    """Levels of held spellings against one asked, each worked out once. Common names are asked for again and again
    and held by many, so the levels of one are kept from question to question (``family_levels``, ``given_levels``).

    ``exact_rule`` decides the levels that are not about spelling, and gives None for the rest.
    """

    def __init__(self, asked: str, exact_rule: NameRule) -> None:
        super().__init__()
        self._asked, self._rule = asked, exact_rule
        self._sound, self._metaphone = soundex(asked), metaphone(asked)

    def __missing__(self, held: str) -> str:
        if len(self) >= MOST_HELD:
            self.clear()
        level = self[held] = self._rule(held) or self._spelling(held.replace(" ", "") if " " in held else held)
        return level

    def _spelling(self, held: str) -> str:
        asked = self._asked
        short = min(len(asked), len(held))
        jaro, edits = _jaro(asked, held, score_cutoff=SIMILAR_JARO), _edits(asked, held, score_cutoff=2)
        if short >= 3 and (edits <= 1 or jaro >= CLOSE_JARO):
            return CLOSE
        if short >= 2 and (
            (asked[0] == held[0] and self._sound == soundex(held)) or self._metaphone == metaphone(held)
        ):
            return SOUNDS
        return SIMILAR if jaro >= SIMILAR_JARO or (edits <= 2 and short >= LONG_NAME) else OTHER


@lru_cache(maxsize=KEPT_NAMES)
def family_levels(asked: str, words: tuple[str, ...]) -> NameLevels:
    """Levels of family names held: exact (joined forms equal), a whole part in common, or by spelling."""
    parts = frozenset(part for part in words if len(part) > 2)
    several = len(words) > 1

    def rule(held: str) -> str | None:
        if asked == held:
            return EXACT
        if " " not in held:
            return JOINED if several and held in parts else None
        if asked == held.replace(" ", ""):
            return EXACT
        return None if parts.isdisjoint(held.split(" ")) else JOINED

    return NameLevels(asked, rule)


@lru_cache(maxsize=KEPT_NAMES)
def given_levels(asked: str, whole: str = "") -> NameLevels:
    """Levels of first given names held: exact, initial, nickname, or by spelling. ``whole``: the given value that
    the name opens, a compound one (Anne Marie)."""

    kin = kindred(asked)

    def rule(held: str) -> str | None:
        joined = held.replace(" ", "") if " " in held else held
        if joined in (asked, whole):
            return EXACT
        if asked[:1] == joined[:1] and (len(asked) == 1 or len(joined) == 1):
            return INITIAL
        return NICKNAME if joined in kin else None

    return NameLevels(asked, rule)


def same_sound(asked: str, held: str) -> bool:
    """Equal but for doubled letters: PDS scores these 1 (Blogs, Bloggs; pds.md 1.5)."""
    return undoubled(asked) == undoubled(held)


def middle_level(asked: Sequence[str], held: Sequence[str]) -> str | None:
    """Middle names in any order: all asked are held, near, agree by initial, or not."""
    if not asked or not held:
        return None
    if all(word in held for word in asked):
        return EXACT if max(map(len, asked)) > 1 else INITIAL
    worst = EXACT
    for word in asked:
        level = _best_middle(word, held)
        if _MIDDLE_ORDER[level] > _MIDDLE_ORDER[worst]:
            worst = level
    return worst


_MIDDLE_ORDER = {EXACT: 0, CLOSE: 1, INITIAL: 2, OTHER: 3}


def _best_middle(word: str, held: Sequence[str]) -> str:
    if word in held:
        return EXACT
    if any(min(len(word), len(other)) == 1 and word[0] == other[0] for other in held):
        return INITIAL
    near = any(JaroWinkler.normalized_similarity(word, other) >= 0.85 or alike(word, other) for other in held)
    return CLOSE if near else OTHER


def birth_level(low: int, high: int, held: int) -> str | None:
    """Level of a stored date (yyyymmdd, 00 unknown) against one date or a range."""
    if not held or normalise.placeholder_date(held):
        return None
    if low == high:
        return None if not low or normalise.placeholder_date(low) else _birth_pair(low, held)
    if low <= held <= high:
        return "partial_same_year" if low // 10000 == high // 10000 else None
    return OTHER


def _birth_pair(asked: int, held: int) -> str:
    if asked == held and held % 100:
        return "exact_1_january" if held % 10000 == 101 else EXACT
    if not asked % 100 or not held % 100:
        return _partial(asked, held)
    year, month, day = held // 10000, held // 100 % 100, held % 100
    asked_year, asked_month, asked_day = asked // 10000, asked // 100 % 100, asked % 100
    if (asked_year, asked_month, asked_day) == (year, day, month):
        return "day_month_swapped"
    if OSA.distance(str(asked), str(held), score_cutoff=1) <= 1:
        return "one_digit"
    if (asked_year == year) + (asked_month == month) + (asked_day == day) == 2:
        return "two_parts"
    return "within_5_years" if abs(asked_year - year) <= 5 else OTHER


def _partial(asked: int, held: int) -> str:
    months = (asked // 100 % 100, held // 100 % 100)
    if asked // 10000 != held // 10000:
        return "within_5_years" if abs(asked // 10000 - held // 10000) <= 5 else OTHER
    if not all(months):
        return "partial_same_year"
    return "partial_same_month" if months[0] == months[1] else "within_5_years"


def postcode_level(asked: str, held: Sequence[tuple[str, str]]) -> tuple[str, bool] | None:
    """Closest level over all addresses ever held, and whether a previous one made it."""
    return places_level(place_rule(asked), held)


PlaceRule = Callable[[str], tuple[int, str] | None]


def places_level(rule: PlaceRule, held: Sequence[tuple[str, str]]) -> tuple[str, bool] | None:
    """The same by a rule for what was asked."""
    reached = min([place for code, marks in held if (place := place_level(rule, code, marks))], default=None)
    return (reached[1], reached[2]) if reached else None


def place_level(rule: PlaceRule, code: str, marks: str) -> tuple[int, str, bool] | None:
    """How near one address is, its level, and whether it counts as a previous one that made it."""
    reached = rule(code)
    if not reached:
        return None
    rank, level = (1, "exact_previous") if marks and reached == _SAME_PLACE else reached
    return rank, level, bool(marks) and level != OTHER


_SAME_PLACE, _OTHER_PLACE = (0, EXACT), (5, OTHER)


def place_rule(asked: str) -> PlaceRule:
    """How near a held code is to one asked, 0 the nearest; None where one of them says nothing."""
    if not asked or normalise.says_nothing(asked):
        return lambda _: None
    foreign, whole = normalise.foreign_area(asked), normalise.is_postcode(asked)
    sector, outcode = asked[:-2], asked[:-3]

    def rule(held: str) -> tuple[int, str] | None:
        if normalise.says_nothing(held):
            return None
        if foreign:
            return _foreign_rank(foreign, normalise.foreign_area(held) or "")
        if asked == held:
            return _SAME_PLACE
        if _edits(asked, held, score_cutoff=1) <= 1:
            return 2, "one_character"
        if whole and outcode == held[:-3] and normalise.is_postcode(held):
            return (3, "same_sector") if sector == held[:-2] else (4, "same_outcode")
        return _OTHER_PLACE

    return rule


def _foreign_rank(asked: str, held: str) -> tuple[int, str]:
    """A code of another country names a town rather than a street, so it tells less."""
    if asked == held:
        return 0, SAME_AREA
    return (2, NEAR_AREA) if _edits(asked, held, score_cutoff=1) <= 1 else _OTHER_PLACE


def contact_level(
    asked: Sequence[str], held: Sequence[tuple[str, str]], near_name: str, most_edits: int
) -> tuple[str, bool] | None:
    """Phones or e-mails: any equal, any within ``most_edits``, or none. Held placeholders say nothing."""
    usable = [(value, marks) for value, marks in held if PLACEHOLDER not in marks]
    if not asked or not usable:
        return None
    for value, marks in usable:
        if value in asked:
            return EXACT, bool(marks)
    for value, marks in usable:
        if any(OSA.distance(value, other, score_cutoff=most_edits) <= most_edits for other in asked):
            return near_name, bool(marks)
    return OTHER, False


def near_name(asked: str, held: str) -> bool:
    """Equal, near in spelling or sound, or a short form: for middle names."""
    if asked == held or alike(asked, held) or _jaro(asked, held, score_cutoff=CLOSE_JARO) >= CLOSE_JARO:
        return True
    return asked[:1] == held[:1] and (same_sound(asked, held) or soundex(asked) == soundex(held))


def premise_level(asked: str, held: Sequence[str]) -> str:
    """Openings of address lines: equal, the same house number and street start, or other."""
    if asked in held:
        return EXACT
    tokens = set(asked.split())
    for text in held:
        common = tokens & set(text.split())
        if any(token[0].isdigit() for token in common) and len(common) > 1:
            return CLOSE
    return OTHER


def homophones(asked: str, held: str) -> bool:
    """Soundex-equal: PDS's homophones."""
    return soundex(asked) == soundex(held)
