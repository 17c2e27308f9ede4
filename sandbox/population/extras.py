"""The sparse columns of a patient's row: death, birth place, preferences, consents, former values.

Belongs here: structs and lists that few people have. Does not belong here: traits (``traits.py``).
A struct column is null as a whole where nothing is known.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from sandbox.population.communities import COMMUNITIES
from sandbox.population.dates import day_texts
from sandbox.population.lists import LongTable, grouped
from sandbox.population.places import places
from sandbox.population.randomness import I64, Flags
from sandbox.population.traits import Traits
from schemas.feeds import PDS_PATIENT

_FORMATS = pl.Series(["11", "12", "13"], dtype=pl.String)
_METHODS = pl.Series(["1", "3", "4", "5", "8"], dtype=pl.String)
_TIMES = pl.Series(["Not after 7pm", "Mornings", "Weekdays 9 to 5", "Evenings"], dtype=pl.String)
_SLOTS = 2
_BIRTHS = [community.births or (("", "GBR"),) for community in COMMUNITIES]
_CITIES = pl.Series([births[slot % len(births)][0] for births in _BIRTHS for slot in range(_SLOTS)], dtype=pl.String)
_COUNTRIES = pl.Series([births[slot % len(births)][1] for births in _BIRTHS for slot in range(_SLOTS)], dtype=pl.String)


def struct_or_null(column: str, parts: dict[str, pl.Series], keep: Flags) -> pl.Series:
    """Struct column of a pds_patient field with these parts (others null); null where not ``keep``."""
    dtype = PDS_PATIENT.polars_schema[column]
    if not isinstance(dtype, pl.Struct):
        raise TypeError(f"Column {column} is no struct.")
    frame = pl.DataFrame({"_keep": pl.Series(keep)}).with_columns(
        [(pl.lit(parts[f.name]) if f.name in parts else pl.lit(None)).cast(f.dtype).alias(f.name) for f in dtype.fields]
    )
    names = [field.name for field in dtype.fields]
    return frame.select(pl.when("_keep").then(pl.struct(names)).alias(column))[column]


class Extras:
    """The sparse columns of the people of a chunk."""

    def __init__(self, traits: Traits) -> None:
        self._traits, self._people, self._draws = traits, traits.people, traits.draws
        self._rates, self._index = traits.rates, traits.index

    def _below(self, stream: str, bound: int) -> I64:
        return self._draws.below(stream, self._index, bound)

    def deaths(self) -> dict[str, pl.Series]:
        """deceased, death_status, death_status_date."""
        day = day_texts(self._people.death)
        frame = pl.DataFrame({"d": day, "hour": pl.Series(self._below("death hour", 24))})
        clock = pl.col("hour").cast(pl.String).str.zfill(2)
        moment = frame.select(
            at=pl.concat_str("d", pl.lit("T"), clock, pl.lit(":00:00+00:00")),
            known=pl.concat_str("d", pl.lit("T23:30:00+00:00")),
        )
        informal = self._traits.chance("informal", self._rates.informal_death)
        status = pl.Series(["2", "1"], dtype=pl.String).gather(informal.astype(np.int64))
        blank, dead = self._traits.blank, self._traits.dead
        return {
            "deceased": blank(moment["at"], dead),
            "death_status": blank(status, dead),
            "death_status_date": blank(moment["known"], dead),
        }

    def birth_places(self) -> pl.Series:
        """City and country; for the British community the post town of the home."""
        traits, slot = self._traits, self._below("birth place slot", _SLOTS)
        code = self._people.community * _SLOTS + slot
        city, town = _CITIES.gather(code), places().town.gather(self._people.place)
        local = (city == "").to_numpy() | traits.chance("born here", 0.45)
        here = pl.Series(local)
        city = pl.select(pl.when(here).then(pl.lit(town)).otherwise(pl.lit(city))).to_series()
        country = pl.select(pl.when(here).then(pl.lit("GBR")).otherwise(pl.lit(_COUNTRIES.gather(code)))).to_series()
        keep = traits.chance("birth place", self._rates.birth_place) & ~traits.near_empty
        return struct_or_null("birth_place", {"city": city, "country": country}, keep)

    def preferences(self) -> pl.Series:
        """Preferred written format, method and times; any of them may be missing."""
        kind = self._below("preference kind", 4)
        blank = self._traits.blank
        parts = {
            "written_format": blank(_FORMATS.gather(self._below("written format", 3)), kind == 0),
            "method": blank(_METHODS.gather(self._below("contact method", 5)), kind > 0),
            "times": blank(_TIMES.gather(self._below("contact times", 4)), kind > 1),
        }
        keep = self._traits.chance("preference", self._rates.contact_preference) & ~self._traits.near_empty
        return struct_or_null("contact_preference", parts, keep)

    def consents(self) -> pl.Series:
        """Record-sharing consent (type 4): consent or dissent."""
        wanted = self._traits.chance("consent", self._rates.consent) & ~self._traits.near_empty
        rows = np.flatnonzero(wanted)
        value = pl.Series(["1", "2"], dtype=pl.String).gather(self._draws.below("consent value", self._index[rows], 2))
        table = LongTable("pds_patient", "consents")
        table.add(rows, {"type": "4", "value": value})
        return table.column_of(len(self._index))

    def former_genders(self) -> pl.Series:
        """A gender recorded before, for very few."""
        rows = np.flatnonzero(self._traits.chance("former gender", 0.0008) & ~self._traits.near_empty)
        other = pl.Series(["male", "female"], dtype=pl.String).gather(self._people.sex[rows])
        return grouped(other.alias("former_genders"), rows, len(self._index))

    def former_birth_dates(self) -> pl.Series:
        """A birth date recorded before and corrected: day and month apart by up to a month."""
        rows = np.flatnonzero(self._traits.chance("former birth date", 0.001) & ~self._traits.near_empty)
        wrong = self._people.birth[rows] - 1 - self._draws.below("wrong birth date", self._index[rows], 30)
        return grouped(day_texts(wrong).alias("former_birth_dates"), rows, len(self._index))

    def practices(self) -> pl.Series:
        """Registered practice with the day of registration."""
        code = self._traits.practices()
        since = self._traits.ends - self._below("practice since", 5_000)
        start = day_texts(np.maximum(since, self._people.birth))
        identity = pl.Series(["G1"] * len(code), dtype=pl.String)
        parts = {"id": identity, "code": code, "start": start}
        return struct_or_null("general_practitioner", parts, code.is_not_null().to_numpy())

    def removals(self) -> pl.Series:
        """Removal from registration."""
        frame = self._traits.removals()
        parts = {"code": frame["code"], "start": frame["start"]}
        return struct_or_null("removal", parts, frame["code"].is_not_null().to_numpy())
