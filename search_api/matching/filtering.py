"""PDS's non-fuzzy search: which stored patient answers, exactly (pds.md 1.1 and 1.3).

Belongs here: the plan an engine narrows with, and the check of each candidate against it.
Does not belong here: an engine's query language, fuzzy search (``fuzzy.py``).

Engines retrieve a superset by the plan's terms; ``Plan.admits`` then decides, so every engine
answers alike. Case, accents, apostrophes, hyphens and spaces are ignored in names.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass, replace

from search_api.matching import normalise
from search_api.matching.asked import Asked, Span, ask, pattern, pieces
from search_api.matching.person import HISTORIC, Person, StoredName
from search_api.matching.questions import Mode, Question
from search_api.matching.rules import PdsRules


@dataclass(frozen=True)
class Value:
    """One asked value: joined form for equality, or a wildcard expression.

    ``one_word`` as typed; ``pieces`` is what stands between the wildcards.
    """

    joined: str
    wild: re.Pattern[str] | None
    one_word: bool
    pieces: tuple[str, ...]

    @property
    def start(self) -> str:
        """What stands before the first wildcard."""
        return self.pieces[0]

    def meets(self, joined: str) -> bool:
        """Whether a stored joined form answers."""
        return bool(self.wild.fullmatch(joined)) if self.wild else joined == self.joined


@dataclass(frozen=True)
class Plan:
    """A non-fuzzy question, ready to check patients against."""

    family: Value | None
    given: tuple[Value, ...]
    postcode: Value | None
    phones: tuple[str, ...]
    emails: tuple[str, ...]
    asked: Asked
    history: bool
    rules: PdsRules

    @property
    def wildcards(self) -> bool:
        """Whether any value holds a wildcard: the score is then below 1."""
        values = (self.family, self.postcode, *self.given)
        return any(value is not None and value.wild is not None for value in values)

    def admits(self, person: Person) -> bool:
        """Whether a patient answers every part of the question."""
        return (
            within(self.asked.birth, person.birth, self.rules)
            and (not self.asked.sex or self.asked.sex == person.sex)
            and (not self.asked.gp or self.asked.gp == person.gp)
            and _died(self.asked.death, person.death)
            and self._named(person)
            and self._place(person)
            and self._contact(self.phones, person.phones)
            and self._contact(self.emails, person.emails)
        )

    def _named(self, person: Person) -> bool:
        """Whoever has no name answers a question that asks for none (a postcode search)."""
        if not self.family and not self.given:
            return True
        return any(self._name(name) for name in person.names if self._usable(name.marks))

    def _usable(self, marks: str) -> bool:
        return self.history or HISTORIC not in marks

    def _name(self, name: StoredName) -> bool:
        """Family and given names of one and the same name, so that old and new are not mixed."""
        if self.family and not self.family.meets(name.family.replace(" ", "")):
            return False
        return self._given(tuple(value.replace(" ", "") for value in name.given))

    def _given(self, held: tuple[str, ...]) -> bool:
        """Each asked value is held, each held value answers once; wildcards mean the first."""
        left = list(held)
        for position, value in enumerate(self.given):
            if value.wild:
                if not held or not (value.meets(held[0]) or value.meets("".join(held))):
                    return False
                continue
            found = _take(value.joined, left)
            if found is None or (self.rules.given_position == "first" and position == 0 and found != 0):
                return False
        return True

    def _place(self, person: Person) -> bool:
        if not self.postcode:
            return True
        return any(self.postcode.meets(code) for code, marks in person.postcodes if self._usable(marks))

    def _contact(self, asked: tuple[str, ...], held: tuple[tuple[str, str], ...]) -> bool:
        """Every value asked for is held; one that is no number at all is held by nobody."""
        if not asked:
            return True
        usable = {value for value, marks in held if self._usable(marks)}
        return all(value in usable for value in asked)


def plan(question: Question, rules: PdsRules) -> Plan:
    """The plan of a question; placeholders are looked for like any value, as PDS does."""
    given = tuple(_value(text, normalise.given_name(text).joined) for text in question.given)
    return Plan(
        family=_value(question.family, normalise.family_name(question.family).joined) if question.family else None,
        given=given,
        postcode=_value(question.postcode, normalise.postcode(question.postcode)) if question.postcode else None,
        phones=tuple(normalise.phone_digits(text) for text in question.phones),
        emails=tuple(normalise.email_text(text) for text in question.emails),
        asked=ask(_without_wildcards(question)),
        history=question.history,
        rules=rules,
    )


def _without_wildcards(question: Question) -> Question:
    """What remains is evidence; a wildcard is a filter only."""
    return replace(
        question,
        family=None if question.family and "*" in question.family else question.family,
        given=tuple(text for text in question.given if "*" not in text),
        postcode=None if question.postcode and "*" in question.postcode else question.postcode,
    )


def _value(text: str, joined: str) -> Value:
    one_word = len(normalise.fold(text.replace("*", "")).split()) < 2
    return Value(joined, pattern(text) if "*" in text else None, one_word, pieces(text))


def _take(joined: str, left: list[str]) -> int | None:
    """Use up the held value, or run of held values, that equals the asked one; its position or None."""
    for start in range(len(left)):
        run = ""
        for end in range(start, len(left)):
            run += left[end]
            if run == joined and joined:
                left[start : end + 1] = [""] * (end + 1 - start)
                return start
    return None


def within(asked: Span | None, held: int, rules: PdsRules) -> bool:
    """Whole dates by inclusion; partial stored dates by the rule ``partial_birth_dates``."""
    if asked is None:
        return True
    if not held:
        return False
    if held % 100:
        return asked.low <= held <= asked.high
    first, last = _extent(held)
    if rules.partial_birth_dates == "overlap":
        return first <= asked.high and last >= asked.low
    return asked.low <= first and last <= asked.high


def _extent(partial: int) -> tuple[int, int]:
    """First and last day that a partial date (yyyymm00, yyyy0000) may stand for."""
    if not partial % 10000:
        return partial + 101, partial + 1231
    year, month = partial // 10000, partial // 100 % 100
    return partial + 1, partial + (monthrange(year, month)[1] if year and month <= 12 else 31)


def _died(asked: Span | None, held: int) -> bool:
    return asked is None or (held > 0 and asked.low <= held <= asked.high)


def by_name_only(question: Question) -> Question:
    """The whole name, exactly, when nothing narrower was asked."""
    return Question(
        mode=Mode.FILTER,
        family=question.family,
        given=question.given[:1],
        history=True,
        located=question.asks_location,
    )


def by_name_and_birth(question: Question) -> Question:
    """The names and the birth date, exactly, over history."""
    return Question(
        mode=Mode.FILTER,
        family=question.family,
        given=question.given,
        birth=question.birth,
        history=True,
        located=question.asks_location,
    )
