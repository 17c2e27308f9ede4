"""Randomness by counter: a value depends on the seed, a stream name and a position, on nothing else.

Belongs here: the hash behind every draw, and tables that turn a hash into a weighted choice.
Does not belong here: what is drawn. Because a draw needs no state, any slice of the population
can be made alone, in any order and on any number of workers, and comes out the same.
The mixing function is the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
F64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


def mix(values: U64) -> U64:
    """64 well-mixed bits from each value, in place."""
    values ^= values >> np.uint64(30)
    values *= _FIRST
    values ^= values >> np.uint64(27)
    values *= _SECOND
    values ^= values >> np.uint64(31)
    return values


class Draws:
    """All draws of one seed. ``where`` is an array of positions (person, household, event)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._keys: dict[str, np.uint64] = {}

    def _key(self, stream: str) -> np.uint64:
        key = self._keys.get(stream)
        if key is None:
            digest = hashlib.sha256(f"{self.seed}/{stream}".encode()).digest()
            key = self._keys[stream] = np.uint64(int.from_bytes(digest[:8], "little"))
        return key

    def bits(self, stream: str, where: I64) -> U64:
        """64 random bits a position."""
        values = where.astype(np.uint64)
        values *= _STEP
        values += self._key(stream)
        return mix(values)

    def unit(self, stream: str, where: I64) -> F64:
        """Uniform in [0, 1)."""
        bits = self.bits(stream, where)
        bits >>= np.uint64(11)
        return bits.astype(np.float64) * _TO_UNIT

    def chance(self, stream: str, where: I64, share: float | F64) -> Flags:
        """True for about ``share`` of the positions."""
        return self.unit(stream, where) < share

    def below(self, stream: str, where: I64, bound: int | I64) -> I64:
        """Whole numbers in [0, bound); ``bound`` under 2**31."""
        bits = self.bits(stream, where)
        bits >>= np.uint64(32)
        return (bits.astype(np.int64) * bound) >> 32

    def pick(self, stream: str, where: I64, table: I32) -> I32:
        """Weighted choice by a table of ``choice_table`` (a power of two long)."""
        shift = np.uint64(64 - (len(table).bit_length() - 1))
        bits = self.bits(stream, where)
        bits >>= shift
        picked: I32 = table[bits.astype(np.int64)]
        return picked


def choice_table(weights: Sequence[float] | F64, bits: int) -> I32:
    """Table of 2**bits entries in which option ``i`` has its share of ``weights``, to 2**-bits."""
    cumulative = np.cumsum(np.asarray(weights, dtype=np.float64))
    points = (np.arange(1 << bits) + 0.5) * (cumulative[-1] / (1 << bits))
    table: I32 = np.searchsorted(cumulative, points, side="right").astype(np.int32)
    return table
