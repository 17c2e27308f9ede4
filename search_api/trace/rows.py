"""From a row's fields to a question, or to the code that says why there is none.

Belongs here: the rules of single fields and of too little. Does not belong here: files, the search, codes.

A row that breaks a rule is answered with the rule's case and the column's name, never with its value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from schemas.identifiers import is_nhs_number
from search_api.matching.questions import DateRange, Mode, Question
from search_api.patients.minimum import WIDE_MINIMUM
from search_api.trace.columns import ADDRESS_LINES, REFERENCE, USED
from search_api.trace.outcomes import Outcome

_DATE = re.compile(r"([0-9]{4})(?:-?([0-9]{2})(?:-?([0-9]{2}))?)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_GENDERS = {"1": "male", "2": "female", "9": "other", "0": "unknown", "M": "male", "F": "female", "I": "other"}
_GENDERS |= {"U": "unknown", "X": "unknown", "MALE": "male", "FEMALE": "female", "OTHER": "other", "UNKNOWN": "unknown"}
_PLACE = {column.name: place for place, column in enumerate(USED)}
_LENGTHS = tuple((place, column.length, column.name) for place, column in enumerate(USED))
_AT = _PLACE.__getitem__
_REFERENCE, _NHS_NO = _AT(REFERENCE), _AT("NHS_NO")
_FAMILY, _GIVEN, _OTHER = _AT("FAMILY_NAME"), _AT("GIVEN_NAME"), _AT("OTHER_GIVEN_NAME")
_GENDER, _BIRTH, _DEATH = _AT("GENDER"), _AT("DATE_OF_BIRTH"), _AT("DATE_OF_DEATH")
_POSTCODE, _PRACTICE = _AT("POSTCODE"), _AT("GP_PRACTICE_CODE")
_LINES = tuple(_AT(name) for name in ADDRESS_LINES)
_PHONES, _EMAIL = (_AT("TELEPHONE_NUMBER"), _AT("MOBILE_NUMBER")), _AT("EMAIL_ADDRESS")

# The fields of a row in the order of ``USED``; columns that the file lacks are empty.
Fields = Sequence[str]


@dataclass(frozen=True)
class Row:
    """A row that may be traced. ``number`` is 0 where there is none or it fails its check; ``sent_number`` tells the
    two apart. ``searchable``: it has enough for the wide search."""

    question: Question
    number: int
    sent_number: bool
    searchable: bool


@dataclass(frozen=True)
class Refusal:
    """Why a row was not traced: the case, and the column."""

    outcome: Outcome
    column: str = ""


def read(fields: Fields) -> Row | Refusal:
    """A row's question. Every field is looked at before any search is made."""
    if not fields[_REFERENCE].strip():
        return Refusal(Outcome.NO_REFERENCE, REFERENCE)
    for place, most, name in _LENGTHS:
        text = fields[place]
        if not text:
            continue
        if len(text) > most:
            return Refusal(Outcome.TOO_LONG, name)
        if not text.isprintable() and _CONTROL.search(text):
            return Refusal(Outcome.WRONG_FORMAT, name)
    return _checked([text.strip() for text in fields])


def _checked(fields: Fields) -> Row | Refusal:
    gender = _GENDERS.get(fields[_GENDER].upper()) if fields[_GENDER] else None
    if fields[_GENDER] and gender is None:
        return Refusal(Outcome.WRONG_GENDER, "GENDER")
    dates: dict[int, DateRange | None] = {}
    for place, name in ((_BIRTH, "DATE_OF_BIRTH"), (_DEATH, "DATE_OF_DEATH")):
        dates[place] = _date(fields[place]) if fields[place] else None
        if fields[place] and dates[place] is None:
            return Refusal(Outcome.WRONG_FORMAT, name)
    question = _question(fields, gender, dates)
    number = _number(fields[_NHS_NO])
    searchable = _filled(question) >= WIDE_MINIMUM
    if not searchable and not (number and question.birth):
        return Refusal(Outcome.TOO_LITTLE)
    return Row(question, number, bool(fields[_NHS_NO]), searchable)


def _question(fields: Fields, gender: str | None, dates: Mapping[int, DateRange | None]) -> Question:
    return Question(
        Mode.WIDE,
        family=fields[_FAMILY] or None,
        given=tuple(text for text in (fields[_GIVEN], fields[_OTHER]) if text),
        gender=gender,
        birth=dates[_BIRTH],
        death=dates[_DEATH],
        postcode=fields[_POSTCODE] or None,
        address_lines=tuple(text for text in (fields[place] for place in _LINES) if text),
        gp_code=fields[_PRACTICE] or None,
        phones=tuple(text for text in (fields[place] for place in _PHONES) if text),
        emails=(fields[_EMAIL],) if fields[_EMAIL] else (),
        history=True,
    )


def _filled(question: Question) -> int:
    """How many of the fields are there that a wide search counts (patients/minimum.py)."""
    parts = (question.family, question.given, question.birth, question.postcode, question.phones, question.emails)
    return sum(1 for part in parts if part)


def _number(text: str) -> int:
    """The NHS number, or 0 where there is none or it cannot be one."""
    compact = text.replace(" ", "").replace("-", "")
    return int(compact) if is_nhs_number(compact) else 0


@lru_cache(maxsize=100_000)
def _date(text: str) -> DateRange | None:
    """A whole or partial date as the matcher reads it, or None."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = found.groups()
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return None
    whole = "-".join(part for part in (year, month, day) if part)
    return DateRange(whole, whole)
