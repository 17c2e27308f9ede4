"""Every case, or some of them: which of very many cases of the same sort a run takes.

Belongs here: the switch, and the seeded draw. Does not belong here: the cases (they are with their tests).

A run draws some cases, the same ones each time. ``make test WHOLE=1`` takes all; it sets ``NCRS_TEST_WHOLE``,
which a single test of pytest takes as well. What a draw leaves out is said in the docstring of its test.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Sequence

WHOLE = "NCRS_TEST_WHOLE"


def whole() -> bool:
    """Whether this run takes every case."""
    return os.environ.get(WHOLE, "0") not in ("", "0")


def draw(kinds: Sequence[str], share: float, seed: int) -> list[int]:
    """Places of about that share of the cases, in order: the first, the last, one of every kind, then any."""
    dice = random.Random(seed)
    alike: dict[str, list[int]] = defaultdict(list)
    for place, kind in enumerate(kinds):
        alike[kind].append(place)
    chosen = {0, len(kinds) - 1, *(dice.choice(places) for places in alike.values())}
    others = [place for place in range(len(kinds)) if place not in chosen]
    more = max(0, round(len(kinds) * share) - len(chosen))
    return sorted(chosen.union(dice.sample(others, more)))
