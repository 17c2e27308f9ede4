"""People who appear on a later day: births and new registrations.

Belongs here: their first rows. Does not belong here: events of people who are already there.
A newborn has the family name and the address of a woman of child-bearing age (her record as it
was at first); one in four is still called BABY.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from sandbox.extracts.events import ADDED, KINDS, Events, added_people
from sandbox.extracts.materials import Material, material_of
from sandbox.extracts.plan import Plan
from sandbox.population.dates import NEVER, day_number
from sandbox.population.people import FEMALE, Population
from sandbox.population.personas import PERSONAS, mother_of
from sandbox.population.randomness import I64
from sandbox.population.rows import chosen_rows
from schemas.feeds import PDS_PATIENT
from schemas.fields import CURRENT

Row = dict[str, Any]
_TRIES = 64
_STILL_BABY = 0.25  # assumption
_KEPT = ("birth_date", "gender", "names", "birth_place", "language", "interpreter_required", "telecoms")


def newcomer_rows(plan: Plan, population: Population) -> list[Row]:
    """Rows of the births and registrations of the plan's day, action new, version 1."""
    events = added_people(plan, population)
    if not len(events):
        return []
    facts = material_of(events, plan, population)
    born = events.kind == len(KINDS) + ADDED.index("birth")
    mothers = _mothers(events, plan, population)
    numbers = population.numbers.numbers(events.position)
    own = chosen_rows(events.position, population).to_dicts()
    parents = chosen_rows(mothers, population).to_dicts()
    made = []
    for place, event in enumerate(facts):
        row = _newborn(event, parents[place]) if born[place] else _registered(event, own[place])
        made.append(_as_new(row, str(int(numbers[place])), event))
    return made


def _mothers(events: Events, plan: Plan, population: Population) -> I64:
    """A mother for each event: the first of a few random people who is a living woman of 18 to 44."""
    where = (events.where[:, None] * _TRIES + np.arange(_TRIES)).ravel()
    span = max(plan.patients - len(PERSONAS), 1)
    tried = len(PERSONAS) + population.draws.below("mother", where, span)
    people = population.chosen(tried)
    age = (day_number(plan.base) - people.birth) / 365.25
    fits = (people.sex == FEMALE) & (people.death == NEVER) & (age >= 18) & (age < 45)
    chosen = fits.reshape(-1, _TRIES).argmax(axis=1)
    found: I64 = tried.reshape(-1, _TRIES)[np.arange(len(events)), chosen]
    return found


def _newborn(event: Material, mother: Row) -> Row:
    row: Row = dict.fromkeys(PDS_PATIENT.polars_schema)
    name = next((name for name in mother["names"] or () if name["use"] == "usual"), {"family": event["family"]})
    given = "BABY" if event["chance"] < _STILL_BABY else event["given"]
    row["names"] = [_usual_name([given], name["family"], event["date"])]
    row["gender"] = "male" if event["sex"] else "female"
    row["birth_date"], row["birth_order"] = event["date"], 8
    homes = [address for address in mother["addresses"] or () if address["state"] == CURRENT]
    row["addresses"] = [{**address, "id": "A1", "start": event["date"]} for address in homes[:1]] or None
    row["related_persons"] = [mother_of(f"R{mother['nhs_number'][2:9]}", mother["nhs_number"])]
    return row


def _registered(event: Material, drawn: Row) -> Row:
    """Someone who registers for the first time: what the population says of them, at a new address."""
    row: Row = dict.fromkeys(PDS_PATIENT.polars_schema)
    row |= {name: drawn[name] for name in _KEPT}
    address = {name: event[name] for name in ("lines", "postcode", "keys")}
    more = {"state": CURRENT, "id": "A1", "use": "home", "text": None, "start": event["date"], "end": None}
    row["addresses"] = [more | address]
    row["general_practitioner"] = {"id": "G1", "code": event["practice"], "start": event["date"], "end": None}
    return row


def _usual_name(given: list[str], family: str, start: str) -> Row:
    return {
        "state": CURRENT,
        "id": "N1",
        "use": "usual",
        "start": start,
        "end": None,
        "prefix": None,
        "given": given,
        "family": family,
        "suffix": None,
    }


def _as_new(row: Row, number: str, event: Material) -> Row:
    row |= {"action": "new", "nhs_number": number, "source_key": number, "version_id": 1, "security": "U"}
    row |= {"verification": "01", "effective_from": event["date"], "recorded_at": event["moment"]}
    return row


def frame_of(rows: list[Row]) -> pl.DataFrame:
    """Rows as a frame of the feed's columns."""
    return pl.DataFrame(rows, schema=PDS_PATIENT.polars_schema, orient="row")
