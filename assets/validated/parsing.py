"""Reading NDJSON lines as rows, in parallel and in bounded memory.

Belongs here: turning blocks of lines into parquet pieces of the feed's columns, and naming lines
that cannot be read. Does not belong here: the shape of a line (``schemas/fhir/envelope.py``), rules.

A bad line is a result, not an error: it becomes a rejection with its row number and its text.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from assets.validated.lines import Block, as_text
from quality.catalogue import LINE_RULES
from schemas.errors import DataFault
from schemas.feeds import FEEDS
from schemas.fhir.envelope import read_line
from search_api.index.workers import end_with_parent

# Faults of a reader that met a shape nobody thought of; the line is bad, the run goes on.
_SHAPE_FAULTS = (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)
_POLARS_FAULTS = (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError)


@dataclass(frozen=True)
class BadLine:
    """A line that is no record: row number, rule, code, and the line as received."""

    row_no: int
    rule: str
    code: str
    received: str


@dataclass(frozen=True)
class Job:
    """What a worker needs beside the lines; ``folder`` takes the pieces."""

    feed: str
    as_at: str
    line_limit: int
    folder: Path


@dataclass
class Parsed:
    """Outcome of one block: the piece with its rows (None when all lines were bad), the bad lines."""

    piece: Path | None
    rows: int
    bad: list[BadLine] = field(default_factory=list)


def parse_blocks(blocks: Iterable[Block], job: Job, workers: int) -> Iterator[Parsed]:
    """Parse blocks in order; with ``workers`` above 1 in that many processes."""
    if workers <= 1:
        for block in blocks:
            yield parse_block(block, job)
        return
    # Polars holds threads, so processes are spawned, never forked.
    method = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=method, initializer=end_with_parent) as pool:
        yield from _in_order(blocks, lambda block: pool.submit(parse_block, block, job), workers * 2)


def parse_block(block: Block, job: Job) -> Parsed:
    """Rows of one block to a parquet piece; runs in a worker process."""
    rows: list[dict[str, Any]] = []
    bad: list[BadLine] = []
    for row_no, line in enumerate(block.lines, block.first_row):
        parsed = _parse_line(line, row_no, job)
        if isinstance(parsed, BadLine):
            bad.append(parsed)
        else:
            rows.append(parsed)
    frame, failed = _frame(rows, job)
    lines = dict(enumerate(block.lines, block.first_row))
    bad += [_bad(row_no, "LINE_UNREADABLE", lines[row_no]) for row_no in failed]
    if frame.is_empty():
        return Parsed(None, 0, bad)
    piece = job.folder / f"piece-{block.first_row:012d}.parquet"
    frame.write_parquet(piece, compression="zstd", compression_level=1)
    return Parsed(piece, frame.height, bad)


def _parse_line(line: bytes, row_no: int, job: Job) -> dict[str, Any] | BadLine:
    if len(line) > job.line_limit:
        return _bad(row_no, "LINE_TOO_LONG", line)
    try:
        return read_line(job.feed, orjson.loads(line), row_no, job.as_at)
    except orjson.JSONDecodeError:
        return _bad(row_no, "LINE_NOT_JSON" if _is_utf8(line) else "LINE_NOT_UTF8", line)
    except DataFault as fault:
        return _bad(row_no, fault.code, line)
    except _SHAPE_FAULTS:
        return _bad(row_no, "LINE_UNREADABLE", line)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _bad(row_no: int, rule: str, line: bytes) -> BadLine:
    known = rule if rule in LINE_RULES else "LINE_UNREADABLE"
    return BadLine(row_no, known, LINE_RULES[known].code, as_text(line))


def _frame(rows: list[dict[str, Any]], job: Job) -> tuple[pl.DataFrame, list[int]]:
    """Rows as a frame of the feed's schema, and the row numbers that would not go in."""
    schema = FEEDS[job.feed].polars_schema
    try:
        return pl.DataFrame(rows, schema=schema, strict=True), []
    except _POLARS_FAULTS:
        pass
    # One row spoils the whole: find it.
    frames, failed = [pl.DataFrame(schema=schema)], []
    for row in rows:
        try:
            frames.append(pl.DataFrame([row], schema=schema, strict=True))
        except _POLARS_FAULTS:
            failed.append(int(row["row_no"]))
    return pl.concat(frames), failed


def _in_order(blocks: Iterable[Block], submit: Callable[[Block], Future[Parsed]], ahead: int) -> Iterator[Parsed]:
    """Results in the order of the blocks, with at most ``ahead`` blocks in memory."""
    waiting: deque[Future[Parsed]] = deque()
    for block in blocks:
        waiting.append(submit(block))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
