"""Rows of day 0: the full extract of patients and summaries, and all number changes so far.

Belongs here: frames in the feeds' columns, piece by piece. Does not belong here: files
(``delivery.py``), later days (``deltas.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import polars as pl

from sandbox.extracts.plan import Plan
from sandbox.population.dates import REFERENCE
from sandbox.population.numbers import SUPERSEDED_START
from sandbox.population.people import Population
from sandbox.population.personas import INVALIDATED, PERSONAS, SUPERSEDED
from sandbox.population.randomness import I64
from sandbox.population.rates import RATES, Rates
from sandbox.population.rows import patient_rows
from sandbox.population.subjects import subjects
from sandbox.population.summaries import header_rows, summary_rows
from sandbox.population.traits import record_kinds
from schemas.feeds import PDS_NUMBER_CHANGE, PDS_PATIENT

CHANGES: dict[str, pl.DataType] = {
    "nhs_number": pl.String(),
    "new_nhs_number": pl.String(),
    "recorded_at": pl.Datetime("us", "UTC"),
}
_SCAN = 1 << 20
_CHAIN_EVERY = 40  # one superseded number in forty followed an older one
_OLDER = 5_000_000  # their positions lie so far above
_PAST_DAYS = 3_000
_EPOCH_US = int(datetime(REFERENCE.year, REFERENCE.month, REFERENCE.day, tzinfo=UTC).timestamp()) * 1_000_000


def full_rows(plan: Plan, feed: str, start: int, count: int) -> pl.DataFrame:
    """Rows of people ``start`` to ``start + count - 1``; the row number is left null for summaries."""
    population = population_of(plan)
    if feed == PDS_PATIENT.name:
        return patient_rows(start, count, population)
    make = header_rows if plan.summaries == "headers" else summary_rows
    return make(population.people(start, count), population)


def row_count(plan: Plan, feed: str, start: int, count: int) -> int:
    """How many rows ``full_rows`` gives, without making them."""
    if feed == PDS_PATIENT.name:
        return count
    population = population_of(plan)
    return len(subjects(population.people(start, count), population, named=False).index)


def population_of(plan: Plan) -> Population:
    """The plan's population, one a process."""
    return population(plan.seed, plan.rates)


@lru_cache(maxsize=1)
def population(seed: int, rates: Rates = RATES) -> Population:
    """The population of a seed, one a process."""
    return Population(seed, rates)


def number_changes(population: Population, patients: int) -> pl.DataFrame:
    """Superseded and invalidated numbers of a population of this size, in order of recording."""
    old, new = _superseded(population, patients)
    invalid = _invalidated(population, patients)
    personas = [*SUPERSEDED.items(), *((number, None) for number in INVALIDATED)]
    frame = pl.DataFrame(
        {
            "nhs_number": [*(old for old, _ in personas), *map(str, old.tolist()), *map(str, invalid.tolist())],
            "new_nhs_number": [*(new for _, new in personas), *map(str, new.tolist()), *([None] * len(invalid))],
        },
        schema={"nhs_number": pl.String, "new_nhs_number": pl.String},
    )
    where = frame["nhs_number"].cast(pl.Int64).to_numpy()
    before = (population.draws.unit("number change", where) * _PAST_DAYS * 86_400).astype(np.int64) * 1_000_000
    recorded = pl.Series(_EPOCH_US - 1_000_000 - before).cast(pl.Datetime("us", "UTC"))
    return number_change_rows(frame.with_columns(recorded.alias("recorded_at")).sort("recorded_at", "nhs_number"))


def number_change_rows(changes: pl.DataFrame) -> pl.DataFrame:
    """Feed rows from nhs_number, new_nhs_number (null: invalidated) and recorded_at, numbered from 1."""
    new = pl.col("new_nhs_number")
    made = changes.with_columns(
        action=pl.lit("new"),
        # Old and new number, as the catalogue of feeds says (services.md 19.7).
        source_key=pl.concat_str("nhs_number", pl.lit("-"), new.fill_null("none")),
        row_no=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
        change_type=pl.when(new.is_null()).then(pl.lit("invalidated")).otherwise(pl.lit("superseded")),
    )
    schema = PDS_NUMBER_CHANGE.polars_schema
    return made.select(
        [
            (pl.col(name) if name in made.columns else pl.lit(None)).cast(dtype).alias(name)
            for name, dtype in schema.items()
        ]
    )


def _superseded(population: Population, patients: int) -> tuple[I64, I64]:
    """Old and new numbers: one person in each group of ``superseded_group`` had another number."""
    size = population.rates.superseded_group
    groups = np.arange(patients // size, dtype=np.int64)
    members = groups * size + population.draws.below("superseded member", groups, size)
    kept = members >= len(PERSONAS)
    groups, members = groups[kept], members[kept]
    numbers = population.numbers
    old, new = numbers.numbers(SUPERSEDED_START + groups), numbers.numbers(members)
    chained = groups[groups % _CHAIN_EVERY == 0]
    older = numbers.numbers(SUPERSEDED_START + _OLDER + chained)
    return np.concatenate([old, older]), np.concatenate([new, numbers.numbers(SUPERSEDED_START + chained)])


def _invalidated(population: Population, patients: int) -> I64:
    """Numbers of the records that are REDACTED."""
    found = [
        positions[record_kinds(population, positions) == 3]
        for positions in _ranges(len(PERSONAS), patients)
        if len(positions)
    ]
    return population.numbers.numbers(np.concatenate(found) if found else np.zeros(0, dtype=np.int64))


def _ranges(start: int, end: int) -> Iterator[I64]:
    for begin in range(start, end, _SCAN):
        yield np.arange(begin, min(begin + _SCAN, end), dtype=np.int64)
