"""Batch trace from file to file on a published generation: rows a second, processor time a row, whose number is given.

Belongs here: the file, the run, its figures. Does not belong here: match quality (``quality/``), HTTP.

The rows are of people of the population with the mistakes of ``tests/lib/mistakes.py``; three files: every second row
with the right NHS number, which is then cross-checked, none, and all of them. Wall time is what a sender waits for; other work on
the machine shows in it, so processor time is measured beside it, starting the processes included.

Alone: ``python -m tests.performance.trace HOME`` on a home with a published generation.
"""

from __future__ import annotations

import csv
import random
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from schemas.identifiers import format_nhs_number
from search_api.matching.questions import Mode
from search_api.settings import Settings
from search_api.trace.running import Order, trace_file
from tests.lib.mistakes import Case, case
from tests.lib.trace_files import CALLER, NAMES
from tests.performance.bench_matching import people
from tests.performance.figures import Figure, hardware

ROWS = 60_000
MUST = 2_000.0
GENDERS = {"male": "1", "female": "2", None: ""}


@dataclass(frozen=True)
class Run:
    """One file traced: seconds, processor seconds, and of the rows with a number given the share of wrong ones."""

    seconds: float
    processor: float
    given: float
    wrong: float


def figures(home: Path, rows: int = ROWS) -> Iterator[Figure]:
    """Traces three files in a folder of its own; the access log is its own too."""
    place = home / "bench-trace"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        cases = _cases(home, rows)
        mixed, bare = _traced(home, place, cases, every=2), _traced(home, place, cases, every=0)
        numbered = _traced(home, place, cases, every=1)
        count = len(cases)
        what = "Batch trace, 2 processes, every second row with an NHS number"
        yield Figure("trace.rows_per_s", count / mixed.seconds, "1/s", what, MUST, more_is_better=True)
        yield Figure("trace.cpu_ms_per_row", 1000 * mixed.processor / count, "ms", f"{what}: processor time")
        what = "Batch trace, 2 processes, every row with an NHS number"
        yield Figure("trace.numbered_rows_per_s", count / numbered.seconds, "1/s", what, more_is_better=True)
        what = "Batch trace, 2 processes, no row with an NHS number"
        yield Figure("trace.bare_rows_per_s", count / bare.seconds, "1/s", what, more_is_better=True)
        yield Figure("trace.bare_cpu_ms_per_row", 1000 * bare.processor / count, "ms", f"{what}: processor time")
        yield Figure("trace.bare_given", bare.given, "share", f"{what}: rows given a number", more_is_better=True)
        yield Figure("trace.bare_wrong", bare.wrong, "share", f"{what}: another person's, of those given")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _cases(home: Path, rows: int) -> list[Case]:
    """Seeded; people whose record is too poor to ask about are left out."""
    frame = people(home)
    dice = random.Random(7)
    found = (case(row, dice, Mode.WIDE) for row in frame.sample(min(rows, frame.height), seed=7).iter_rows(named=True))
    return [each for each in found if each is not None]


def _traced(home: Path, place: Path, cases: list[Case], every: int) -> Run:
    source, target = place / f"{every}.csv", place / f"{every}.traced.csv"
    _write(source, cases, every)
    settings = Settings(home=home, audit_db=f"sqlite:///{place / 'audit.db'}")
    used = _processor()
    started = time.perf_counter()
    trace_file(settings, Order(source, target, place / "work", CALLER))
    seconds, processor = time.perf_counter() - started, _processor() - used
    with target.open(newline="") as file:
        numbers = [row["MATCHED_NHS_NO"] for row in csv.DictReader(file)]
    given = [(number, each) for number, each in zip(numbers, cases, strict=True) if number]
    wrong = sum(1 for number, each in given if int(number) != each.nhs_number)
    return Run(seconds, processor, len(given) / len(cases), wrong / max(len(given), 1))


def _write(path: Path, cases: list[Case], every: int) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, NAMES, restval="")
        writer.writeheader()
        for place, each in enumerate(cases):
            number = format_nhs_number(each.nhs_number) if every and place % every == 0 else ""
            writer.writerow(_row(place, each, number))


def _row(place: int, each: Case, number: str) -> dict[str, str]:
    asked = each.question
    birth = asked.birth.low if asked.birth else None
    return {
        "UNIQUE REFERENCE": f"R{place}",
        "NHS_NO": number,
        "FAMILY_NAME": (asked.family or "")[:35],
        "GIVEN_NAME": " ".join(asked.given)[:35],
        "GENDER": GENDERS.get(asked.gender, ""),
        "DATE_OF_BIRTH": birth or "",
        "POST_CODE": asked.postcode or "",
    }


def _processor() -> float:
    """Of this process and of those that it waited for."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


if __name__ == "__main__":
    print(hardware())
    for figure in figures(Path(sys.argv[1])):
        print(figure.line, flush=True)
