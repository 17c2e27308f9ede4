"""Which of our levels pairs reach, as a table: what is counted and trained is what the scorer uses.

Belongs here: scoring pairs with the matcher's own scorer and keeping the levels; questions made from a
person's own record. Does not belong here: which pairs (``pairs.py``), what is estimated from them.

One row a pair, one column a comparison; null where the comparison said nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from schemas.fields import HIDDEN, HISTORIC
from search_api.index.documents import documents
from search_api.index.frequencies import Frequencies
from search_api.matching.asked import Asked
from search_api.matching.matcher import unknown
from search_api.matching.person import Person, unpack
from search_api.matching.questions import DateRange, Mode, Question
from search_api.matching.scoring import Scorer
from search_api.matching.weights import Weights


@dataclass(frozen=True)
class Sampled:
    """A person with two questions about them: as they are, and as an earlier record of them would ask."""

    person: Person
    now: Question
    before: Question


def level_table(
    weights: Weights, frequencies: Frequencies, asked: Iterable[tuple[Asked, Sequence[Person]]]
) -> pl.DataFrame:
    """The levels of each question against each of its persons, in order."""
    scorer = Scorer(weights)
    columns: dict[str, list[str | None]] = {name: [] for name in weights.levels}
    for question, persons in asked:
        for item in scorer.score(question, persons, 0.0, unknown(question, frequencies)):
            reached = {each.comparison: each.level for each in item.evidence}
            for name, values in columns.items():
                values.append(reached.get(name))
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String()))


def sampled(frame: pl.DataFrame, frequencies: Frequencies) -> list[Sampled]:
    """Every person of a frame who may be found, in its order."""
    found = {item.nhs_number: unpack(item.nhs_number, item.payload) for item in documents(frame, frequencies)}
    rows = [row for row in frame.iter_rows(named=True) if row["nhs_number"] in found]
    return [
        Sampled(found[row["nhs_number"]], question(row, earlier=False), question(row, earlier=True)) for row in rows
    ]


def question(row: dict[str, Any], *, earlier: bool) -> Question:
    """What this record would ask; ``earlier``: with the first name and address it held before, if any."""
    name = _item(row["names"], earlier=earlier)
    place = _item(row["addresses"], earlier=earlier)
    birth = (row["birth_date"] or "")[:10]
    telecoms = [each for each in row["telecoms"] or [] if each["value"] and each["state"] not in (HIDDEN, HISTORIC)]
    return Question(
        Mode.WIDE,
        family=name.get("family"),
        given=tuple(text for text in name.get("given") or () if text),
        gender=row["gender"],
        birth=DateRange(birth, birth) if birth else None,
        postcode=place.get("postcode"),
        address_lines=tuple(text for text in place.get("lines") or () if text),
        gp_code=row["gp_code"],
        phones=tuple(each["value"] for each in telecoms if each["system"] != "email"),
        emails=tuple(each["value"] for each in telecoms if each["system"] == "email"),
    )


def _item(items: Sequence[dict[str, Any]] | None, *, earlier: bool) -> dict[str, Any]:
    shown = [each for each in items or () if each["state"] != HIDDEN]
    current = [each for each in shown if each["state"] != HISTORIC]
    past = [each for each in shown if each["state"] == HISTORIC]
    chosen = past or current if earlier else current or past
    return chosen[0] if chosen else {}
