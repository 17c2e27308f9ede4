"""Fingerprints of every document, made anew from frames of the replica and summed.

Belongs here: the count and the checksum that an index ought to have, with several processes for
many people. Does not belong here: comparing them (``reconcile.py``).
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass

import polars as pl

from search_api.index.documents import documents
from search_api.index.frequencies import Frequencies
from search_api.index.provider import checksum_of
from search_api.index.workers import end_with_parent

_WAITING_FRAMES = 2


@dataclass(frozen=True)
class Folded:
    """Documents and the checksum over their fingerprints."""

    documents: int
    checksum: str


@dataclass(frozen=True)
class Recipe:
    """What documents are made with, besides a frame."""

    frequencies: Frequencies
    show_very_restricted: bool


def fold(frames: Iterable[pl.DataFrame], recipe: Recipe, processes: int) -> Folded:
    """Count and checksum of the documents of these frames; one process means this one."""
    parts = list(_fold_here(frames, recipe) if processes <= 1 else _fold_beside(frames, recipe, processes))
    return Folded(sum(count for count, _ in parts), checksum_of(total for _, total in parts))


def _fold_here(frames: Iterable[pl.DataFrame], recipe: Recipe) -> Iterator[tuple[int, int]]:
    for frame in frames:
        yield fold_frame(frame, recipe)


def _fold_beside(frames: Iterable[pl.DataFrame], recipe: Recipe, processes: int) -> Iterator[tuple[int, int]]:
    """Frames are handed out a few ahead only, so that memory does not grow with the population."""
    context = multiprocessing.get_context("spawn")
    waiting: deque[Future[tuple[int, int]]] = deque()
    with ProcessPoolExecutor(processes, context, initializer=_prepare, initargs=(recipe,)) as pool:
        for frame in frames:
            waiting.append(pool.submit(_fold_prepared, frame))
            while len(waiting) >= processes + _WAITING_FRAMES:
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()


def fold_frame(frame: pl.DataFrame, recipe: Recipe) -> tuple[int, int]:
    """Documents of one frame and the sum of their fingerprints."""
    count = total = 0
    for document in documents(frame, recipe.frequencies, show_very_restricted=recipe.show_very_restricted):
        count += 1
        total += document.fingerprint
    return count, total


_prepared: list[Recipe] = []


def _prepare(recipe: Recipe) -> None:
    """In a worker: keep the recipe, which is large, instead of sending it with each frame."""
    end_with_parent()
    _prepared[:] = [recipe]


def _fold_prepared(frame: pl.DataFrame) -> tuple[int, int]:
    return fold_frame(frame, _prepared[0])
