"""Shares with their intervals: Wilson's for one, Newcombe's for the difference of two.

Belongs here: the arithmetic of counts. Does not belong here: what is counted (``judge.py``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# 95 % two-sided, and 99.9 % for looking at hundreds of figures at once.
USUAL, STRICT = 1.959964, 3.290527


@dataclass(frozen=True)
class Share:
    """``right`` of ``of``."""

    right: float
    of: int

    @property
    def value(self) -> float:
        """The share; of nothing it is not a number."""
        return self.right / self.of if self.of else math.nan

    def interval(self, z: float = USUAL) -> tuple[float, float]:
        """Wilson's score interval; 0 to 1 where nothing was counted."""
        if not self.of:
            return 0.0, 1.0
        share, square = self.value, z * z
        middle = share + square / (2 * self.of)
        spread = z * math.sqrt(share * (1 - share) / self.of + square / (4 * self.of * self.of))
        scale = 1 + square / self.of
        return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def difference(old: Share, new: Share, z: float = USUAL) -> tuple[float, float]:
    """Newcombe's interval (method 10) of ``new - old``, taken as independent."""
    (old_low, old_high), (new_low, new_high) = old.interval(z), new.interval(z)
    change = new.value - old.value
    low = change - math.hypot(new.value - new_low, old_high - old.value)
    high = change + math.hypot(new_high - new.value, old.value - old_low)
    return low, high


def fell(old: Share, new: Share, z: float = USUAL) -> bool:
    """Whether the share is lower by more than chance gives."""
    return bool(old.of and new.of) and difference(old, new, z)[1] < 0


def f1(precision: float, recall: float) -> float:
    """Harmonic mean of both; 0 where both are 0."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
