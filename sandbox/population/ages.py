"""Ages, births and deaths.

Belongs here: age by role in the household, the 1 January spike, who has died and when. Does not
belong here: names. The curves are assumptions, shaped so that the living come near the ONS
mid-year estimate (21 % under 18, 19 % aged 65 and over; here 24 % and 18 %).
"""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt

from sandbox.population.communities import COMMUNITIES
from sandbox.population.dates import NEVER, REFERENCE, day_number, years
from sandbox.population.households import CHILD, COUPLE, FAMILY, PARTNER, SECOND_TWIN, SHARED, SINGLE, Library
from sandbox.population.randomness import F64, I32, I64, Draws, choice_table
from sandbox.population.rates import Rates

YEAR = 365.2425
_NOW = day_number(REFERENCE)
_OLDEST = 106
_BITS = 14
_DEATH_RECORDS_YEARS = 25  # deaths kept: PDS holds far more records than living people; assumption


def _curve(points: dict[int, float]) -> F64:
    """Weights of ages 0 to 106 by straight lines between points; zero outside."""
    ages = np.arange(_OLDEST + 1, dtype=np.float64)
    curve: F64 = np.interp(ages, list(points), list(points.values()), left=0.0, right=0.0)
    return curve


_HEAD_AGES = (
    {19: 0.1, 25: 0.6, 35: 0.7, 45: 0.7, 55: 1.1, 65: 1.8, 75: 2.4, 85: 2.0, 92: 0.8, 103: 0.0},  # single
    {20: 0.2, 28: 0.8, 36: 0.4, 45: 0.4, 55: 0.9, 65: 2.2, 75: 2.6, 85: 1.1, 97: 0.0},  # couple
    {20: 0.1, 27: 0.5, 35: 1.2, 42: 1.6, 50: 1.6, 57: 1.0, 64: 0.4, 72: 0.0},  # family
    {18: 0.3, 22: 1.5, 28: 1.4, 35: 0.7, 45: 0.4, 60: 0.2, 75: 0.0},  # shared
    {68: 0.0, 80: 0.8, 88: 1.4, 95: 0.6, 104: 0.0},  # care home
    {18: 1.0, 19: 1.4, 20: 0.9, 22: 0.4, 26: 0.0},  # student hall
)
_DEATH_AGES = {0: 0.05, 1: 0.01, 30: 0.04, 50: 0.2, 65: 0.6, 78: 1.3, 87: 1.6, 95: 0.6, 104: 0.0}

_HEAD_TABLES: I32 = np.concatenate([choice_table(_curve(points), _BITS) for points in _HEAD_AGES])
_DEATH_TABLE = choice_table(_curve(_DEATH_AGES), _BITS)
_ABROAD = np.array([community.abroad for community in COMMUNITIES])


class Lives:
    """Birth and death days of the people of a chunk."""

    def __init__(self, draws: Draws, rates: Rates) -> None:
        self._draws, self._rates = draws, rates

    def _head_births(self, head: I64, kind: I64) -> I64:
        bits = (self._draws.bits("age", head) >> np.uint64(64 - _BITS)).astype(np.int64)
        age = _HEAD_TABLES[(kind << _BITS) + bits]
        made: I64 = _NOW - (age * YEAR).astype(np.int64) - 1 - self._draws.below("birthday", head, 365)
        return made

    def births(self, index: I64, shape: Household) -> I64:
        """Day of birth by role: head by kind, partner near the head, child by the head's age."""
        head_birth = self._head_births(shape.head, shape.kind)
        own_birth = self._head_births(index, shape.kind)
        uniform = self._draws.unit("birth", shape.birth_key)
        partner = np.clip(head_birth + ((uniform - 0.45) * 3_600).astype(np.int64), None, _NOW - 18 * 366)
        span = np.clip(_NOW - head_birth - 19 * 365, 30, 31 * 365)
        child = _NOW - 1 - (uniform * span).astype(np.int64)
        birth = np.where(shape.apart, own_birth, head_birth)
        birth = np.where(shape.role == PARTNER, partner, birth)
        return np.where(shape.role == CHILD, child, birth)

    def first_of_january(self, birth_key: I64, birth: I64, community: I64) -> I64:
        """The birth day, moved to 1 January of its year for the share of people registered so."""
        rates = self._rates
        share = np.where(_ABROAD[community], rates.first_of_january_abroad, rates.first_of_january)
        moved = np.flatnonzero(self._draws.chance("1 january", birth_key, share))
        result = birth.copy()
        result[moved] = _first_days(years(birth[moved]))
        return result

    def deaths(self, index: I64, shape: Household, birth: I64) -> tuple[I64, I64]:
        """Births (earlier for the dead) and days of death, NEVER for the living."""
        rates = self._rates
        shares = np.full(6, rates.dead_other)
        shares[SINGLE], shares[COUPLE], shares[SHARED] = rates.dead_single, rates.dead_couple, rates.dead_other
        share = np.where((shape.kind == FAMILY) & (shape.role != CHILD), rates.dead_couple / 6, shares[shape.kind])
        dead = np.flatnonzero(self._draws.chance("dead", index, share))
        birth, death = birth.copy(), np.full(len(index), NEVER, dtype=np.int64)
        who = index[dead]
        day = _NOW - 1 - (self._draws.unit("death", who) ** 1.3 * _DEATH_RECORDS_YEARS * YEAR).astype(np.int64)
        age = (self._draws.pick("death age", who, _DEATH_TABLE) * YEAR).astype(np.int64)
        adult = shape.role[dead] != CHILD
        birth[dead] = np.where(adult, day - age - self._draws.below("birthday", who, 365), birth[dead])
        death[dead] = np.where(adult, day, np.maximum(birth[dead], np.minimum(day, _NOW - 1)))
        return birth, death


def _first_days(year: I64) -> I64:
    table = np.array([day_number(date(y, 1, 1)) for y in range(1850, 2101)], dtype=np.int64)
    days: I64 = table[np.clip(year, 1850, 2100) - 1850]
    return days


class Household:
    """The household columns of a chunk: position of the head, role, kind, twin.

    ``apart`` marks sharers and residents, who have nothing in common but the address.
    ``birth_key`` is the position that decides the birth: of two twins, the first's.
    """

    def __init__(self, index: I64, library: Library, pattern: npt.NDArray[np.int64]) -> None:
        start = index & ~np.int64(63)
        self.head: I64 = start + library.head[pattern].ravel()
        self.role: I64 = library.role[pattern].ravel().astype(np.int64)
        self.kind: I64 = library.kind[pattern].ravel().astype(np.int64)
        self.twin: I64 = library.twin[pattern].ravel().astype(np.int64)
        self.birth_key: I64 = index - (self.twin == SECOND_TWIN)
        self.apart: npt.NDArray[np.bool_] = self.role > CHILD
