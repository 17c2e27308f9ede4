"""Properties of the population: any slice is the same slice, any event keeps a record well formed."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.extracts.apply import happen
from sandbox.extracts.events import KINDS, Events
from sandbox.extracts.materials import Material, material_of
from sandbox.extracts.plan import Plan
from sandbox.population.demographics import people
from sandbox.population.people import Population
from sandbox.population.personas import PERSONAS
from sandbox.population.randomness import Draws, choice_table
from sandbox.population.rows import chosen_rows
from schemas.fhir.envelope import read_line, write_line

SEED, PEOPLE = 21, 4_000
CALM = settings(deadline=None, max_examples=25, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@lru_cache(maxsize=1)
def crowd() -> pl.DataFrame:
    return people(PEOPLE, SEED)


@lru_cache(maxsize=1)
def population() -> Population:
    return Population(SEED)


@CALM
@given(st.integers(0, PEOPLE - 1), st.integers(0, 700))
def test_any_slice_is_the_same_slice(start: int, count: int) -> None:
    count = min(count, PEOPLE - start)
    assert people(count, SEED, start).equals(crowd().slice(start, count))


@CALM
@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=20), st.integers(0, 2**31))
def test_choices_come_out_by_weight(weights: list[float], seed: int) -> None:
    table = choice_table(weights, 12)
    shares = np.bincount(table, minlength=len(weights)) / len(table)
    assert np.abs(shares - np.array(weights) / sum(weights)).max() <= 1 / 2**12
    drawn = Draws(seed).pick("test", np.arange(500, dtype=np.int64), table)
    assert drawn.min() >= 0
    assert drawn.max() < len(weights)


@CALM
@given(st.integers(0, 2**31), st.integers(1, 2**31 - 1))
def test_draws_stay_in_their_range(seed: int, bound: int) -> None:
    where = np.arange(200, dtype=np.int64)
    drawn = Draws(seed).below("range", where, bound)
    assert drawn.min() >= 0
    assert drawn.max() < bound
    unit = Draws(seed).unit("range", where)
    assert unit.min() >= 0
    assert unit.max() < 1


def _materials(position: int, kinds: list[int]) -> list[Material]:
    days = np.arange(1, len(kinds) + 1, dtype=np.int64)
    events = Events(days, np.array(kinds, dtype=np.int64), np.full(len(kinds), position, dtype=np.int64))
    plan = Plan(Path("unused"), PEOPLE, SEED, len(kinds) + 1, date(2026, 3, 2))
    # The number that a supersession gives is looked up among the day's events: here any will do.
    return [event | {"new_number": "9999999999"} for event in material_of(events, plan, population())]


@CALM
@given(
    st.integers(len(PERSONAS), PEOPLE - 1),
    st.lists(st.integers(0, len(KINDS) - 1), min_size=1, max_size=6),
)
def test_any_run_of_events_keeps_a_record_well_formed(position: int, kinds: list[int]) -> None:
    row = chosen_rows(np.array([position], dtype=np.int64), population()).to_dicts()[0]
    for event in _materials(position, kinds):
        before = row["version_id"]
        changed = happen(row, event)
        expected = before + 1 if event["kind"] != "supersede" else 1
        assert row["version_id"] == (expected if changed else before)
        as_at = f"{event['date']}T23:59:59+00:00"
        assert read_line("pds_patient", write_line("pds_patient", row), row["row_no"], as_at) == row
