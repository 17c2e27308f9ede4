"""The published generation asked in process: searches and reads, cold and warm.

Belongs here: what is asked and how long it takes. Does not belong here: HTTP (``served.py``), quality.
Run as ``python -m tests.performance.national.asking search|read``, with NCRS_HOME set; prints figures as JSON.

Cold: the pages of the generation's files have been dropped from the page cache, those of nobody else. Warm: the
files of the index have been read once, and other questions have been asked before.
"""

from __future__ import annotations

import csv
import gc
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from schemas.generation import REPLICA_NAME
from search_api import db
from search_api.generation_files import read_current
from search_api.generations import Generations
from search_api.index.engines import index_engine
from search_api.matching.looking import Effort
from search_api.matching.matcher import Matcher
from search_api.matching.questions import Mode, Question
from search_api.opened import Generation
from search_api.settings import Settings
from tests.lib.mistakes import case
from tests.performance.national.sent import HEAD, cells, sent

COLD, WARM, READS, TRACED = 400, 3000, 3000, 100_000
SEED = 2
_SAMPLE = "SELECT nhs_number FROM replica__pds_patient WHERE security = 'U' ORDER BY hash(nhs_number) LIMIT {count}"
_READ_BYTES = 1 << 20


def folder(settings: Settings) -> Path:
    """The current generation's; it must be there."""
    current = read_current(settings.generations_folder)
    if current is None:
        sys.exit("Nothing is published in this home.")
    return settings.generations_folder / current.generation


def sample(at: Path, count: int) -> list[int]:
    """Numbers of so many people, spread over everybody, the same each time."""
    connection = db.open_scan(at / REPLICA_NAME, 1.0, 2)
    try:
        return [row[0] for row in db.rows(connection, _SAMPLE.format(count=count))]
    finally:
        connection.close()


def people(generation: Generation, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Their records in row form."""
    found = generation.replica.patients(numbers)
    return [found[number].row for number in numbers if number in found]


def questions(rows: Iterable[dict[str, Any]]) -> list[Question]:
    """A question about each with one or two mistakes, half of them in PDS's fuzzy mode."""
    dice = random.Random(SEED)
    modes = (Mode.WIDE, Mode.FUZZY)
    made = [case({"security": "U", **row}, dice, modes[at % 2]) for at, row in enumerate(rows)]
    return [each.question for each in made if each is not None]


def drop_pages(at: Path) -> None:
    """Let go of the page cache of these files, and of nothing else."""
    for path in at.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_pages(at: Path) -> None:
    """Read these files once."""
    for path in at.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(_READ_BYTES):
                    pass


def timed(name: str, asked: Sequence[Any], ask: Callable[[Any], object]) -> dict[str, float]:
    """Percentiles of the time each takes, in milliseconds."""
    times = []
    for each in asked:
        started = time.perf_counter()
        ask(each)
        times.append((time.perf_counter() - started) * 1000)
    times.sort()
    return {f"{name}_p{share}_ms": times[min(len(times) - 1, len(times) * share // 100)] for share in (50, 99)}


def search(settings: Settings) -> dict[str, float]:
    """Candidates, scores and grades: of PDS's fuzzy mode, which the promise is for, and of the wide one."""
    at = folder(settings)
    # Before the generation is opened: a process has one configuration of an open DuckDB file.
    numbers = sample(at, COLD + 2 * WARM)
    with _opened(settings) as generations, generations.pin() as generation:
        asked = questions(people(generation, numbers))
    # Opened anew, so that nothing of the files is mapped when their pages are dropped.
    drop_pages(at)
    with _opened(settings) as generations, generations.pin() as generation:
        ask = _asker(settings, generation)
        cold = _by_mode("{}_cold", asked[:COLD], ask)
        read_pages(at / generation.manifest.index.location)
        half = COLD + (len(asked) - COLD) // 2
        timed("warming", asked[COLD:half], ask)
        return {**cold, **_by_mode("{}", asked[half:], ask)}


def _by_mode(name: str, asked: Sequence[Question], ask: Callable[[Question], object]) -> dict[str, float]:
    found: dict[str, float] = {}
    for mode, word in ((Mode.FUZZY, "search"), (Mode.WIDE, "wide")):
        found.update(timed(name.format(word), [each for each in asked if each.mode is mode], ask))
    return found


def _asker(settings: Settings, generation: Generation) -> Callable[[Question], object]:
    """Asks as the service does."""
    matcher = Matcher(candidate_limit=settings.candidate_limit, key_cap=settings.key_cap, effort=Effort.of(settings))
    counts = generation.frequencies
    # As serve.py does: what was made at the start is not looked through for garbage again and again.
    gc.collect()
    gc.freeze()
    return lambda question: matcher.answer(question, generation.index, counts)


def read(settings: Settings) -> dict[str, float]:
    """One record by its number."""
    at = folder(settings)
    numbers = sample(at, COLD + READS)
    drop_pages(at)
    with _opened(settings) as generations, generations.pin() as generation:
        cold = timed("read_cold", numbers[:COLD], generation.replica.patient)
        timed("warming", numbers[COLD:], generation.replica.patient)
        return {**cold, **timed("read", numbers[COLD:], generation.replica.patient)}


def trace_file(settings: Settings) -> dict[str, float]:
    """Write the file that is traced, as a hospital would send it."""
    numbers = sample(folder(settings), TRACED)
    with _opened(settings) as generations, generations.pin() as generation:
        asked = sent(people(generation, numbers), SEED)
    with (settings.home / "national-trace.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        writer.writerows(cells(at, each) for at, each in enumerate(asked))
    return {"trace_rows": float(len(asked))}


def _opened(settings: Settings) -> Generations:
    generations = Generations(settings, index_engine(settings))
    generations.start()
    return generations


def main() -> None:
    """Asks what is named, and prints the figures."""
    kinds = {"search": search, "read": read, "trace_file": trace_file}
    json.dump(kinds[sys.argv[1]](Settings()), sys.stdout)


if __name__ == "__main__":
    main()
