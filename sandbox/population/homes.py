"""The addresses column: home, earlier homes, temporary and hidden addresses with their periods.

Belongs here: who lived where when. Does not belong here: streets and postcodes (``places.py``).
Members of a household share its earlier homes as far back as each was alive.
Order in the list: home, temporary, then history, then hidden.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from sandbox.population.dates import day_texts
from sandbox.population.households import CARE_HOME, STUDENT_HALL
from sandbox.population.lists import LongTable, grouped, texts
from sandbox.population.places import places
from sandbox.population.randomness import I64, Draws
from sandbox.population.traits import Traits
from schemas.fields import CURRENT, HIDDEN, HISTORIC

MOST_MOVES = 7
_YEARS_BETWEEN_MOVES = 8.0  # assumption
_HOME_NAMES = [
    "The Willows",
    "Rowan Court",
    "Elm House",
    "St Anne's Lodge",
    "Beech Lawn",
    "The Laurels",
    "Park View",
    "Ashgrove",
]
_HALL_NAMES = ["Newton Hall", "Turing Court", "Franklin House", "Brunel Hall", "Lovelace Court", "Darwin House"]
_KEY_TYPES = pl.Series(["PAF", "UPRN"], dtype=pl.String)
_PSEUDO = pl.Series(["ZZ99 3CZ", "ZZ99 3AZ", "ZZ99 3WZ", "ZZ99 7CZ"], dtype=pl.String)
_TEMPORARY = pl.Series(
    ["Student Accommodation", "Temporary Residence Address", "Respite Care Address", "Second Home", "Holiday Home"],
    dtype=pl.String,
)


def address_parts(draws: Draws, place: I64, house: I64, kind: I64) -> pl.DataFrame:
    """Columns building, street, town, postcode, keys: the same place and house give the same texts.

    A place is a position in the sorted postcodes; ``kind`` the household kind (communal homes
    have a building's name).
    """
    tables = places()
    door = place * 4_096 + house
    return pl.DataFrame(
        {
            "building": _buildings(draws, door, kind),
            "number": pl.Series(house).cast(pl.String),
            "name": tables.street(place),
            "town": tables.town.gather(place),
            "postcode": tables.postcode.gather(place),
            "keys": _keys(draws, door),
        }
    ).select("building", pl.concat_str("number", "name", separator=" ").alias("street"), "town", "postcode", "keys")


def address_fields(parts: pl.DataFrame) -> dict[str, pl.Series]:
    """Fields lines, postcode and keys from the columns of ``address_parts``."""
    lines = texts(parts["building"], parts["street"], parts["town"])
    return {"lines": lines, "postcode": parts["postcode"], "keys": parts["keys"]}


def _buildings(draws: Draws, door: I64, kind: I64) -> pl.Series:
    """Flat, care home or hall of residence; null for a house."""
    flats = pl.Series([f"Flat {number}" for number in range(1, 25)], dtype=pl.String)
    names = pl.concat([flats, pl.Series(_HOME_NAMES), pl.Series(_HALL_NAMES)])
    code = draws.below("flat number", door, 24)
    code = np.where(kind == CARE_HOME, 24 + code % len(_HOME_NAMES), code)
    code = np.where(kind == STUDENT_HALL, 24 + len(_HOME_NAMES) + code % len(_HALL_NAMES), code)
    house = (kind != CARE_HOME) & (kind != STUDENT_HALL) & ~draws.chance("flat", door, 0.16)
    return names.gather(code).scatter(np.flatnonzero(house), None)


def _keys(draws: Draws, door: I64) -> pl.Series:
    """UPRN for three in four, and a PAF key for two in three of those."""
    has_uprn, has_paf = draws.chance("uprn", door, 0.75), draws.chance("paf", door, 0.66)
    uprn = 100_000_000_000 + draws.below("uprn value", door, 900_000_000)
    paf = 10_000_000 + draws.below("paf value", door, 89_999_999)
    # PAF before UPRN: two slots a door, kept where there is a key.
    present = np.flatnonzero(np.column_stack([has_uprn & has_paf, has_uprn]).ravel())
    owner, slot = np.divmod(present, 2)
    value = np.where(slot == 0, paf[owner], uprn[owner])
    frame = pl.DataFrame({"type": _KEY_TYPES.gather(slot), "value": pl.Series(value).cast(pl.String)})
    return grouped(frame.to_struct("keys"), owner, len(door))


class Homes:
    """The addresses of the people of a chunk."""

    def __init__(self, traits: Traits) -> None:
        self._traits, self._people, self._draws = traits, traits.people, traits.draws
        self._rates = traits.rates
        self._housed = ~traits.near_empty

    def column(self) -> pl.Series:
        """The addresses column of the feed."""
        table = LongTable("pds_patient", "addresses")
        starts = self._starts()
        self._current(table, starts[:, 0])
        self._temporary(table)
        self._earlier(table, starts)
        self._hidden(table)
        return table.column_of(len(self._people))

    def _starts(self) -> I64:
        """Day on which each home began, newest first, [people, MOST_MOVES + 1]; the birth at the latest."""
        people = self._people
        gaps = np.empty((len(people), MOST_MOVES + 1))
        for step in range(MOST_MOVES + 1):
            uniform = self._draws.unit(f"stay {step}", people.head)
            gaps[:, step] = 30 - np.log1p(-uniform) * _YEARS_BETWEEN_MOVES * 365
        starts = self._traits.ends[:, None] - np.cumsum(gaps, axis=1).astype(np.int64)
        return np.maximum(starts, people.birth[:, None])

    def _current(self, table: LongTable, start: I64) -> None:
        people, draws = self._people, self._draws
        rows = np.flatnonzero(self._housed)
        parts = address_parts(draws, people.place[rows], people.house[rows], people.kind[rows])
        fields = address_fields(self._without_home(rows, parts))
        table.add(rows, {"state": CURRENT, "id": "A1", "use": "home", "start": day_texts(start[rows]), **fields})

    def _without_home(self, rows: I64, parts: pl.DataFrame) -> pl.DataFrame:
        """No fixed abode, other pseudo postcodes, no postcode at all."""
        rates, where = self._rates, self._people.index[rows]
        bounds = np.cumsum([rates.no_fixed_abode, rates.pseudo_postcode, rates.no_postcode])
        fate = np.searchsorted(bounds, self._draws.unit("no home", where))
        pseudo = _PSEUDO.gather(self._draws.below("pseudo", where, 4))
        frame = parts.with_columns(pl.Series("fate", fate), pl.Series("pseudo", pseudo))
        nowhere, unknown = pl.col("fate") == 0, pl.col("fate") == 2
        return frame.select(
            building=pl.when(~nowhere).then("building"),
            street=pl.when(nowhere).then(pl.lit("No fixed abode")).otherwise("street"),
            town=pl.when(~nowhere).then("town"),
            postcode=pl.when(nowhere)
            .then(pl.lit("ZZ99 3VZ"))
            .when(pl.col("fate") == 1)
            .then("pseudo")
            .when(~unknown)
            .then("postcode"),
            keys=pl.when(pl.col("fate") > 1).then("keys"),
        )

    def _temporary(self, table: LongTable) -> None:
        """A second address for up to ninety days, still running or just ended."""
        people, draws = self._people, self._draws
        wanted = self._traits.chance("temporary", self._rates.temporary_address)
        rows = np.flatnonzero(wanted & self._housed & ~self._traits.dead & (self._traits.age > 0.5))
        place = places().draw(draws, "temporary place", people.index[rows], people.community[rows])
        house = 1 + draws.below("temporary house", people.index[rows], 90)
        start = self._traits.ends[rows] - draws.below("temporary start", people.index[rows], 60)
        fields = address_fields(address_parts(draws, place, house, np.zeros(len(rows), dtype=np.int64)))
        fields["text"] = _TEMPORARY.gather(draws.below("temporary text", people.index[rows], len(_TEMPORARY)))
        fields |= {"start": day_texts(start), "end": day_texts(start + 90)}
        table.add(rows, {"state": CURRENT, "id": "A9", "use": "temp", **fields})

    def _earlier(self, table: LongTable, starts: I64) -> None:
        people, draws = self._people, self._draws
        uniform = draws.unit("moves", people.index)
        moves = np.minimum(-np.log1p(-uniform) * self._rates.moves_mean, MOST_MOVES).astype(np.int64)
        for step in range(1, MOST_MOVES + 1):
            # Only homes that ended after the person was born.
            rows = np.flatnonzero((moves >= step) & (starts[:, step - 1] > people.birth) & self._housed)
            place, house = self._earlier_home(rows, step)
            fields = address_fields(address_parts(draws, place, house, np.zeros(len(rows), dtype=np.int64)))
            fields |= {"start": day_texts(starts[rows, step]), "end": day_texts(starts[rows, step - 1])}
            table.add(rows, {"state": HISTORIC, "id": f"A{1 + step}", "use": "home", **fields})

    def _earlier_home(self, rows: I64, step: int) -> tuple[I64, I64]:
        """Six in ten earlier homes were close by."""
        people, draws, head = self._people, self._draws, self._people.head[rows]
        far = places().draw(draws, f"earlier place {step}", head, people.community[rows])
        shift = draws.below(f"earlier shift {step}", head, 4_000) - 2_000
        near = np.clip(people.place[rows] + shift, 0, len(places().postcode) - 1)
        place = np.where(draws.chance(f"earlier near {step}", head, 0.6), near, far)
        return place, 1 + draws.below(f"earlier house {step}", head, 120)

    def _hidden(self, table: LongTable) -> None:
        people, draws = self._people, self._draws
        wanted = self._traits.chance("hidden address", self._rates.hidden_value)
        rows = np.flatnonzero(wanted & self._housed)
        place = places().draw(draws, "hidden place", people.index[rows], people.community[rows])
        house = 1 + draws.below("hidden house", people.index[rows], 120)
        fields = address_fields(address_parts(draws, place, house, np.zeros(len(rows), dtype=np.int64)))
        table.add(rows, {"state": HIDDEN, "id": "A10", "use": "home", **fields})
