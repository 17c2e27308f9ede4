"""Fingerprints of every document, made anew from frames of the replica and summed.

Belongs here: the count and the checksum that an index ought to have, with several processes for
many people, and on the way the keys that may be crowded. Does not belong here: comparing them
(``reconcile.py``), what is crowded (``search_api/index/crowding.py``).
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from search_api.index.crowding import CrowdCounter
from search_api.index.documents import slices
from search_api.index.frequencies import Frequencies
from search_api.index.keying import keys
from search_api.index.memo import Memos
from search_api.index.provider import checksum_of
from search_api.index.workers import end_with_parent

_WAITING_FRAMES = 2


@dataclass(frozen=True)
class Folded:
    """Documents, the checksum over their fingerprints, and keys that may be crowded where they were watched.

    The last hold parts of patients' values, and which of the rare ones are among them differs from time to time.
    """

    documents: int
    checksum: str
    suspects: frozenset[str] = field(default=frozenset(), repr=False, compare=False)


@dataclass(frozen=True)
class Recipe:
    """What documents are made with, besides a frame; from ``floor`` on keys are crowded, 0 watches none."""

    frequencies: Frequencies
    show_very_restricted: bool
    floor: int = 0


class Part(NamedTuple):
    """What one frame comes to."""

    documents: int
    total: int
    suspects: list[str]


class FrameFold:
    """Folds frames in one process of ``parts``."""

    def __init__(self, recipe: Recipe, parts: int) -> None:
        self._shown = recipe.show_very_restricted
        self._memos = Memos(recipe.frequencies)
        self._crowd = CrowdCounter(recipe.floor, parts) if recipe.floor else None

    def part(self, frame: pl.DataFrame) -> Part:
        """Documents of one frame, the sum of their fingerprints, and keys that have come under suspicion."""
        count = total = 0
        for made in slices(frame, self._memos, show_very_restricted=self._shown):
            count += len(made.numbers)
            total += sum(made.fingerprints)
            if self._crowd:
                found = keys(made.parts, len(made.numbers))
                self._crowd.count(found.explode(keep_nulls=False, empty_as_null=False))
        return Part(count, total, self._crowd.take() if self._crowd else [])


def fold(frames: Iterable[pl.DataFrame], recipe: Recipe, processes: int) -> Folded:
    """Count and checksum of the documents of these frames; one process means this one."""
    parts = list(_fold_here(frames, recipe) if processes <= 1 else _fold_beside(frames, recipe, processes))
    suspects = frozenset(key for part in parts for key in part.suspects)
    return Folded(sum(part.documents for part in parts), checksum_of(part.total for part in parts), suspects)


def _fold_here(frames: Iterable[pl.DataFrame], recipe: Recipe) -> Iterator[Part]:
    here = FrameFold(recipe, 1)
    for frame in frames:
        yield here.part(frame)


def _fold_beside(frames: Iterable[pl.DataFrame], recipe: Recipe, processes: int) -> Iterator[Part]:
    """Frames are handed out a few ahead only, so that memory does not grow with the population."""
    context = multiprocessing.get_context("spawn")
    waiting: deque[Future[Part]] = deque()
    with ProcessPoolExecutor(processes, context, initializer=_prepare, initargs=(recipe, processes)) as pool:
        for frame in frames:
            waiting.append(pool.submit(_fold_prepared, frame))
            while len(waiting) >= processes + _WAITING_FRAMES:
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()


_prepared: list[FrameFold] = []


def _prepare(recipe: Recipe, parts: int) -> None:
    """In a worker: keep the recipe, which is large, instead of sending it with each frame."""
    end_with_parent()
    _prepared[:] = [FrameFold(recipe, parts)]


def _fold_prepared(frame: pl.DataFrame) -> Part:
    return _prepared[0].part(frame)
