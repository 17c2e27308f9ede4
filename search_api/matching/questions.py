"""What may be asked of the matcher and what it answers: plain frozen values.

Belongs here: the shapes shared by the API slices, the matcher and both index engines.
Does not belong here: HTTP, FHIR, SQL, or any engine's query language.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Mode(Enum):
    """How tolerant a search is.

    FILTER is PDS's non-fuzzy search. FUZZY is PDS's fuzzy search: birth date and e-mail are hard.
    WIDE is ours: also wrong or swapped parts of a date, edit distance, nicknames, moved house.
    """

    FILTER = "filter"
    FUZZY = "fuzzy"
    WIDE = "wide"


class Grade(Enum):
    """FHIR's match grade."""

    CERTAIN = "certain"
    PROBABLE = "probable"
    POSSIBLE = "possible"
    CERTAINLY_NOT = "certainly-not"


@dataclass(frozen=True)
class DateRange:
    """Inclusive range of ISO dates; one day when both ends are equal; an open end is None."""

    low: str | None
    high: str | None

    @property
    def single(self) -> str | None:
        """The one day asked for, or None for a real range."""
        return self.low if self.low == self.high else None


@dataclass(frozen=True)
class Question:
    """A search: any subset of demographics, as typed. Wildcards (``Sm*``) only in FILTER mode.

    ``given`` keeps one entry per repetition of the parameter; an entry may hold several words.
    ``located``: cut from a question that asks for a location, so its rule still holds.
    ``birth`` may be a partial date in WIDE mode (``1980``, ``1980-02``) as low == high.
    ``graded``: grades are wanted. To know who else bears a name takes time, and no order or probability follows from it.
    """

    mode: Mode
    family: str | None = None
    given: tuple[str, ...] = ()
    gender: str | None = None
    birth: DateRange | None = None
    death: DateRange | None = None
    postcode: str | None = None
    address_lines: tuple[str, ...] = ()
    gp_code: str | None = None
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    history: bool = False
    exact_only: bool = False
    limit: int = 50
    located: bool = False
    graded: bool = True

    @property
    def asks_location(self) -> bool:
        """True when a restricted patient can never be an answer (pds.md 1.9).

        In the wide search, which PDS does not have, a telephone or e-mail counts as a location too.
        """
        contacted = self.mode is Mode.WIDE and (self.phones or self.emails)
        return bool(self.located or self.postcode or self.gp_code or self.address_lines or contacted)


@dataclass(frozen=True)
class Evidence:
    """One comparison: its level's name, its weight in bits, and whether a previous value made it."""

    comparison: str
    level: str
    weight: float
    previous: bool = False


@dataclass(frozen=True)
class Match:
    """One patient that answers: ``score`` is PDS's (0 to 1), ``posterior`` ours (0 to 1).

    ``weight`` is prior plus the sum of the evidence, in bits. ``grade``: None where the question wanted none.
    """

    nhs_number: int
    score: float
    posterior: float
    weight: float
    grade: Grade | None
    evidence: tuple[Evidence, ...] = ()

    @property
    def graded(self) -> Grade:
        """The grade of a question that wanted them. Raises ValueError for any other: a fault of the caller."""
        if self.grade is None:
            raise ValueError("The question wanted no grades.")
        return self.grade


@dataclass(frozen=True)
class Answer:
    """At most the limit of matches, best first. ``too_many``: more than the limit matched; PDS then shows
    none of them, and whoever is in ``matches`` is audited all the same. ``total`` is then more than the
    limit, not the whole number in FILTER mode.

    ``truncated``: a blocking key or the candidate limit was reached, so someone may be missing.
    """

    matches: tuple[Match, ...]
    total: int
    too_many: bool = False
    truncated: bool = False
    prior: float = 0.0
    counters: dict[str, int] = field(default_factory=dict)
