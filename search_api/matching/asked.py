"""A question, normalised once: what blocking, filtering and scoring read.

Belongs here: turning ``Question`` into canonical values with the shared normaliser.
Does not belong here: keys, comparisons, rules of a mode.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from search_api.matching import normalise
from search_api.matching.normalise import EMPTY, Name
from search_api.matching.questions import DateRange, Question

OPEN_LOW, OPEN_HIGH = 0, 99_999_999


@dataclass(frozen=True)
class Span:
    """Inclusive range of yyyymmdd numbers; ``day`` is set when it is one whole day."""

    low: int
    high: int

    @property
    def day(self) -> int:
        """The one whole day asked for, else 0."""
        return self.low if self.low == self.high and self.low % 100 else 0

    @property
    def partial(self) -> int:
        """A partial date asked for (yyyymm00 or yyyy0000), else 0."""
        return self.low if self.low == self.high and not self.low % 100 else 0


@dataclass(frozen=True)
class Asked:
    """Canonical values of a question. Empty text or tuple where nothing usable was asked.

    ``emails_sent`` are all e-mails as sent, placeholders too: PDS's hard filter (pds.md 1.4).
    """

    family: Name
    given: tuple[Name, ...]
    words: tuple[str, ...]
    sex: str
    birth: Span | None
    death: Span | None
    postcode: str
    premise: str
    gp: str
    phones: tuple[str, ...]
    emails: tuple[str, ...]
    emails_sent: tuple[str, ...]

    @property
    def pseudo_postcode(self) -> bool:
        """Whether the postcode is ZZ99 or the like: no evidence, and in PDS nothing is found."""
        return bool(self.postcode) and normalise.pseudo_postcode(self.postcode)

    @property
    def first(self) -> str:
        """First given word, or empty."""
        return self.words[0] if self.words else ""

    @property
    def middle(self) -> tuple[str, ...]:
        """Given words after the first."""
        return self.words[1:]


def ask(question: Question) -> Asked:
    """Normalise a question; placeholders count as not asked for evidence, not for filters."""
    family = normalise.family_name(question.family) if question.family else EMPTY
    values = tuple(normalise.given_name(text) for text in question.given)
    usable = tuple(value for value in values if value.joined and not value.skip)
    return Asked(
        family=EMPTY if family.skip else family,
        given=usable,
        words=tuple(word for value in usable for word in value.words),
        sex=normalise.sex(question.gender),
        birth=_span(question.birth),
        death=_span(question.death),
        postcode=normalise.postcode(question.postcode) if question.postcode else "",
        premise=normalise.premise(question.address_lines),
        gp=normalise.ods_code(question.gp_code) if question.gp_code else "",
        phones=tuple(filter(None, (normalise.phone(text) for text in question.phones))),
        emails=tuple(filter(None, (normalise.email(text) for text in question.emails))),
        emails_sent=tuple(normalise.email_text(text) for text in question.emails),
    )


def _span(dates: DateRange | None) -> Span | None:
    if dates is None:
        return None
    low = normalise.date_number(dates.low) or OPEN_LOW
    high = normalise.date_number(dates.high) or OPEN_HIGH
    return Span(low, high)


def pattern(text: str) -> re.Pattern[str]:
    """A wildcard value (``Sm*th``) as an expression over joined forms.

    Each piece between two wildcards is taken where it first comes, for good: to try later places as well
    finds no more, and takes time that many wildcards multiply.
    """
    first, *between, last = pieces(text)
    taken = "".join(f"(?>.*?{re.escape(piece)})" for piece in between if piece)
    return re.compile(f"{re.escape(first)}{taken}.*{re.escape(last)}")


def pieces(text: str) -> tuple[str, ...]:
    """What stands between the wildcards of a value, marks and spaces ignored; one more than they are."""
    return tuple(normalise.fold(piece).replace(" ", "") for piece in text.split("*"))
