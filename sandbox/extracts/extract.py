"""Making one day's extracts of all three feeds.

Belongs here: the order of feeds, parts and workers. Does not belong here: rows, files, the cut into
parts (``parts.py``).
A full is made by a few processes, each a part at a time, so memory is flat however many people
there are; an attempt that ended early is gone on with at the part it stopped at.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate
from multiprocessing import get_context
from typing import TypeVar

from sandbox.extracts.delivery import begin, close, manifest_of, numbered, write_part
from sandbox.extracts.deltas import delta_rows
from sandbox.extracts.files import WrittenFile
from sandbox.extracts.full import number_changes, population_of
from sandbox.extracts.parts import Part, count_rows, end_with_parent, make_part, parts_of
from sandbox.extracts.plan import Plan
from sandbox.extracts.space import check_space
from schemas.extract import ExtractManifest
from schemas.feeds import FEEDS, PDS_NUMBER_CHANGE, PDS_PATIENT

Progress = Callable[[str, int, int], None]  # feed, people done, people in all
T = TypeVar("T")

_MOST_WORKERS = 8
_WORTH_A_PROCESS = 60_000  # people; below it, starting workers costs more than it saves


def extract(plan: Plan, progress: Progress | None = None) -> list[ExtractManifest]:
    """Write the extracts of the plan's day, feed by feed in feed order; returns their manifests.

    Goes on with an attempt at the same plan that ended early. Raises Refused when one is already
    there or the disk has no room, ConfigurationError for an impossible plan.
    """
    tell = progress or _silent
    missing = begin(plan)
    check_space(plan, missing)
    if plan.day:
        _deltas(plan, missing, tell)
    else:
        with _workers(plan) as pool:
            _fulls(plan, missing, tell, pool)
    return [manifest_of(plan, feed) for feed in FEEDS]


def _silent(_feed: str, _done: int, _total: int) -> None:
    """No progress."""


@contextmanager
def _workers(plan: Plan) -> Iterator[ProcessPoolExecutor | None]:
    """Processes for all parts of the delivery; None where they would not pay."""
    count = min(os.cpu_count() or 1, _MOST_WORKERS)
    if plan.patients < _WORTH_A_PROCESS or count < 2:
        yield None
        return
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=end_with_parent)
    try:
        yield pool
    finally:
        # Parts not begun are left for the next attempt when this one ends early.
        pool.shutdown(cancel_futures=True)


def _deltas(plan: Plan, missing: Sequence[str], tell: Progress) -> None:
    frames = delta_rows(plan, population_of(plan))
    for feed in missing:
        rows = frames[feed]
        tell(feed, 0, len(rows))
        close(plan, feed, [write_part(plan, feed, 0, numbered([rows]))] if len(rows) else [])
        tell(feed, len(rows), len(rows))


def _fulls(plan: Plan, missing: Sequence[str], tell: Progress, pool: ProcessPoolExecutor | None) -> None:
    # All rows are counted before a part is begun: workers take what they are given in turn.
    parts = {feed: _numbered_parts(plan, feed, pool) for feed in missing if feed != PDS_NUMBER_CHANGE.name}
    made = {feed: _each(pool, make_part, parts[feed]) for feed in parts}
    for feed in missing:
        tell(feed, 0, plan.patients)
        if feed == PDS_NUMBER_CHANGE.name:
            rows = number_changes(population_of(plan), plan.patients)
            close(plan, feed, [write_part(plan, feed, 0, [rows])])
        else:
            close(plan, feed, _told(plan, parts[feed], made[feed], tell))
        tell(feed, plan.patients, plan.patients)


def _numbered_parts(plan: Plan, feed: str, pool: ProcessPoolExecutor | None) -> list[Part]:
    """The parts of a feed with the number of their first row: parquet numbers through the whole extract."""
    parts = parts_of(plan, feed)
    if plan.form != "parquet":
        return parts
    counts = [part.people for part in parts] if feed == PDS_PATIENT.name else _each(pool, count_rows, parts[:-1])
    starts = accumulate(counts, initial=1)
    return [replace(part, first_row=start) for part, start in zip(parts, starts, strict=False)]


def _told(plan: Plan, parts: Sequence[Part], made: Iterator[WrittenFile], tell: Progress) -> Iterator[WrittenFile]:
    for part, written in zip(parts, made, strict=True):
        yield written
        tell(part.feed, part.start + part.people, plan.patients)


def _each(pool: ProcessPoolExecutor | None, work: Callable[[Part], T], parts: Sequence[Part]) -> Iterator[T]:
    """What the work gives for each part, in order: all begun at once by workers, or one by one here."""
    return map(work, parts) if pool is None else pool.map(work, parts)
