"""Which level a pair of values reaches: ordered, named levels, closest first (matching.md 2.3).

Belongs here: values in, level name out; batch comparison of one name with many. Does not belong
here: m, u and bits (``weights.py``), the pairing over history (``scoring.py``).

None means that one side is missing: neutral, no evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rapidfuzz.distance import OSA, JaroWinkler
from rapidfuzz.process import cdist

from search_api.matching import normalise
from search_api.matching.nicknames import alike
from search_api.matching.person import PLACEHOLDER
from search_api.matching.phonetics import metaphone, soundex, undoubled

EXACT, CLOSE, SOUNDS, SIMILAR, OTHER = "exact", "close", "sounds_alike", "similar", "other"
JOINED, NICKNAME, INITIAL, MIDDLE = "joined_or_split", "nickname", "initial", "middle_name"
MISSPELT, SAME_AREA, NEAR_AREA = "misspelt", "same_area", "near_area"
CLOSE_JARO, SIMILAR_JARO = 0.92, 0.82
LONG_NAME = 6
# Fewer spellings than this are compared one by one: to set up a batch takes as long as twenty comparisons.
FEW = 20

NameRule = Callable[[str, str], str | None]


def scale(asked: str, held: Iterable[str], exact_rule: NameRule) -> dict[str, str]:
    """Level of each distinct held spelling against one asked: batch comparators, no loop per pair.

    ``exact_rule`` decides the levels that are not about spelling, and gives None for the rest.
    """
    levels: dict[str, str] = {}
    rest: list[str] = []
    for text in set(held):
        level = exact_rule(asked, text)
        if level is None:
            rest.append(text)
        else:
            levels[text] = level
    if rest:
        levels.update(zip(rest, _spelling_levels(asked, rest), strict=True))
    return levels


def _spelling_levels(asked: str, held: Sequence[str]) -> list[str]:
    joined = [text.replace(" ", "") for text in held]
    if len(joined) < FEW:
        jaro_of, edits_of = JaroWinkler.normalized_similarity, OSA.distance
        return [
            _spelling_level(asked, text, jaro_of(asked, text), edits_of(asked, text, score_cutoff=3)) for text in joined
        ]
    jaro = cdist([asked], joined, scorer=JaroWinkler.normalized_similarity)[0].tolist()
    edits = cdist([asked], joined, scorer=OSA.distance, score_cutoff=3)[0].tolist()
    return [_spelling_level(asked, *each) for each in zip(joined, jaro, edits, strict=True)]


def _spelling_level(asked: str, held: str, jaro: float, edits: int) -> str:
    short = min(len(asked), len(held))
    if short >= 3 and (edits <= 1 or jaro >= CLOSE_JARO):
        return CLOSE
    if short >= 2 and (soundex(asked) == soundex(held) or metaphone(asked) == metaphone(held)):
        return SOUNDS
    if jaro >= SIMILAR_JARO or (edits <= 2 and short >= LONG_NAME):
        return SIMILAR
    return OTHER


def family_rule(asked_parts: Sequence[str]) -> NameRule:
    """Exact (joined forms equal) or a whole part in common; for ``scale`` on family names."""
    parts = frozenset(part for part in asked_parts if len(part) > 2)

    def rule(asked: str, held: str) -> str | None:
        words = held.split(" ")
        if asked == held or asked == "".join(words):
            return EXACT
        several = len(words) > 1 or len(asked_parts) > 1
        return JOINED if several and not parts.isdisjoint(words) else None

    return rule


def given_rule(asked: str, held: str) -> str | None:
    """Exact, initial or nickname; for ``scale`` on first given names."""
    joined = held.replace(" ", "")
    if asked == joined:
        return EXACT
    if asked[:1] == joined[:1] and (len(asked) == 1 or len(joined) == 1):
        return INITIAL
    return NICKNAME if alike(asked, joined) else None


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
    if not asked or not held or normalise.says_nothing(asked):
        return None
    usable = [(code, marks) for code, marks in held if not normalise.says_nothing(code)]
    if not usable:
        return None
    ranked = [(*_postcode_rank(asked, code, bool(marks)), bool(marks)) for code, marks in usable]
    best = min(ranked)
    return best[1], best[2] and best[1] != OTHER


def _postcode_rank(asked: str, held: str, previous: bool) -> tuple[int, str]:
    foreign = normalise.foreign_area(asked)
    if foreign:
        return _foreign_rank(foreign, normalise.foreign_area(held) or "")
    if asked == held:
        return (1, "exact_previous") if previous else (0, EXACT)
    if OSA.distance(asked, held, score_cutoff=1) <= 1:
        return 2, "one_character"
    if normalise.is_postcode(asked) and normalise.is_postcode(held):
        if asked[:-2] == held[:-2]:
            return 3, "same_sector"
        if asked[:-3] == held[:-3]:
            return 4, "same_outcode"
    return 5, OTHER


def _foreign_rank(asked: str, held: str) -> tuple[int, str]:
    """A code of another country names a town rather than a street, so it tells less."""
    if asked == held:
        return 0, SAME_AREA
    return (2, NEAR_AREA) if OSA.distance(asked, held, score_cutoff=1) <= 1 else (5, OTHER)


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
    if asked == held or same_sound(asked, held) or alike(asked, held):
        return True
    return JaroWinkler.normalized_similarity(asked, held) >= CLOSE_JARO or soundex(asked) == soundex(held)


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
