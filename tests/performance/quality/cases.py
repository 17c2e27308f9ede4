"""The values that the quality suite passes around: a labelled question, a ranked answer, and who may answer.

Belongs here: the seam between those who make questions, those who answer them, and the judge.
Does not belong here: making, answering or judging.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from search_api.matching.questions import Question

# Most that a rival may give to one question; recall is reckoned at two places of its ranking.
MOST = 200
CERTAIN = "certain"


@dataclass(frozen=True)
class Query:
    """A question in WIDE mode with its answer: ``truth`` is an NHS number, None for whom nobody holds.

    ``stratum``: the kind of person asked about. ``errors``: which mistakes were made, none when empty.
    """

    id: str
    question: Question
    truth: int | None
    stratum: str
    errors: tuple[str, ...]


@dataclass(frozen=True)
class Ranked:
    """One person of an answer: weight in bits, probability from 0 to 1, FHIR's match grade."""

    nhs_number: int
    weight: float
    probability: float
    grade: str


@dataclass(frozen=True)
class Labelled:
    """A set of questions over people: its name in figures, the people to be indexed, what is asked."""

    name: str
    people: pl.DataFrame
    queries: tuple[Query, ...]


class Rival(Protocol):
    """Whoever answers the same questions over the same people."""

    name: str

    def prepare(self, people: pl.DataFrame) -> None:
        """Take in the people: columns as in ``search_api.index.documents.COLUMNS``."""
        ...

    def rank(self, queries: Sequence[Query]) -> Iterator[list[Ranked]]:
        """One list a query, in their order; at most ``MOST``, best first."""
        ...
