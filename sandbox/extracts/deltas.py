"""Rows of a later day: what changed, feed by feed.

Belongs here: replaying the touched people and sorting their changes into feeds. Does not belong
here: what an event does (``apply.py``), newcomers' rows (``newcomers.py``).
A touched person's record is made as it was on day 0, the events of the days between are applied
again, then today's: no earlier file is read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from sandbox.extracts.apply import Row, happen
from sandbox.extracts.events import Events, earlier_events, events_of_day
from sandbox.extracts.full import CHANGES, number_change_rows
from sandbox.extracts.materials import Material, event_date, material_of
from sandbox.extracts.newcomers import frame_of, newcomer_rows
from sandbox.extracts.plan import Plan
from sandbox.population.dates import day_number
from sandbox.population.people import Population
from sandbox.population.rows import chosen_rows
from sandbox.population.summaries import as_headers, header_rows, later_summary_rows
from schemas.feeds import SCR_SUMMARY


def delta_rows(plan: Plan, population: Population) -> dict[str, pl.DataFrame]:
    """Frames of the plan's day by feed; row numbers are left to the writer."""
    today = events_of_day(plan, population, plan.day)
    replay = _Replay(plan, population, today)
    patients = [row for row, event in zip(replay.rows, replay.today, strict=True) if replay.changed(event)]
    patients += newcomer_rows(plan, population)
    return {
        "pds_number_change": replay.number_changes(),
        "pds_patient": frame_of(patients).sort("recorded_at", "nhs_number"),
        "scr_summary": as_headers(replay.summaries()) if plan.summaries == "headers" else replay.summaries(),
    }


class _Replay:
    """Records of the people touched today, as they are after today's events."""

    def __init__(self, plan: Plan, population: Population, today: Events) -> None:
        self._plan, self._population = plan, population
        self._positions = today.position
        self.rows: list[Row] = chosen_rows(today.position, population).to_dicts() if len(today) else []
        self._place = {position: place for place, position in enumerate(today.position.tolist())}
        self._withdrawn: set[int] = set()
        earlier = earlier_events(plan, population, today.position)
        for event in material_of(earlier, plan, population):
            self._again(event)
        self._old_numbers = [row["nhs_number"] for row in self.rows]
        self.today = material_of(today, plan, population)
        self._changed = {event["position"] for event in self.today if happen(self._row(event), event)}

    def _row(self, event: Material) -> Row:
        return self.rows[self._place[event["position"]]]

    def _again(self, event: Material) -> None:
        """An event of an earlier day."""
        happen(self._row(event), event)
        if event["kind"] == "withdraw":
            self._withdrawn.add(event["position"])
        elif event["kind"] == "summary":
            self._withdrawn.discard(event["position"])

    def changed(self, event: Material) -> bool:
        """Whether today's event changed the person's demographic record."""
        return event["position"] in self._changed

    def number_changes(self) -> pl.DataFrame:
        """Numbers superseded or invalidated today."""
        found = []
        for event, row, old in zip(self.today, self.rows, self._old_numbers, strict=True):
            if event["kind"] in ("supersede", "invalidate") and self.changed(event):
                new = row["nhs_number"] if event["kind"] == "supersede" else None
                found.append({"nhs_number": old, "new_nhs_number": new, "recorded_at": event["moment"]})
        return number_change_rows(pl.DataFrame(found, schema=CHANGES).sort("recorded_at"))

    def _having_summary(self) -> set[str]:
        """First numbers of touched people who had a summary on day 0."""
        if not len(self._positions):
            return set()
        return set(header_rows(self._population.chosen(self._positions), self._population)["nhs_number"])

    def summaries(self) -> pl.DataFrame:
        """Summaries replaced today, and those withdrawn."""
        frames = [self._replaced(), self._removed()]
        return pl.concat(frames).sort("recorded_at", "nhs_number")

    def _replaced(self) -> pl.DataFrame:
        wanted = [place for place, event in enumerate(self.today) if event["kind"] == "summary"]
        if not wanted:
            return pl.DataFrame(schema=SCR_SUMMARY.polars_schema)
        people = self._population.chosen(self._positions[np.array(wanted)])
        rows = frame_of([self.rows[place] for place in wanted])
        day = day_number(event_date(self._plan, self._plan.day))
        made = later_summary_rows(people, self._population, day, rows)
        again = {self.rows[place]["nhs_number"] for place in wanted if self.today[place]["position"] in self._withdrawn}
        back = pl.col("nhs_number").is_in(sorted(again))
        return made.with_columns(action=pl.when(back).then(pl.lit("new")).otherwise(pl.lit("update")))

    def _removed(self) -> pl.DataFrame:
        """Deletes: withdrawn by the practice, opted out, or of a number invalidated today."""
        having = self._having_summary()
        first = self._population.numbers.numbers(self._positions)
        found: list[dict[str, Any]] = []
        for place, event in enumerate(self.today):
            reason = _removal_reason(event, self.changed(event))
            there = str(int(first[place])) in having and event["position"] not in self._withdrawn
            if reason is not None and there and self.rows[place]["security"] in ("U", "REDACTED"):
                number = self._old_numbers[place]
                row = {"action": "delete", "source_key": number, "nhs_number": number, "delete_reason": reason}
                found.append(row | {"recorded_at": event["moment"], "deleted_at": event["moment"]})
        return pl.DataFrame(found, schema=SCR_SUMMARY.polars_schema)


def _removal_reason(event: Material, changed: bool) -> str | None:
    if event["kind"] == "withdraw":
        return "permission No" if event["chance"] < 0.5 else "withdrawn"
    return "NHS number invalidated" if event["kind"] == "invalidate" and changed else None
