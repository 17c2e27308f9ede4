"""What events bring with them: a new address, name, telephone, practice, time.

Belongs here: drawing the new values of many events at once. Does not belong here: which events
there are, how a record takes the values in.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from sandbox.extracts.events import KINDS, Events, as_frame, events_of_day, reissued_slots
from sandbox.extracts.plan import Plan
from sandbox.population.dates import day_number
from sandbox.population.family_names import family_names
from sandbox.population.given_names import given_names
from sandbox.population.homes import address_fields, address_parts
from sandbox.population.numbers import REISSUED_START
from sandbox.population.people import Population
from sandbox.population.places import places
from sandbox.population.randomness import I64
from sandbox.population.telecoms import mobile

Material = dict[str, Any]
_NEWBORN_GROUP = 12 * 2  # the table of British names of the 2020s, female; male is one further


def material_of(events: Events, plan: Plan, population: Population) -> list[Material]:
    """One dictionary an event: kind, position, day text, moment, and new values it may use."""
    where, draws = events.where, population.draws
    community = population.chosen(events.position).community if len(events) else events.day
    place = places().draw(draws, "event place", where, community)
    house = 1 + draws.below("event house", where, 150)
    address = address_fields(address_parts(draws, place, house, np.zeros(len(events), dtype=np.int64)))
    practice = places().practice(place, draws.below("event practice", where, 20))
    sex = draws.below("event sex", where, 2)
    family = family_names().draw(draws, "event family", where, community * 2 + 1)
    given = given_names().draw(draws, "event given", where, _NEWBORN_GROUP + sex)
    frame = as_frame(events).with_columns(
        **address,
        practice=places().practice_codes(practice),
        family=family_names().text(family),
        given=given_names().text(given),
        sex=pl.Series(sex),
        mobile=mobile(draws, "event mobile", where),
        chance=pl.Series(draws.unit("event chance", where)),
        date=_dates(events.day, plan),
        moment=_moments(events, plan, population),
        new_number=_new_numbers(events, plan, population),
    )
    return frame.to_dicts()


def event_date(plan: Plan, day: int) -> date:
    """The calendar day on which the events of a day happen: the one before the as-at time."""
    return plan.base + timedelta(days=day - 1)


def _dates(days: I64, plan: Plan) -> pl.Series:
    first = event_date(plan, 0)
    return pl.Series([(first + timedelta(days=day)).isoformat() for day in days.tolist()], dtype=pl.String)


def _moments(events: Events, plan: Plan, population: Population) -> pl.Series:
    """When the source recorded each event: within the window, 03:00 to 03:00 UTC."""
    start = (day_number(event_date(plan, 0)) + events.day) * 86_400 + 3 * 3_600
    second = population.draws.below("event second", events.where, 86_400)
    return pl.Series((start + second) * 1_000_000).cast(pl.Datetime("us", "UTC"))


def _new_numbers(events: Events, plan: Plan, population: Population) -> pl.Series:
    """The number that follows a superseded one; for other kinds null."""
    superseded = KINDS.index("supersede")
    slots = np.full(len(events), -1, dtype=np.int64)
    for day in np.unique(events.day[events.kind == superseded]).tolist():
        whole = events_of_day(plan, population, day)
        struck = whole.position[whole.kind == superseded]
        first = reissued_slots(plan, population, day)
        for order, position in enumerate(struck.tolist()):
            slots[(events.day == day) & (events.position == position)] = first + order
    numbers = population.numbers.numbers(REISSUED_START + np.maximum(slots, 0))
    texts = pl.Series(numbers).cast(pl.String)
    missing = np.flatnonzero(slots < 0)
    return texts.scatter(missing, None) if len(missing) else texts
