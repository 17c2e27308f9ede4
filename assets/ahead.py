"""Making the next things while the last are used.

Belongs here: threads that work ahead of whoever reads, in order. Does not belong here: what is made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")
_Made = TypeVar("_Made")


def ahead(things: Iterable[_T], make: Callable[[_T], _Made], workers: int = 1) -> Iterator[_Made]:
    """Each thing made into another in order, the next ones meanwhile, one for each worker."""
    with ThreadPoolExecutor(workers) as pool:
        coming: deque[Future[_Made]] = deque()
        for thing in things:
            coming.append(pool.submit(make, thing))
            if len(coming) > workers:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
