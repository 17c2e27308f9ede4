"""Places: where a household lives, its address, its practice and pharmacy.

Belongs here: post towns, streets, the choice of authority by community, ODS codes.
Does not belong here: reading the postcodes (``postcodes.py``), who lives where when (``moves.py``).
An authority's weight is its number of postcodes (a stand-in for its population). A community
gathers in a window of its authority's codes, so that its names meet in a few outcodes
(reference/anchors.md 7.4 items 3 and 4). Practices are plausible codes, not real practices.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl

from sandbox.population.communities import COMMUNITIES, Community
from sandbox.population.postcodes import postcodes
from sandbox.population.randomness import F64, I32, I64, Draws, choice_table
from sandbox.population.vocabulary import vocabulary

_TOWNS: dict[str, str] = vocabulary()["towns"]
_STREET_NAMES: list[str] = vocabulary()["street_names"]
_STREET_TYPES: dict[str, int] = vocabulary()["street_types"]

_NOT_HOMES = ("E09000001",)  # City of London: mostly offices
PRACTICES_PER_AUTHORITY = 32
_PRACTICE_LETTERS = "ABCDEFGHJKLMNPY"
_WINDOW = 0.25  # of an authority's codes, where a gathered community lives; assumption


class Places:
    """Tables of places. A place is a position in the sorted postcodes."""

    def __init__(self) -> None:
        source = postcodes()
        self.postcode = source.codes
        self.start = source.start
        self.counts = np.diff(source.start)
        self.authorities = source.authorities
        towns = pl.Series("town", [*_TOWNS.values(), "Townsend"], dtype=pl.String)
        position = {area: number for number, area in enumerate(_TOWNS)}
        areas = source.areas.replace_strict(position, default=len(towns) - 1, return_dtype=pl.Int64)
        self.town = towns.gather(areas)
        self._authority_tables = np.concatenate([self._authorities_of(community) for community in COMMUNITIES])
        names = [f"{name} {kind}" for kind in _STREET_TYPES for name in _STREET_NAMES]
        self._streets = pl.Series("street", names, dtype=pl.String)
        weights = np.repeat(np.array(list(_STREET_TYPES.values()), dtype=np.float64), len(_STREET_NAMES))
        self._street_table = choice_table(weights, 16)
        codes = [practice_code(number) for number in range(len(self.authorities) * PRACTICES_PER_AUTHORITY)]
        self._practices = pl.Series("practice", codes, dtype=pl.String)

    def _authorities_of(self, community: Community) -> I32:
        """Choice table (2**16) of the authorities where a community lives."""
        weights = self.counts.astype(np.float64)
        weights[[self.authorities.index(code) for code in _NOT_HOMES]] *= 0.05
        weights /= weights.sum()
        homes = np.isin(self.authorities, community.areas)
        if community.gathered:
            gathered = np.where(homes, weights, 0.0)
            weights = weights * (1 - community.gathered) + gathered * (community.gathered / gathered.sum())
        return choice_table(weights, 16)

    def draw(self, draws: Draws, stream: str, where: I64, community: I64) -> I64:
        """A place for each position, by community."""
        bits = draws.bits(stream, where)
        authority = self._authority_tables[(community << 16) + (bits >> np.uint64(48)).astype(np.int64)]
        inside = ((bits >> np.uint64(16)) & np.uint64(0xFFFFFFFF)).astype(np.float64) * 2.0**-32
        return self._inside(authority.astype(np.int64), community, inside)

    def _inside(self, authority: I64, community: I64, inside: F64) -> I64:
        """Position inside an authority: anywhere for the ungathered, in a window for the gathered."""
        shift = ((authority * 7 + community * 31) % 97) / 97.0
        gathered = _GATHERED[community]
        fraction = np.where(gathered, (shift + inside * _WINDOW) % 1.0, inside)
        place: I64 = self.start[authority] + (fraction * self.counts[authority]).astype(np.int64)
        return place

    def street(self, places: I64) -> pl.Series:
        """Street of each place: one postcode, one street, whoever asks."""
        return self._streets.gather(_EVERYONE.pick("street", places, self._street_table).astype(np.int64))

    def practice(self, places: I64, wander: I64) -> I64:
        """Practice number near each place; ``wander`` (0-19) sends a few to a neighbouring practice."""
        authority = np.searchsorted(self.start, places, side="right") - 1
        within = (places - self.start[authority]) * PRACTICES_PER_AUTHORITY // self.counts[authority]
        within = np.where(wander < 3, (within + 1 + wander) % PRACTICES_PER_AUTHORITY, within)
        number: I64 = authority * PRACTICES_PER_AUTHORITY + within
        return number

    def practice_codes(self, numbers: I64) -> pl.Series:
        """ODS codes of practice numbers; null below 0."""
        codes = self._practices.gather(np.maximum(numbers, 0))
        missing = np.flatnonzero(numbers < 0)
        return codes.scatter(missing, None) if len(missing) else codes


_GATHERED = np.array([community.gathered > 0 for community in COMMUNITIES])
_EVERYONE = Draws(0)


def practice_code(number: int) -> str:
    """A letter and five digits, as practices have (A81001)."""
    return f"{_PRACTICE_LETTERS[number // 999]}{81_001 + number % 999}"


def pharmacy_code(number: int) -> str:
    """F, a letter and three digits, as pharmacies have (FA123)."""
    return f"F{'ACEGHJKLMNPQRTVWXY'[number // 1000 % 18]}{number % 1000:03d}"


@lru_cache(maxsize=1)
def places() -> Places:
    """The tables, made once a process."""
    return Places()
