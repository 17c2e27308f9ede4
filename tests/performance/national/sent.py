"""The rows of a file that is sent to be traced, as a hospital's would be.

Belongs here: people in, what a sender knows of each out. Does not belong here: how often mistakes are made
(``quality/mixes.py``), files.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import polars as pl

from search_api.matching.questions import Question
from tests.performance.quality import labelled, strata
from tests.performance.quality.errors import Hand
from tests.performance.quality.mixes import NHS, plain, with_mistakes

_POOLED = 5000
_TOLD = ("nhs_number", "gender", "birth_date", "deceased", "security", "names", "addresses")
HEAD = ("UNIQUE_REFERENCE", "FAMILY_NAME", "GIVEN_NAME", "OTHER_GIVEN_NAME", "GENDER", "DATE_OF_BIRTH", "POSTCODE")
_GENDERS = {"male": "1", "female": "2"}


def sent(people: Sequence[dict[str, Any]], seed: int) -> list[Question]:
    """What is known of each: names, birth date, sex, home; with the mistakes of hospital records (``mixes.NHS``)."""
    some = [{"security": "U", **{name: row.get(name) for name in _TOLD if name in row}} for row in people[:_POOLED]]
    facts = strata.facts(pl.DataFrame(some, infer_schema_length=None), frozenset())
    hand = Hand(random.Random(seed), labelled.pools(facts, seed))
    return [with_mistakes(plain(row, hand), row, NHS, hand)[0] for row in people]


def cells(at: int, asked: Question) -> tuple[str, ...]:
    """One row of the file, under ``HEAD``."""
    first, others = asked.given[:1], asked.given[1:]
    born = asked.birth.low if asked.birth else ""
    sex = _GENDERS.get(asked.gender or "", "")
    return str(at), asked.family or "", *(first or ("",)), " ".join(others), sex, born or "", asked.postcode or ""
