"""Days as numbers and texts: days since 1970-01-01, and a table of all their ISO forms.

Belongs here: turning day numbers into text quickly. Does not belong here: which day.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import polars as pl

from sandbox.population.randomness import I64

EPOCH = date(1970, 1, 1)
_FIRST = (date(1850, 1, 1) - EPOCH).days
_LAST = (date(2100, 1, 1) - EPOCH).days
NEVER = 10**6  # a day number beyond every other: not dead, not ended

# All that happened before the first extract ends here; later changes come by deltas.
REFERENCE = date(2026, 1, 1)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def day_of(number: int) -> date:
    """The date of a day number."""
    return EPOCH + timedelta(days=number)


@lru_cache(maxsize=1)
def _table() -> pl.Series:
    days = pl.Series(np.arange(_FIRST, _LAST, dtype=np.int32)).cast(pl.Date)
    return days.dt.to_string("%Y-%m-%d")


def day_texts(numbers: I64) -> pl.Series:
    """yyyy-mm-dd of each day number; null for NEVER."""
    texts = _table().gather(np.clip(numbers, _FIRST, _LAST - 1) - _FIRST)
    never = np.flatnonzero(numbers >= NEVER)
    return texts.scatter(never, None) if len(never) else texts


def years(numbers: I64) -> I64:
    """Calendar year of each day number (the mean year is close enough for cohorts)."""
    return np.floor_divide(numbers * 10_000, 3_652_425) + 1970
