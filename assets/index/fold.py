"""Keys that may be crowded, of everybody, found by making all keys anew.

Belongs here: the pass over frames of the replica, with several processes for many people. Does not belong
here: what is crowded (``search_api/index/crowding.py``). Used where not every document was watched while the
index was filled (``build.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from search_api.index.crowding import Watch
from search_api.index.documents import slices
from search_api.index.frequencies import Frequencies
from search_api.index.keying import all_keys
from search_api.index.memo import Memos
from search_api.index.pieces import People, loaded
from search_api.index.workers import Workers


@dataclass(frozen=True)
class Recipe:
    """What documents are made with, besides a frame; from ``floor`` on keys are crowded."""

    frequencies: Frequencies
    show_very_restricted: bool
    floor: int


def suspects(frames: Iterable[People], recipe: Recipe, processes: int) -> frozenset[str]:
    """Keys of these frames that may be crowded; one process means this one. They hold parts of patients' values."""
    if processes <= 1:
        waiting = iter(frames)
        return frozenset(_watch((recipe, 1), lambda: next(waiting, None)))
    workers = Workers(_watch, [(recipe, processes)] * processes)
    for frame in frames:
        workers.hand(frame)
    return frozenset(key for found in workers.finish() for key in found)


def _watch(job: tuple[Recipe, int], next_frame: Callable[[], Any]) -> list[str]:
    """Body of a process of so many: make the keys of frames until None comes."""
    recipe, parts = job
    counter = Watch(recipe.floor, parts).counter()
    memos = Memos(recipe.frequencies)
    if counter is None:
        return []
    while (people := next_frame()) is not None:
        for made in slices(loaded(people), memos, show_very_restricted=recipe.show_very_restricted):
            counter.count(all_keys(made))
    return counter.take()
