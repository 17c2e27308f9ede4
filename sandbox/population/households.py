"""Households: who lives with whom, as a library of ready-made blocks of 64 people.

Belongs here: sizes, roles, twins, communal homes. Does not belong here: names, places, dates.
The population is a row of blocks; a block is one library pattern chosen by hash. So any block
can be made alone, and a household never crosses a block. Sizes follow the Census 2021 of England
and Wales (30, 34, 16, 13, 5, 2 per cent), the kinds within a size are assumptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sandbox.population.randomness import Draws
from sandbox.population.rates import RATES

BLOCK = 64
PATTERNS = 2048
U8 = npt.NDArray[np.uint8]

HEAD, PARTNER, CHILD, SHARER, RESIDENT = range(5)
FIRST_TWIN, SECOND_TWIN = 1, 2
SINGLE, COUPLE, FAMILY, SHARED, CARE_HOME, STUDENT_HALL = range(6)

_SIZES = (0.30, 0.34, 0.16, 0.13, 0.05, 0.02)
_COMMUNAL = 0.012  # of blocks: care homes and student halls as one address; assumption
_COUPLES = {2: 0.74, 3: 0.80, 4: 0.88, 5: 0.88, 6: 0.85}  # of the households of a size; else one parent
_SHARERS = {2: 0.12, 3: 0.14, 4: 0.07, 5: 0.05, 6: 0.12}
# Of families with two children or more, those whose first two are twins: makes the rate of
# maternities come out (1.83 maternities a family, of which 0.53 have two children or more).
_MATERNITIES_PER_LARGER_FAMILY = 3.42


@dataclass(frozen=True)
class Library:
    """Patterns by position: offset of the household's head, role, kind, and 1 or 2 for twins (else 0)."""

    head: U8
    role: U8
    kind: U8
    twin: U8


def _household(uniform: npt.NDArray[np.float64], room: int) -> tuple[list[int], int, bool]:
    """Roles, kind, and whether the first two children are twins; at most ``room`` people."""
    size = min(1 + int(np.searchsorted(np.cumsum(_SIZES)[:-1], uniform[0])), room)
    if size == 1:
        return [HEAD], SINGLE, False
    if uniform[1] < _SHARERS[size]:
        return [HEAD] + [SHARER] * (size - 1), SHARED, False
    couple = (uniform[1] - _SHARERS[size]) / (1 - _SHARERS[size]) < _COUPLES[size]
    adults = [HEAD, PARTNER] if couple else [HEAD]
    children = size - len(adults)
    twins = children > 1 and uniform[2] < RATES.twin_maternities * _MATERNITIES_PER_LARGER_FAMILY
    return adults + [CHILD] * children, FAMILY if children else COUPLE, bool(twins)


def _fill(library: Library, pattern: int, draws: Draws) -> None:
    """Fill one pattern with households, or make it one communal home."""
    uniform = draws.unit("household", np.arange(pattern * BLOCK * 3, (pattern + 1) * BLOCK * 3)).reshape(BLOCK, 3)
    if pattern < PATTERNS * _COMMUNAL:
        library.role[pattern] = RESIDENT
        library.kind[pattern] = CARE_HOME if pattern % 2 else STUDENT_HALL
        return
    start = ordinal = 0
    while start < BLOCK:
        roles, kind, twins = _household(uniform[ordinal], BLOCK - start)
        end = start + len(roles)
        library.head[pattern, start:end] = start
        library.role[pattern, start:end] = roles
        library.kind[pattern, start:end] = kind
        if twins:
            first = start + roles.index(CHILD)
            library.twin[pattern, first : first + 2] = (FIRST_TWIN, SECOND_TWIN)
        start, ordinal = end, ordinal + 1


@lru_cache(maxsize=1)
def library() -> Library:
    """The patterns: the same for every seed, because a seed only chooses among them."""
    made = Library(*(np.zeros((PATTERNS, BLOCK), dtype=np.uint8) for _ in range(4)))
    draws = Draws(0)
    for pattern in range(PATTERNS):
        _fill(made, pattern, draws)
    return made
