"""How often one caller may ask: a bucket of requests for each, filled steadily.

Belongs here: the buckets. Does not belong here: who the caller is (``gate.py``), what is answered.
Source: pds.md 4.2 (429); the limit is a setting, each process counts its own.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from search_api.errors import too_many_requests

BURST_S = 5
MOST_CALLERS = 10_000
RETRY_AFTER = 1


class Rates:
    """Requests left to each caller. ``limit`` a second, 0 for none. For the event loop's thread."""

    def __init__(self, limit: int, now: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._now = now
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, caller: Hashable) -> None:
        """One request of this caller. Raises TOO_MANY_REQUESTS when it has none left."""
        if not self._limit:
            return
        now, most = self._now(), float(self._limit * BURST_S)
        left, at = self._buckets.get(caller, (most, now))
        left = min(most, left + (now - at) * self._limit)
        if left < 1:
            raise too_many_requests(RETRY_AFTER)
        self._buckets[caller] = (left - 1, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MOST_CALLERS:  # whoever asked longest ago has a full bucket again, or nearly
            self._buckets.popitem(last=False)
