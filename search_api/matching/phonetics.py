"""How a name sounds: Soundex as PDS uses it, and our key code, which is never narrower.

Belongs here: sound codes and the spellings that share a sound at the start of a word.
Does not belong here: spelling distance (``comparisons.py``), nicknames (``nicknames.py``).
"""

from __future__ import annotations

from functools import lru_cache

import jellyfish

# Letters that are heard alike at the start of a word share one key code, so Soundex-equal names
# always share it, and Catherine and Kathryn do too.
_FIRST = str.maketrans("KQJZVEIOUY", "CCGSFAAAAA")

# Openings that are heard alike though Soundex codes them apart; asked both ways, indexed once.
_OPENINGS = (
    ("PH", "F"),
    ("KN", "N"),
    ("GN", "N"),
    ("WR", "R"),
    ("PS", "S"),
    ("WH", "W"),
    ("RH", "R"),
    ("CE", "SE"),
    ("CI", "SI"),
    ("CY", "SI"),
    ("H", ""),
)


@lru_cache(maxsize=400_000)
def soundex(word: str) -> str:
    """Soundex of one folded word without spaces; the word itself when it has no Latin letter."""
    return jellyfish.soundex(word) if word.isascii() and word.isalpha() else word[:6]


@lru_cache(maxsize=400_000)
def code(word: str) -> str:
    """Key code: Soundex with the first letter reduced to its class. Equal Soundex, equal code."""
    sound = soundex(word)
    return sound[0].translate(_FIRST) + sound[1:] if sound else ""


def first_class(start: str) -> str:
    """First character of the key codes of words that begin so; ``.`` (any) when it is not a Latin letter."""
    letter = start[:1]
    return letter.translate(_FIRST) if letter.isascii() and letter.isalpha() else "."


@lru_cache(maxsize=100_000)
def metaphone(word: str) -> str:
    """Metaphone of one folded word: the sound as English reads it."""
    return jellyfish.metaphone(word) if word.isascii() and word.isalpha() else word


@lru_cache(maxsize=100_000)
def undoubled(word: str) -> str:
    """The word with doubled letters written once (Bloggs, Blogs)."""
    return "".join(char for index, char in enumerate(word) if index == 0 or char != word[index - 1])


@lru_cache(maxsize=100_000)
def sibling_codes(word: str) -> tuple[str, ...]:
    """Codes of the word with its opening written another way (Phillips/Fillips, Knight/Night)."""
    found: list[str] = []
    for long, short in _OPENINGS:
        if word.startswith(long) and len(word) > len(long) + 1:
            found.append(code(short + word[len(long) :]))
        elif short and word.startswith(short):
            found.append(code(long + word[len(short) :]))
    own = code(word)
    return tuple(dict.fromkeys(each for each in found if each and each != own))
