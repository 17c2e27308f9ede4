"""The matcher in process: indexing speed, search times per mode, and how often the right person is first.

Belongs here: measuring the embedded index and the matcher. Does not belong here: HTTP (``served.py``), the
judged quality report, which has its own queries.

Alone: ``python -m tests.performance.bench_matching HOME`` on a folder with validated or delivered extracts.
"""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from search_api.index.documents import COLUMNS
from search_api.index.embedded import EmbeddedEngine
from search_api.index.frequencies import Frequencies
from search_api.index.provider import IndexReader
from search_api.matching.matcher import Matcher
from search_api.matching.questions import Grade, Mode
from tests.lib.index import at
from tests.lib.mistakes import Case, case
from tests.performance.figures import Figure, hardware

QUESTIONS = 3000
FRAME_ROWS = 50_000
DOCS_MUST = 40_000.0
P50_MUST_MS, P99_MUST_MS = 1.0, 5.0
PROCESSES = 2


def figures(home: Path, size: str) -> Iterator[Figure]:
    """Builds an index of the people of ``home`` in a folder beside it, and asks it."""
    frame = people(home)
    place = home / "bench-index"
    shutil.rmtree(place, ignore_errors=True)
    try:
        frequencies = Frequencies.build([frame])
        yield from _built(frame, frequencies, place, size)
        reader = EmbeddedEngine().open(at(place))
        started = time.perf_counter()
        _ = frequencies.family_spelling, frequencies.given_spelling
        yield Figure(f"bench.{size}.spelling_s", time.perf_counter() - started, "s", "Spelling neighbours made ready")
        for mode in (Mode.WIDE, Mode.FUZZY, Mode.FILTER):
            yield from _asked(cases(frame, mode), reader, frequencies, size)
        reader.close()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def people(home: Path) -> pl.DataFrame:
    """The columns that documents are made of, of the full extract."""
    for stage in ("validated", "drop"):
        files = sorted((home / stage / "pds_patient").glob("*/00000001/part-*.parquet"))
        if files:
            gp = pl.col("general_practitioner").struct.field("code").alias("gp_code")
            columns = [name for name in COLUMNS if name != "gp_code"]
            number = pl.col("nhs_number").cast(pl.Int64)
            return pl.concat([pl.read_parquet(file).select(*columns, gp) for file in files]).with_columns(number)
    sys.exit(f"No validated or delivered patients below {home}.")


def _built(frame: pl.DataFrame, frequencies: Frequencies, place: Path, size: str) -> Iterator[Figure]:
    started = time.perf_counter()
    writer = EmbeddedEngine().bulk(at(place), frequencies, processes=PROCESSES)
    for start in range(0, frame.height, FRAME_ROWS):
        writer.add_frame(frame.slice(start, FRAME_ROWS))
    count = writer.commit()
    rate = count / (time.perf_counter() - started)
    what = f"Search documents made and indexed by {PROCESSES} processes"
    yield Figure(f"bench.{size}.index_docs_per_s", rate, "1/s", what, DOCS_MUST, more_is_better=True)
    stored = sum(file.stat().st_size for file in place.iterdir()) / 1e6
    yield Figure(f"bench.{size}.index_mb", stored, "MB", "Disk of the search index")


def cases(frame: pl.DataFrame, mode: Mode, count: int = QUESTIONS, seed: int = 2) -> list[Case]:
    """Seeded questions with one or two mistakes (none in FILTER mode)."""
    dice = random.Random(seed)
    rows = frame.filter(pl.col("security") == "U").sample(min(count, frame.height // 2), seed=seed).to_dicts()
    return [made for row in rows if (made := case(row, dice, mode))]


def _asked(asked: list[Case], reader: IndexReader, frequencies: Frequencies, size: str) -> Iterator[Figure]:
    matcher = Matcher()
    mode = asked[0].question.mode.value
    times, tally = [], Counter[str]()
    for each in asked:
        started = time.perf_counter()
        answer = matcher.answer(each.question, reader, frequencies)
        times.append((time.perf_counter() - started) * 1000)
        found = [match.nhs_number for match in answer.matches]
        tally["first"] += found[:1] == [each.nhs_number]
        tally["found"] += each.nhs_number in found
        certain = [match for match in answer.matches if match.grade is Grade.CERTAIN]
        tally["certain"] += len(certain)
        tally["certain_wrong"] += sum(match.nhs_number != each.nhs_number for match in certain)
    times.sort()
    name, count = f"bench.{size}.match_{mode}", len(times)
    for share, must in ((50, P50_MUST_MS), (95, None), (99, P99_MUST_MS)):
        value = times[min(count - 1, count * share // 100)]
        yield Figure(f"{name}_p{share}_ms", value, "ms", f"{mode} search in process, percentile {share}", must)
    for kind, what in (("first", "right person first"), ("found", "right person among the matches")):
        yield Figure(f"{name}_{kind}", tally[kind] / count, "share", f"{mode}, {what}, one or two mistakes a question")
    if mode == Mode.WIDE.value:
        wrong = tally["certain_wrong"] / max(tally["certain"], 1)
        yield Figure(f"{name}_certain", tally["certain"] / count, "share", "wide, graded certain")
        yield Figure(f"{name}_certain_wrong", wrong, "share", "wide, wrong person among those graded certain")


def main() -> None:
    """Prints the figures of one home."""
    home = Path(sys.argv[1])
    sys.stdout.write(f"{hardware()}\n")
    for figure in figures(home, f"{people(home).height // 1000}k"):
        must = f"  must {figure.must:g}: {figure.verdict}" if figure.must is not None else ""
        sys.stdout.write(f"{figure.name:44} {figure.value:12.4g} {figure.unit}{must}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
