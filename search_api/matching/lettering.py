"""Which letters a person's names have: enough to see that a name is not near another without reading either.

Belongs here: the letters as bits, and when they rule a name out. Does not belong here: which level two names reach
(``comparisons.py``), who is asked about it (``promise.py``).

Among sixty million people two dozen share a birth date and a given name with any question. Who of them has a family
name near the one asked for is seen only when their record is fetched and compared, and that is most of what a search
costs; but a name within a slip or two of another lacks at most two or three of its letters. The letters of all names
ever held stand beside the document: family names in the lower half, given names in the upper.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

_A = ord("A")
# Set where letters rule nothing out: no name, a placeholder, an initial, letters beyond A to Z.
ANY = 1 << 26
HALF = 27
_MASK = (1 << HALF) - 1
UNKNOWN = ANY | ANY << HALF
# So many letters of the name asked for may be missing from the name held; of a name as long as one of these one more.
_MISSING, _LONGER = 2, (7, 13, 18)


@lru_cache(maxsize=200_000)
def letters(text: str) -> int:
    """The letters of a normalised name, which may be of several words."""
    if len(text) < 2 or not text.isascii():
        return ANY
    if not all(letter.isalpha() for letter in set(text) - {" "}):
        return ANY
    return bits(text)


def bits(text: str) -> int:
    """The letters from A to Z of any text, one being enough."""
    return sum({1 << ord(letter) - _A for letter in text if "A" <= letter <= "Z"})


class Lettering:
    """The names of one question, against what stands beside documents. No family or given name asked for rules nothing out."""

    def __init__(self, family: Iterable[str], given: Iterable[str]) -> None:
        self._family = _forms(family)
        self._given = _forms(given)

    def family_near(self, held: int) -> bool:
        """Whether the family name asked for may be near any name held, of either kind: names are exchanged."""
        return _near(self._family, held)

    def given_near(self, held: int) -> bool:
        """The same of the given name."""
        return _near(self._given, held)


def holds(family: str, given: str, held: int) -> bool:
    """Whether these very names, normalised, may be among those held."""
    return _among(letters(family), held & _MASK) and _among(letters(given), held >> HALF)


def _among(asked: int, held: int) -> bool:
    return bool((asked | held) & ANY) or not asked & ~held


def _forms(names: Iterable[str]) -> tuple[tuple[int, int], ...]:
    """Each form of a name: its letters, and how many of them may be missing."""
    found = {text: letters(text) for text in names if text}
    if not found or any(bits & ANY for bits in found.values()):
        return ()
    return tuple([(bits, _MISSING + sum(len(text) >= long for long in _LONGER)) for text, bits in found.items()])


def _near(forms: tuple[tuple[int, int], ...], held: int) -> bool:
    if not forms or held & UNKNOWN:
        return True
    family, given = held & _MASK, held >> HALF
    return any(
        (bits & ~family).bit_count() <= missing or (bits & ~given).bit_count() <= missing for bits, missing in forms
    )
