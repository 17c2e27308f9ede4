"""Seeded mistakes in questions, of the kinds that British records and their readers make.

Belongs here: a patient's row in, a question with mistakes out. Does not belong here: measuring.
The mix is the harsher one of anchors.md 2.4: typos, exchanged parts, nicknames, old values.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from search_api.matching.nicknames import related
from search_api.matching.questions import DateRange, Mode, Question

_LETTERS = "abcdefghiklmnoprstuwy"


@dataclass(frozen=True)
class Case:
    """A question, who is meant, and which mistakes were made."""

    question: Question
    nhs_number: int
    mistakes: tuple[str, ...]


def case(row: Mapping[str, Any], dice: random.Random, mode: Mode, *, most: int = 2) -> Case | None:
    """A question about a person with at most ``most`` mistakes; None when the record is too poor to ask about."""
    usual = next((name for name in row["names"] or [] if name["use"] == "usual" and name["state"] == "current"), None)
    if not usual or not usual["family"] or not usual["given"] or len(row["birth_date"] or "") != 10:
        return None
    home = next((item["postcode"] for item in row["addresses"] or [] if item["state"] == "current"), None)
    asked = Question(
        mode,
        family=usual["family"],
        given=(usual["given"][0],),
        gender=row["gender"] if row["gender"] in ("male", "female") else None,
        birth=DateRange(row["birth_date"], row["birth_date"]),
        postcode=home if row["security"] == "U" and dice.random() < 0.6 else None,
    )
    if mode is Mode.FILTER:
        return Case(asked, int(row["nhs_number"]), ())
    kinds = [kind for kind in MISTAKES if mode is Mode.WIDE or kind not in ("day_month", "one_digit")]
    done = []
    for kind in dice.sample(kinds, dice.randint(1, most)):
        changed = MISTAKES[kind](asked, row, dice)
        if changed != asked:
            asked = changed
            done.append(kind)
    return Case(asked, int(row["nhs_number"]), tuple(done))


def typo(text: str, dice: random.Random) -> str:
    """One letter changed, dropped, added, or exchanged with the next."""
    at = dice.randrange(len(text))
    letter = dice.choice(_LETTERS)
    made = (
        text[:at] + letter + text[at + 1 :],
        text[:at] + text[at + 1 :],
        text[:at] + letter + text[at:],
        text[:at] + text[at + 1 : at + 2] + text[at] + text[at + 2 :],
    )
    return dice.choice(made) if len(text) > 2 else text


def _family_typo(asked: Question, _row: Mapping[str, Any], dice: random.Random) -> Question:
    return replace(asked, family=typo(asked.family or "", dice))


def _given_typo(asked: Question, _row: Mapping[str, Any], dice: random.Random) -> Question:
    return replace(asked, given=(typo(asked.given[0], dice),))


def _nickname(asked: Question, _row: Mapping[str, Any], dice: random.Random) -> Question:
    others = related(asked.given[0].upper())
    return replace(asked, given=(dice.choice(others),)) if others else asked


def _exchanged(asked: Question, _row: Mapping[str, Any], _dice: random.Random) -> Question:
    return replace(asked, family=asked.given[0], given=(asked.family or "",))


def _day_month(asked: Question, _row: Mapping[str, Any], _dice: random.Random) -> Question:
    year, month, day = _birth(asked).split("-")
    return _born(asked, f"{year}-{day}-{month}") if int(day) <= 12 else asked


def _one_digit(asked: Question, _row: Mapping[str, Any], dice: random.Random) -> Question:
    year, month, day = _birth(asked).split("-")
    wrong = f"{int(year) + dice.choice((-10, -1, 1, 10))}-{month}-{day}", f"{year}-{month}-{int(day) % 28 + 1:02d}"
    return _born(asked, dice.choice(wrong))


def _postcode_typo(asked: Question, _row: Mapping[str, Any], dice: random.Random) -> Question:
    return replace(asked, postcode=typo(asked.postcode, dice)) if asked.postcode else asked


def _old_postcode(asked: Question, row: Mapping[str, Any], _dice: random.Random) -> Question:
    old = [item["postcode"] for item in row["addresses"] or [] if item["state"] == "historic" and item["postcode"]]
    return replace(asked, postcode=old[0]) if old and asked.postcode else asked


def _old_family(asked: Question, row: Mapping[str, Any], _dice: random.Random) -> Question:
    old = [name["family"] for name in row["names"] if name["state"] == "historic" and name["family"]]
    return replace(asked, family=old[0]) if old else asked


def _birth(asked: Question) -> str:
    return (asked.birth and asked.birth.low) or ""


def _born(asked: Question, text: str) -> Question:
    return replace(asked, birth=DateRange(text, text))


MISTAKES = {
    "family_typo": _family_typo,
    "given_typo": _given_typo,
    "nickname": _nickname,
    "names_exchanged": _exchanged,
    "day_month": _day_month,
    "one_digit": _one_digit,
    "postcode_typo": _postcode_typo,
    "old_postcode": _old_postcode,
    "old_family": _old_family,
}
