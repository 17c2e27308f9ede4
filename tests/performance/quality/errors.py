"""Mistakes in questions, each with a name: a patient's row and the question as it is now, and out comes another.

Belongs here: what each kind of mistake does. Does not belong here: how often it is made (``mixes.py``), who is
asked about (``strata.py``). A mistake that cannot be made on a question (no second name, no day to exchange)
gives the question back as it was.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import takewhile
from typing import Any

from search_api.matching.nicknames import related
from search_api.matching.questions import DateRange, Question
from tests.performance.quality import slips

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Pools:
    """Values of the population to draw from: another family name, a given name of either sex, a postcode.

    ``by_outcode``, ``by_town``: postcodes of each outward part, and of each postcode area (its letters).
    """

    families: tuple[str, ...]
    givens: dict[str, tuple[str, ...]]
    postcodes: tuple[str, ...]
    by_outcode: dict[str, tuple[str, ...]]
    by_town: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Hand:
    """What a mistake is made with: seeded dice and the population's values."""

    dice: random.Random
    pools: Pools


Mistake = Callable[[Question, Row, Hand], Question]


def _on_family(change: Callable[[str, random.Random], str]) -> Mistake:
    def made(asked: Question, _row: Row, hand: Hand) -> Question:
        return replace(asked, family=change(asked.family, hand.dice)) if asked.family else asked

    return made


def _on_given(change: Callable[[str, random.Random], str]) -> Mistake:
    def made(asked: Question, _row: Row, hand: Hand) -> Question:
        return _first(asked, change(asked.given[0], hand.dice)) if asked.given else asked

    return made


def _on_postcode(change: Callable[[str, random.Random], str]) -> Mistake:
    def made(asked: Question, _row: Row, hand: Hand) -> Question:
        return replace(asked, postcode=change(asked.postcode, hand.dice)) if asked.postcode else asked

    return made


def _on_day(change: Callable[[date, random.Random], date | None]) -> Mistake:
    def made(asked: Question, _row: Row, hand: Hand) -> Question:
        day = _day(asked)
        other = change(day, hand.dice) if day else None
        return born(asked, other.isoformat()) if other else asked

    return made


def born(asked: Question, text: str) -> Question:
    """The question with this birth date."""
    return replace(asked, birth=DateRange(text, text))


def _first(asked: Question, name: str) -> Question:
    return replace(asked, given=(name, *asked.given[1:]))


def _day(asked: Question) -> date | None:
    text = asked.birth.low if asked.birth else None
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _nickname(asked: Question, _row: Row, hand: Hand) -> Question:
    others = related(asked.given[0].upper()) if asked.given else ()
    return _first(asked, hand.dice.choice(others).title()) if others else asked


def _middle_first(asked: Question, row: Row, _hand: Hand) -> Question:
    """Known by the second name."""
    held: list[str] = usual(row).get("given") or []
    return replace(asked, given=(held[1],)) if len(held) > 1 else asked


def _initial_only(asked: Question, _row: Row, _hand: Hand) -> Question:
    return replace(asked, given=(asked.given[0][:1],)) if asked.given else asked


def _names_swapped(asked: Question, _row: Row, _hand: Hand) -> Question:
    if not asked.family or not asked.given:
        return asked
    return replace(asked, family=asked.given[0], given=(asked.family,))


def _previous_family(asked: Question, row: Row, hand: Hand) -> Question:
    old = [item["family"] for item in row["names"] or () if item["state"] == "historic" and item["family"]]
    old = [text for text in old if text != asked.family]
    return replace(asked, family=hand.dice.choice(old)) if old else asked


def _new_family(asked: Question, _row: Row, hand: Hand) -> Question:
    """Married since, and the record does not know."""
    return replace(asked, family=hand.dice.choice(hand.pools.families))


def _other_given(asked: Question, row: Row, hand: Hand) -> Question:
    names = hand.pools.givens.get(row["gender"] or "", ())
    return replace(asked, given=(hand.dice.choice(names),)) if names and asked.given else asked


def _given_missing(asked: Question, _row: Row, _hand: Hand) -> Question:
    return replace(asked, given=())


def _double_part(asked: Question, _row: Row, hand: Hand) -> Question:
    """One half of a double family name."""
    parts = (asked.family or "").replace("-", " ").split()
    return replace(asked, family=hand.dice.choice(parts)) if len(parts) > 1 else asked


def _named_since(asked: Question, row: Row, hand: Hand) -> Question:
    """A newborn with a placeholder on the record has a name by now."""
    return _other_given(asked, row, hand)


def _religious_name_moved(asked: Question, _row: Row, hand: Hand) -> Question:
    """Begum or Kaur, held as family name, is told as a second name, with the family's name behind it."""
    if not asked.family or not asked.given:
        return asked
    return replace(asked, family=hand.dice.choice(hand.pools.families), given=(asked.given[0], asked.family))


def _birth_missing(asked: Question, _row: Row, _hand: Hand) -> Question:
    return replace(asked, birth=None)


def _birth_year_only(asked: Question, _row: Row, _hand: Hand) -> Question:
    """The day is not known, and 1 January is put for it."""
    day = _day(asked)
    return born(asked, f"{day.year:04d}-01-01") if day else asked


def _sex_wrong(asked: Question, _row: Row, _hand: Hand) -> Question:
    other = {"male": "female", "female": "male"}.get(asked.gender or "")
    return replace(asked, gender=other) if other else asked


def _postcode_old(asked: Question, row: Row, hand: Hand) -> Question:
    held = [item for item in row["addresses"] or () if item["state"] == "historic" and item["postcode"]]
    old = [item["postcode"] for item in held if item["postcode"] != asked.postcode]
    return replace(asked, postcode=hand.dice.choice(old)) if old and asked.postcode else asked


def _moved_house(asked: Question, _row: Row, hand: Hand) -> Question:
    """An address that the record does not have: half the time in the same outward part."""
    near = hand.pools.by_outcode.get((asked.postcode or "").split(" ")[0], ())
    pool = near if len(near) > 1 and hand.dice.random() < 0.5 else hand.pools.postcodes
    return replace(asked, postcode=hand.dice.choice(pool)) if asked.postcode and pool else asked


def _swapped(day: date, _dice: random.Random) -> date | None:
    return date(day.year, day.day, day.month) if day.day <= 12 and day.day != day.month else None


def _near(day: date, dice: random.Random) -> date:
    """Some other day within five years."""
    return day + timedelta(days=dice.choice((-1, 1)) * dice.randint(2, 5 * 365))


def town(postcode: str | None) -> str:
    """The area of a postcode: its opening letters."""
    return "".join(takewhile(str.isalpha, postcode or ""))


def usual(row: Row) -> Mapping[str, Any]:
    """The current usual name of a row, or nothing."""
    return next((name for name in row["names"] or () if name["use"] == "usual" and name["state"] == "current"), {})


MISTAKES: dict[str, Mistake] = {
    "family_typo": _on_family(slips.typo),
    "family_phonetic": _on_family(slips.phonetic),
    "family_ocr": _on_family(slips.ocr),
    "joined_or_split": _on_family(slips.joined_or_split),
    "double_name_part": _double_part,
    "previous_family": _previous_family,
    "new_family": _new_family,
    "given_typo": _on_given(slips.typo),
    "given_phonetic": _on_given(slips.phonetic),
    "given_ocr": _on_given(slips.ocr),
    "nickname": _nickname,
    "initial_only": _initial_only,
    "middle_name_first": _middle_first,
    "other_given": _other_given,
    "given_missing": _given_missing,
    "named_since": _named_since,
    "religious_name_moved": _religious_name_moved,
    "names_swapped": _names_swapped,
    "day_month_swapped": _on_day(_swapped),
    "birth_one_digit": _on_day(slips.one_digit),
    "birth_digits_exchanged": _on_day(slips.digits_exchanged),
    "birth_near": _on_day(_near),
    "birth_year_only": _birth_year_only,
    "birth_missing": _birth_missing,
    "sex_wrong": _sex_wrong,
    "sex_missing": lambda asked, _row, _hand: replace(asked, gender=None),
    "postcode_old": _postcode_old,
    "moved_house": _moved_house,
    "postcode_mistyped": _on_postcode(slips.postcode_typo),
    "postcode_ocr": _on_postcode(slips.postcode_ocr),
    "postcode_missing": lambda asked, _row, _hand: replace(asked, postcode=None),
}
