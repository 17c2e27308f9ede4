"""What happens to whom on which day.

Belongs here: kinds of events, how many a day, and the people they strike. Does not belong here:
what an event does to a record (``apply.py``). A day's events follow from the seed and the day
alone, so any day can be made without the days before; a person has at most one event a day.
Personas have none. A small population still has at least one of each kind a day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from sandbox.extracts.plan import Plan
from sandbox.population.people import Population
from sandbox.population.personas import PERSONAS
from sandbox.population.randomness import I64
from sandbox.population.traits import record_kinds

# In order of precedence when two would strike one person on one day. The name after "day_" is
# the rate's name.
KINDS = (
    "supersede", "invalidate", "restrict", "unrestrict", "death", "withdraw", "name_change", "move", "practice",
    "contact", "summary",
)  # fmt: skip
ADDED = ("birth", "registration")
_SMALLEST = 150  # people; below it only as many events as the rates give
_DAY_SHIFT = 32
_TRIES_FOR_RESTRICTED = 2_000


@dataclass(frozen=True)
class Events:
    """One row an event: day, kind (place in KINDS, or len(KINDS) + place in ADDED), position."""

    day: I64
    kind: I64
    position: I64

    def __len__(self) -> int:
        return len(self.day)

    @property
    def where(self) -> I64:
        """The position for draws about the event."""
        where: I64 = (self.day << _DAY_SHIFT) + self.position
        return where

    def of(self, positions: I64) -> Events:
        """The events of these people only."""
        kept = np.isin(self.position, positions)
        return Events(self.day[kept], self.kind[kept], self.position[kept])


def name_of(kind: int) -> str:
    """The name of a kind."""
    return KINDS[kind] if kind < len(KINDS) else ADDED[kind - len(KINDS)]


def _count(population: Population, patients: int, kind: str, day: int) -> int:
    """How many events of a kind: the rate, rounded up or down by chance, at least one."""
    expected = float(getattr(population.rates, f"day_{kind}")) * patients
    chance = float(population.draws.unit(f"count {kind}", np.array([day]))[0])
    least = 1 if patients >= _SMALLEST else 0
    return max(int(expected + chance), least)


def _struck(population: Population, patients: int, kind: str, day: int) -> I64:
    """Positions struck by a kind of event on a day (repeats possible)."""
    count = _count(population, patients, kind, day)
    tries = count * _TRIES_FOR_RESTRICTED if kind == "unrestrict" else count
    where = (np.int64(day) << _DAY_SHIFT) + np.arange(tries, dtype=np.int64)
    found = len(PERSONAS) + population.draws.below(f"event {kind}", where, max(patients - len(PERSONAS), 1))
    if kind == "unrestrict":
        found = found[record_kinds(population, found) == 1][:count]
    return found[found < patients]


def events_of_day(plan: Plan, population: Population, day: int) -> Events:
    """Events of people of the first extract, by kind, each person once."""
    positions, kinds = [], []
    for place, kind in enumerate(KINDS):
        struck = _struck(population, plan.patients, kind, day)
        positions.append(struck)
        kinds.append(np.full(len(struck), place, dtype=np.int64))
    position, kind_of = np.concatenate(positions), np.concatenate(kinds)
    _, first = np.unique(position, return_index=True)
    first.sort()
    return Events(np.full(len(first), day, dtype=np.int64), kind_of[first], position[first])


def earlier_events(plan: Plan, population: Population, positions: I64) -> Events:
    """All events of these people on the days before the plan's."""
    days = [events_of_day(plan, population, day).of(positions) for day in range(1, plan.day)]
    return Events(
        np.concatenate([found.day for found in days] or [np.zeros(0, dtype=np.int64)]),
        np.concatenate([found.kind for found in days] or [np.zeros(0, dtype=np.int64)]),
        np.concatenate([found.position for found in days] or [np.zeros(0, dtype=np.int64)]),
    )


def added_people(plan: Plan, population: Population) -> Events:
    """Births and registrations of the plan's day, at positions after everyone before them."""
    before = sum(_count(population, plan.patients, kind, day) for day in range(1, plan.day) for kind in ADDED)
    counts = [_count(population, plan.patients, kind, plan.day) for kind in ADDED]
    kind = np.repeat(np.arange(len(ADDED), dtype=np.int64) + len(KINDS), counts)
    position = plan.patients + before + np.arange(len(kind), dtype=np.int64)
    return Events(np.full(len(kind), plan.day, dtype=np.int64), kind, position)


def reissued_slots(plan: Plan, population: Population, day: int) -> int:
    """How many supersessions there were before a day: each takes a number of its own."""
    return sum(_count(population, plan.patients, "supersede", earlier) for earlier in range(1, day))


def as_frame(events: Events) -> pl.DataFrame:
    """Columns day, kind (name), position."""
    names = pl.Series([*KINDS, *ADDED], dtype=pl.String)
    return pl.DataFrame({"day": events.day, "kind": names.gather(events.kind), "position": events.position})
