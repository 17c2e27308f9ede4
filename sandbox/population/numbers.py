"""NHS numbers of synthetic people: a scattered one-to-one map from position to number.

Belongs here: which position has which number, both ways, and the ranges kept apart.
Does not belong here: what a number means. All numbers lie in 900-999, never issued to anyone
(reference/pds.md 2.5), and carry the right Modulus 11 check digit.

For each eight-digit prefix at most one ninth digit has no check digit, so nine ninth digits can
always be used: 90 million numbers. The first 10,000 (those under 9000011...) are for personas.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sandbox.population.personas import NUMBERS as PERSONAS
from sandbox.population.randomness import I64, Draws
from schemas.errors import ConfigurationError

PERSONA_NUMBERS = 10_000
_ROWS, _COLUMNS, _ROUNDS = 8_999, 10_000, 4
CAPACITY = _ROWS * _COLUMNS
_PERSONAS = np.array([int(number) for number in PERSONAS], dtype=np.int64)

# Positions of people end here; above it are numbers that were superseded or will be issued.
PEOPLE_LIMIT = 70_000_000
SUPERSEDED_START = 70_000_000
REISSUED_START = 80_000_000


def _weighted_sums(first: int, weights: tuple[int, ...]) -> I64:
    """Weighted digit sums of 10,000 four-digit numbers from ``first`` on."""
    numbers = np.arange(first, first + 10_000, dtype=np.int64)
    powers = (1000, 100, 10, 1)
    parts = [(numbers // power % 10) * weight for power, weight in zip(powers, weights, strict=True)]
    return np.asarray(sum(parts), dtype=np.int64)


_HIGH_SUMS = _weighted_sums(9_000, (10, 9, 8, 7))
_LOW_SUMS = _weighted_sums(0, (6, 5, 4, 3))


def numbers_of_slots(slots: I64) -> I64:
    """NHS numbers of slots 0 to 89,999,999, in rising order of slot."""
    prefix, choice = np.divmod(slots, 9)
    high, low = np.divmod(prefix, 10_000)
    total = _HIGH_SUMS[high] + _LOW_SUMS[low]
    # 2 * ninth = 1 - total (mod 11) leaves remainder 10, which has no check digit; 6 is 1/2 mod 11.
    forbidden = ((1 - total) % 11) * 6 % 11
    ninth = choice + (choice >= forbidden)
    check = (-(total + 2 * ninth)) % 11
    number: I64 = (prefix + 90_000_000) * 100 + ninth * 10 + check
    return number


class NumberBook:
    """The numbers of one seed: a keyed permutation of the slots, so neighbours are not alike."""

    def __init__(self, seed: int) -> None:
        self._draws = Draws(seed)

    @cached_property
    def _tables(self) -> tuple[tuple[I64, I64], ...]:
        rows, columns = np.arange(_ROWS, dtype=np.int64), np.arange(_COLUMNS, dtype=np.int64)
        return tuple(
            (
                self._draws.below(f"number/row/{turn}", columns, _ROWS),
                self._draws.below(f"number/column/{turn}", rows, _COLUMNS),
            )
            for turn in range(_ROUNDS)
        )

    def numbers(self, positions: I64) -> I64:
        """NHS number of each position, personas first; raises ConfigurationError beyond CAPACITY."""
        if len(positions) and int(positions.max()) >= CAPACITY:
            raise ConfigurationError(f"There are numbers for {CAPACITY} people only.")
        row, column = np.divmod(positions, _COLUMNS)
        for row_shift, column_shift in self._tables:
            row = (row + row_shift[column]) % _ROWS
            column = (column + column_shift[row]) % _COLUMNS
        made = numbers_of_slots(row * _COLUMNS + column + PERSONA_NUMBERS)
        known = np.flatnonzero(positions < len(PERSONAS))
        made[known] = _PERSONAS[positions[known]]
        return made
