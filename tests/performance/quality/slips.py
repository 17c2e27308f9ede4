"""Slips of a hand, an ear and a scanner, on one text or one date.

Belongs here: the spelling of mistakes. Does not belong here: whole questions (``errors.py``). The text comes
back as it was where a slip has nothing to work on.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import date

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SOUNDS = (
    ("ph", "f"), ("ck", "k"), ("ie", "y"), ("y", "ie"), ("ea", "ee"), ("ee", "ea"), ("ei", "ie"), ("ai", "ay"), ("ay", "ai"),
    ("c", "k"), ("k", "c"), ("s", "z"), ("z", "s"), ("gh", ""), ("ou", "u"), ("oo", "u"), ("au", "aw"), ("mac", "mc"),
    ("mc", "mac"), ("ll", "l"), ("nn", "n"), ("tt", "t"), ("ss", "s"), ("rr", "r"), ("th", "t"), ("ah", "a"), ("sh", "s"),
    ("sch", "sh"), ("w", "v"), ("j", "y"), ("q", "k"), ("x", "ks"), ("kh", "k"), ("dh", "d"), ("bh", "b"), ("oe", "o"),
    ("sen", "son"), ("son", "sen"), ("er", "ar"), ("en", "an"), ("an", "en"), ("el", "al"), ("o", "ou"), ("i", "y"), ("e", "i"),
)  # fmt: skip
_SHAPES = (
    ("rn", "m"), ("m", "rn"), ("cl", "d"), ("d", "cl"), ("vv", "w"), ("w", "vv"), ("l", "i"), ("i", "l"), ("e", "c"),
    ("c", "e"), ("h", "b"), ("b", "h"), ("n", "u"), ("u", "n"), ("o", "0"), ("l", "1"), ("s", "5"), ("g", "q"), ("f", "t"),
)  # fmt: skip
_CODE_SHAPES = {"0": "O", "O": "0", "1": "I", "I": "1", "5": "S", "S": "5", "8": "B", "B": "8", "2": "Z", "Z": "2"}


def _near_keys() -> dict[str, str]:
    near: dict[str, str] = {}
    for at, row in enumerate(_ROWS):
        for place, key in enumerate(row):
            others = [*row[max(0, place - 1) : place + 2]]
            for other in (at - 1, at + 1):
                if 0 <= other < len(_ROWS):
                    others += _ROWS[other][max(0, place - 1) : place + 1]
            near[key] = "".join(sorted(set(others) - {key}))
    return near


_NEAR = _near_keys()


def typo(text: str, dice: random.Random) -> str:
    """One letter hit beside, left out, doubled or added, or two neighbours exchanged."""
    if len(text) < 3:
        return text
    at = dice.randrange(len(text))
    beside = _like(dice.choice(_NEAR.get(text[at].lower(), text[at].lower())), text[at])
    made = (
        text[:at] + beside + text[at + 1 :],
        text[:at] + text[at + 1 :],
        text[:at] + text[at] + text[at:],
        text[:at] + beside.lower() + text[at:],
        text[:at] + text[at + 1 : at + 2] + text[at] + text[at + 2 :],
    )
    return dice.choice(made)


def phonetic(text: str, dice: random.Random) -> str:
    """Written as heard: one sound spelled another way."""
    return _replaced(text, _SOUNDS, dice)


def ocr(text: str, dice: random.Random) -> str:
    """Read wrongly from paper: one shape taken for another."""
    return _replaced(text, _SHAPES, dice)


def joined_or_split(text: str, dice: random.Random) -> str:
    """A double name written as one word, with a blank, or the other way about."""
    for mark, others in (("-", (" ", "")), (" ", ("-", "")), ("'", ("", " "))):
        if mark in text:
            return text.replace(mark, dice.choice(others))
    return text


def one_digit(day: date, dice: random.Random) -> date | None:
    """One digit of the date wrong, and the date still one."""
    return _some_date([_with(day, at, dice) for at in dice.sample(range(2, 8), 6)], day)


def digits_exchanged(day: date, dice: random.Random) -> date | None:
    """Two neighbouring digits of the date exchanged."""
    text = day.strftime("%Y%m%d")
    places = dice.sample(range(2, 7), 5)
    return _some_date([text[:at] + text[at + 1] + text[at] + text[at + 2 :] for at in places], day)


def postcode_typo(text: str, dice: random.Random) -> str:
    """One character hit beside or two exchanged; the blank stays."""
    places = [at for at, char in enumerate(text) if char != " "]
    at = dice.choice(places)
    if dice.random() < 0.25 and at + 1 < len(text) and text[at + 1] != " " and text[at + 1] != text[at]:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    digit = text[at].isdigit()
    other = (
        str((int(text[at]) + dice.choice((1, 9))) % 10)
        if digit
        else dice.choice(_NEAR.get(text[at].lower(), "x")).upper()
    )
    return text[:at] + other + text[at + 1 :]


def postcode_ocr(text: str, dice: random.Random) -> str:
    """A letter read for a digit or the other way about."""
    places = [at for at, char in enumerate(text) if char in _CODE_SHAPES]
    if not places:
        return text
    at = dice.choice(places)
    return text[:at] + _CODE_SHAPES[text[at]] + text[at + 1 :]


def _replaced(text: str, pairs: Iterable[tuple[str, str]], dice: random.Random) -> str:
    low = text.lower()
    able = [(old, new) for old, new in pairs if old in low]
    if len(text) < 3 or not able:
        return text
    old, new = dice.choice(able)
    at = dice.choice([at for at in range(len(low)) if low.startswith(old, at)])
    changed = text[:at] + (new.capitalize() if text[at].isupper() else new) + text[at + len(old) :]
    return changed.upper() if text.isupper() else changed


def _like(letter: str, model: str) -> str:
    return letter.upper() if model.isupper() else letter


def _with(day: date, at: int, dice: random.Random) -> str:
    text = day.strftime("%Y%m%d")
    return text[:at] + str((int(text[at]) + dice.choice((1, 2, 8, 9))) % 10) + text[at + 1 :]


def _some_date(texts: Iterable[str], day: date) -> date | None:
    for text in texts:
        try:
            made = date(int(text[:4]), int(text[4:6]), int(text[6:]))
        except ValueError:
            continue
        if made != day:
            return made
    return None
