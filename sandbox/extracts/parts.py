"""The parts of a full extract: how it is cut, and making one of them, here or in a worker process.

Belongs here: sizes of parts and row groups, the work of one process. Does not belong here: rows
(``full.py``), what becomes of finished parts (``delivery.py``), the order of work (``extract.py``).
The cut never depends on the machine: the same plan gives the same bytes, however many work on it.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait

import polars as pl

from sandbox.extracts.delivery import finished_part, numbered, write_part
from sandbox.extracts.files import WrittenFile
from sandbox.extracts.full import full_rows, row_count
from sandbox.extracts.plan import Plan
from schemas.feeds import PDS_PATIENT

_MILLION = 1_000_000
# People a part, and a piece of it: one row group, the most that is in memory.
_NDJSON = {"patients": (25_000, 65_536), "documents": (25_000, 25_000), "headers": (25_000, 65_536)}
_PARQUET = {"patients": (_MILLION, 65_536), "documents": (250_000, 25_000), "headers": (_MILLION, 65_536)}


@dataclass(frozen=True)
class Part:
    """Part ``number`` of a feed's full: people from ``start``, rows numbered from ``first_row``."""

    plan: Plan
    feed: str
    number: int
    start: int
    people: int
    first_row: int = 1


def parts_of(plan: Plan, feed: str) -> list[Part]:
    """The parts of a feed, all numbered from 1: the rows before each are yet to be counted."""
    size, _ = _sizes(plan, feed)
    return [Part(plan, feed, number, *cut) for number, cut in enumerate(_cut(plan.patients, size))]


def count_rows(part: Part) -> int:
    """How many rows a part will have."""
    _, piece = _sizes(part.plan, part.feed)
    cuts = _cut(part.people, piece)
    return sum(row_count(part.plan, part.feed, part.start + begin, people) for begin, people in cuts)


def make_part(part: Part) -> WrittenFile:
    """Write one part, or find it as an earlier attempt left it."""
    found = finished_part(part.plan, part.feed, part.number)
    if found is not None:
        return found
    pieces = _pieces(part)
    frames = numbered(pieces, part.first_row) if part.plan.form == "parquet" else pieces
    return write_part(part.plan, part.feed, part.number, frames)


def end_with_parent() -> None:
    """End this worker when its parent is killed, instead of waiting for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _pieces(part: Part) -> Iterator[pl.DataFrame]:
    _, piece = _sizes(part.plan, part.feed)
    for begin, people in _cut(part.people, piece):
        yield full_rows(part.plan, part.feed, part.start + begin, people)


def _sizes(plan: Plan, feed: str) -> tuple[int, int]:
    sizes = _PARQUET if plan.form == "parquet" else _NDJSON
    return sizes["patients" if feed == PDS_PATIENT.name else plan.summaries]


def _cut(total: int, size: int) -> list[tuple[int, int]]:
    """(start, count) of pieces of ``size`` people."""
    return [(start, min(size, total - start)) for start in range(0, total, size)]
