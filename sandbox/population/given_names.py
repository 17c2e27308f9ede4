"""Given names: by community, sex and, for the British lists, decade of birth.

Belongs here: the tables and the draw. Does not belong here: how many names a person has.
Our lists (``given_names.csv``) hold the common names of each decade in order of frequency, as
published by the ONS; weights follow a Zipf-Mandelbrot law. The filler for rarer names comes from
faker and mimesis. The share of the listed names falls over the century: assumption.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib import resources

import numpy as np
import polars as pl

from sandbox.population.communities import COMMUNITIES, NAMES
from sandbox.population.family_names import faker_list, mimesis_person
from sandbox.population.randomness import I32, I64, Draws, choice_table

_BITS = 14
_OFFSET = 3.0
_DECADES = tuple(range(1900, 2030, 10))
# Share of people of a decade whose first name is among the 32 listed.
_LISTED = dict(
    zip(_DECADES, (0.80, 0.80, 0.78, 0.76, 0.74, 0.72, 0.68, 0.64, 0.62, 0.54, 0.46, 0.38, 0.30), strict=True)
)
_COMMUNITY_LISTED = 0.92


def _lists() -> dict[tuple[str, str, str], list[str]]:
    text = (resources.files("sandbox.population") / "given_names.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {(row["community"], row["sex"], row["cohort"]): row["names"].split(";") for row in rows}


class GivenNames:
    """The tables. Group numbers come from ``group``; codes from ``draw``; strings from ``text``."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._code: dict[str, int] = {}
        lists = _lists()
        filler = {sex: self._filler(sex) for sex in "FM"}
        tables = [
            self._table(lists["british", sex, str(decade)], _LISTED[decade], filler[sex])
            for decade in _DECADES
            for sex in "FM"
        ]
        for community in NAMES[1:]:
            for sex in "FM":
                tables.append(self._table(lists[community, sex, ""], _COMMUNITY_LISTED, lists[community, sex, ""]))
        self._tables: I32 = np.concatenate(tables)
        self._text = pl.Series(self._names, dtype=pl.String)
        self._british_share = np.array([1.0, *(community.british_given for community in COMMUNITIES[1:])])

    def _register(self, name: str) -> int:
        if name not in self._code:
            self._code[name] = len(self._names)
            self._names.append(name)
        return self._code[name]

    def _filler(self, sex: str) -> list[str]:
        """Rarer names of one sex, those of faker ten times as likely as those of mimesis.

        The lists of mimesis overlap: names it gives to both sexes are left out.
        """
        word = "male" if sex == "M" else "female"
        common = [*faker_list("en_GB", f"first_names_{word}"), *faker_list("en_IE", f"first_names_{word}")]
        names = mimesis_person()["names"]
        rare = sorted(set(names[word]) - set(names["female" if sex == "M" else "male"]))
        return common * max(1, 10 * len(rare) // len(common)) + rare

    def _table(self, names: list[str], listed: float, filler: list[str]) -> I32:
        weights = 1.0 / (np.arange(len(names)) + _OFFSET)
        weights *= listed / weights.sum()
        options = [self._register(name) for name in (*names, *filler)]
        shares = np.concatenate([weights, np.full(len(filler), (1 - listed) / len(filler))])
        return np.array(options, dtype=np.int32)[choice_table(shares, _BITS)]

    def group(self, community: I64, sex: I64, birth_year: I64, british: I64) -> I64:
        """Table number of each person; ``british`` is 16 random bits that decide for a British name."""
        decade = np.clip((birth_year - _DECADES[0]) // 10, 0, len(_DECADES) - 1)
        own = len(_DECADES) + community - 1
        takes_british = british < self._british_share[community] * 65_536
        group: I64 = np.where(takes_british, decade, own) * 2 + sex
        return group

    def draw(self, draws: Draws, stream: str, where: I64, group: I64) -> I32:
        """A code a position."""
        bits = (draws.bits(stream, where) >> np.uint64(64 - _BITS)).astype(np.int64)
        made: I32 = self._tables[(group << _BITS) + bits]
        return made

    def text(self, codes: I32) -> pl.Series:
        """The names of codes; null for codes below 0."""
        missing = np.flatnonzero(codes < 0)
        names = self._text.gather(np.maximum(codes, 0).astype(np.int64))
        return names.scatter(missing, None) if len(missing) else names


@lru_cache(maxsize=1)
def given_names() -> GivenNames:
    """The tables, made once a process."""
    return GivenNames()
