"""Making one day's extracts of all three feeds.

Belongs here: the order of feeds, parts and workers. Does not belong here: rows, files.
NDJSON costs Python time a row, so its parts are made by a few processes; parquet is made in this
one, piece by piece, because polars already uses every core. The cut into parts never depends on
the machine: the same plan gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing import get_context

import polars as pl

from sandbox.extracts.delivery import close, numbered, open_folder, write_part
from sandbox.extracts.deltas import delta_rows
from sandbox.extracts.files import WrittenFile
from sandbox.extracts.full import full_rows, number_changes
from sandbox.extracts.plan import Plan
from sandbox.population.people import Population
from schemas.extract import ExtractManifest
from schemas.feeds import FEEDS, PDS_NUMBER_CHANGE

Progress = Callable[[str, int, int], None]  # feed, people done, people in all

_NDJSON_PEOPLE = 25_000  # a part
_MOST_WORKERS = 8
_PARQUET_PEOPLE = {"pds_patient": 1_000_000, "scr_summary": 250_000}
_PIECE = {"pds_patient": 65_536, "scr_summary": 25_000}
_WORTH_A_PROCESS = 60_000  # people; below it, starting workers costs more than it saves


def extract(plan: Plan, progress: Progress | None = None) -> list[ExtractManifest]:
    """Write the extracts of the plan's day, feed by feed in feed order; returns their manifests.

    Raises Refused when one is already there, ConfigurationError for an impossible plan.
    """
    tell = progress or _silent
    for feed in FEEDS:
        open_folder(plan, feed)
    if plan.day:
        return _deltas(plan, tell)
    with _workers(plan) as pool:
        return [_full(plan, feed, tell, pool) for feed in FEEDS]


def _silent(_feed: str, _done: int, _total: int) -> None:
    """No progress."""


@contextmanager
def _workers(plan: Plan) -> Iterator[ProcessPoolExecutor | None]:
    """Processes for all parts of the delivery; None where they would not pay."""
    count = min(os.cpu_count() or 1, _MOST_WORKERS)
    if plan.form == "parquet" or plan.patients < _WORTH_A_PROCESS or count < 2:
        yield None
        return
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        yield pool


def _deltas(plan: Plan, tell: Progress) -> list[ExtractManifest]:
    manifests = []
    frames = delta_rows(plan, population(plan.seed))
    for feed in FEEDS:
        rows = frames[feed]
        tell(feed, 0, len(rows))
        parts = [write_part(plan, feed, 0, numbered([rows]))] if len(rows) else []
        manifests.append(close(plan, feed, parts))
        tell(feed, len(rows), len(rows))
    return manifests


def _full(plan: Plan, feed: str, tell: Progress, pool: ProcessPoolExecutor | None) -> ExtractManifest:
    tell(feed, 0, plan.patients)
    if feed == PDS_NUMBER_CHANGE.name:
        rows = number_changes(population(plan.seed), plan.patients)
        manifest = close(plan, feed, [write_part(plan, feed, 0, [rows])])
        tell(feed, plan.patients, plan.patients)
        return manifest
    parts = _parquet_parts(plan, feed, tell) if plan.form == "parquet" else _ndjson_parts(plan, feed, tell, pool)
    return close(plan, feed, parts)


@lru_cache(maxsize=1)
def population(seed: int) -> Population:
    """The population of a seed, one a process."""
    return Population(seed)


def _cut(total: int, size: int) -> list[tuple[int, int]]:
    """(start, count) of pieces of ``size`` people."""
    return [(start, min(size, total - start)) for start in range(0, total, size)]


def _pieces(plan: Plan, feed: str, start: int, count: int) -> Iterator[pl.DataFrame]:
    for begin, people in _cut(count, _PIECE[feed]):
        yield full_rows(feed, population(plan.seed), start + begin, people)


def _parquet_parts(plan: Plan, feed: str, tell: Progress) -> Iterator[WrittenFile]:
    """Parts in order; rows are numbered through the whole extract."""
    first = 1

    def pieces(start: int, count: int) -> Iterator[pl.DataFrame]:
        done = start
        for frame in _pieces(plan, feed, start, count):
            yield frame
            done = min(done + _PIECE[feed], plan.patients)
            tell(feed, done, plan.patients)

    for number, (start, count) in enumerate(_cut(plan.patients, _PARQUET_PEOPLE[feed])):
        part = write_part(plan, feed, number, numbered(pieces(start, count), first))
        first += part.file.rows
        yield part


def _ndjson_part(plan: Plan, feed: str, number: int, start: int, count: int) -> WrittenFile:
    return write_part(plan, feed, number, _pieces(plan, feed, start, count))


def _ndjson_parts(plan: Plan, feed: str, tell: Progress, pool: ProcessPoolExecutor | None) -> Iterator[WrittenFile]:
    """Parts in order, made here or by worker processes."""
    cuts = _cut(plan.patients, _NDJSON_PEOPLE)
    jobs = [(plan, feed, number, *cut) for number, cut in enumerate(cuts)]
    columns = tuple(zip(*jobs, strict=True))
    made = map(_ndjson_part, *columns) if pool is None else pool.map(_ndjson_part, *columns)
    for (start, count), part in zip(cuts, made, strict=True):
        yield part
        tell(feed, start + count, plan.patients)
