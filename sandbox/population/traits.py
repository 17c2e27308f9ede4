"""What is special about a record: who is restricted, near-empty, a placeholder, and so on.

Belongs here: yes-or-no traits and the plain columns that hold one code. Does not belong here:
names, addresses, telecoms (their own files).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import polars as pl

from sandbox.population.communities import COMMUNITIES
from sandbox.population.dates import NEVER, REFERENCE, day_number, day_texts
from sandbox.population.people import People, Population
from sandbox.population.places import pharmacy_code, places
from sandbox.population.randomness import F64, I64, Flags

NOW = day_number(REFERENCE)
SECURITY = pl.Series(["U", "R", "V", "REDACTED"], dtype=pl.String)
_REMOVALS = pl.Series(["EMB", "SCT", "NIT", "TRA", "ORR", "AFN", "SDN", "LDN"], dtype=pl.String)
_PHARMACIES = pl.Series([pharmacy_code(number) for number in range(18_000)], dtype=pl.String)
_SUPPLIERS = pl.Series(["FMA01", "FMA02", "FMA03", "FMA04"], dtype=pl.String)
_LANGUAGE_LISTS = [community.languages or ("q4",) for community in COMMUNITIES]
_LANGUAGES = pl.Series([names[place % len(names)] for names in _LANGUAGE_LISTS for place in range(6)], dtype=pl.String)
_HAS_LANGUAGE = np.array([bool(community.languages) for community in COMMUNITIES])


def record_kinds(population: Population, positions: I64) -> I64:
    """Confidentiality of the records at these positions: 0 U, 1 R, 2 V, 3 REDACTED."""
    rates = population.rates
    bounds = np.cumsum([rates.restricted, rates.very_restricted, rates.invalidated])
    order = np.searchsorted(bounds, population.draws.unit("record", positions), side="right")
    return np.array([1, 2, 3, 0], dtype=np.int64)[order]


class Traits:
    """The traits of the people of a chunk. Arrays have one entry a person."""

    def __init__(self, people: People, population: Population) -> None:
        self.people, self.population = people, population
        self.draws, self.rates = population.draws, population.rates
        self.index = people.index
        self._record = self.draws.unit("record", self.index)

    def chance(self, stream: str, share: float | F64) -> Flags:
        """True for about ``share`` of the people."""
        return self.draws.chance(stream, self.index, share)

    @cached_property
    def security(self) -> I64:
        """0 U, 1 R, 2 V, 3 REDACTED."""
        return record_kinds(self.population, self.index)

    @cached_property
    def near_empty(self) -> Flags:
        """Only the number is known."""
        return self._record > 1 - self.rates.near_empty

    @cached_property
    def dead(self) -> Flags:
        """Has died before the reference day."""
        return self.people.death < NEVER

    @cached_property
    def ends(self) -> I64:
        """The last day on which something could change: the reference day, or the death."""
        return np.minimum(self.people.death, NOW - 1)

    @cached_property
    def age(self) -> F64:
        """Age in years on the last day."""
        return (self.ends - self.people.birth) / 365.25

    def blank(self, values: pl.Series, keep: Flags) -> pl.Series:
        """The values where ``keep``; null elsewhere and for near-empty records."""
        missing = np.flatnonzero(~keep | self.near_empty)
        return values.scatter(missing, None) if len(missing) else values

    def birth_dates(self) -> pl.Series:
        """Birth dates as PDS has them: some partial, a few placeholders."""
        full, rates = day_texts(self.people.birth), self.rates
        year_only = rates.placeholder_birth_date + rates.partial_year
        uniform = self.draws.unit("birth date form", self.index)
        form = np.searchsorted([rates.placeholder_birth_date, year_only, year_only + rates.partial_month], uniform)
        for kind, values in ((0, None), (1, full.str.slice(0, 4)), (2, full.str.slice(0, 7))):
            rows = np.flatnonzero(form == kind)
            if len(rows):
                full = full.scatter(rows, "1900-01-01" if values is None else values.gather(rows))
        return self.blank(full, np.ones(len(self.index), dtype=bool))

    def genders(self) -> pl.Series:
        """Administrative gender; a few other and unknown."""
        uniform, rates = self.draws.unit("gender", self.index), self.rates
        code = np.where(uniform < rates.gender_other, 2, self.people.sex)
        code = np.where(uniform > 1 - rates.gender_unknown, 3, code)
        texts = pl.Series(["female", "male", "other", "unknown"], dtype=pl.String).gather(code.astype(np.int64))
        return self.blank(texts, np.ones(len(self.index), dtype=bool))

    def birth_orders(self) -> pl.Series:
        """1 and 2 for twins that are known, 8 or null for the rest."""
        order = np.where(self.people.twin > 0, self.people.twin, 8)
        return self.blank(pl.Series(order.astype(np.int64)), (order < 8) | self.chance("birth order", 0.1))

    def removals(self) -> pl.DataFrame:
        """Reason and time of removal from registration: code, start, end."""
        removed = self.chance("removal", self.rates.removal) & ~self.dead
        codes = _REMOVALS.gather(np.minimum(self.draws.below("removal code", self.index, 11), 7))
        codes = codes.scatter(np.flatnonzero(self.dead), "DEA")
        since = np.where(self.dead, self.people.death, NOW - self.draws.below("removal day", self.index, 2_000) - 1)
        keep = removed | (self.dead & self.chance("removal dead", 0.9))
        start = day_texts(np.maximum(since, self.people.birth))
        code = self.blank(codes, keep)
        return pl.DataFrame({"code": code, "start": self.blank(start, keep), "end": start.clear(len(start))})

    def practices(self) -> pl.Series:
        """ODS code of the practice: none for the dead, the removed and a few more."""
        wander = self.draws.below("practice", self.people.head, 20)
        codes = places().practice_codes(places().practice(self.people.place, wander))
        return self.blank(codes, ~self.dead & ~self.chance("no practice", self.rates.no_practice))

    def pharmacies(self) -> pl.Series:
        """Nominated pharmacy near home."""
        near = (self.people.place // 97 + self.draws.below("pharmacy", self.index, 3)) % 18_000
        keep = ~self.dead & self.chance("has pharmacy", self.rates.nominated_pharmacy)
        return self.blank(_PHARMACIES.gather(near), keep)

    def dispensers(self) -> pl.Series:
        """Dispensing doctor: the person's own practice."""
        return self.blank(self.practices(), self.chance("dispenser", self.rates.dispensing_doctor))

    def suppliers(self) -> pl.Series:
        """Medical appliance supplier."""
        keep = ~self.dead & self.chance("has supplier", self.rates.appliance_supplier)
        return self.blank(_SUPPLIERS.gather(self.draws.below("supplier", self.index, 4)), keep)

    def languages(self) -> pl.Series:
        """Language for communication by community; English is never stored."""
        code = self.people.community * 6 + self.draws.below("language", self.index, 6)
        share = np.where(_HAS_LANGUAGE[self.people.community], self.rates.language, 0.0005)
        return self.blank(_LANGUAGES.gather(code), self.chance("has language", share))

    def interpreters(self, language: pl.Series) -> pl.Series:
        """Whether an interpreter is required; only beside a language."""
        required = pl.Series(self.chance("interpreter", self.rates.interpreter))
        return self.blank(required, language.is_not_null().to_numpy())
