"""Judging one landed extract: parse, find duplicates, apply the rules, write the parts.

Belongs here: the pass from landed bytes to validated and quarantined parts, and its sums. Does not
belong here: the order of extracts and the ledger (``validate.py``), the rules (``quality``).

Memory is bounded by the size of a frame (``pieces.py``); what has to be known across frames
(which copy of a key wins) is worked out by DuckDB within ``build_memory_gb``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import orjson
import polars as pl

from assets.files import private_folder, remove_folder, staged_folder
from assets.validated.landed import Extract, Rows, check_decodable, line_finder, read_rows
from assets.validated.lines import LineFinder, as_text
from assets.validated.parsing import BadLine
from assets.validated.pieces import FRAME_ROWS, frame_rows, frames, rows_sql
from assets.validated.quarantined import RECEIVED_SCHEMA, as_received, write_bad_lines, write_quarantine
from quality.groups import duplicate_losers
from quality.judge import Judgement, judge
from quality.verdict import Tally
from schemas.errors import ExpectationsFailed
from search_api.settings import Settings

REPORT_NAME = "report.json"


@dataclass
class Report:
    """What judging came to: counts, and each expectation's verdict over all parts."""

    tally: Tally
    expectations: dict[str, bool] = field(default_factory=dict)

    @property
    def failed_expectations(self) -> tuple[str, ...]:
        """Expectations that failed on a part."""
        return tuple(sorted(name for name, held in self.expectations.items() if not held))


def judge_extract(extract: Extract) -> Report:
    """Write the validated and quarantine folders of one landed extract and return its counts.

    Raises FileRefused when the extract does not hold what its manifest says, ReconcileError when
    rows were lost, ExpectationsFailed when accepted rows fail an expectation. On any of them neither
    folder exists.
    """
    with _work_folder(extract) as work:
        rows = read_rows(extract, work)
        losers = _losers(extract, rows, work)
        with staged_folder(extract.stage("quarantine")) as held, staged_folder(extract.stage("validated")) as kept:
            report = Report(Tally())
            sink = _Sink(kept, held, report, line_finder(extract))
            most = frame_rows(rows.pieces, min(FRAME_ROWS, extract.settings.part_rows))
            for number, frame in enumerate(frames(rows.pieces, extract.feed, most)):
                _judge_frame(extract, frame, losers, _Part(number, sink))
            _add_bad_lines(rows.bad, held, report.tally)
            _ensure_part(extract, kept)
            report.tally.check(record_count=extract.manifest.record_count, control=extract.manifest.control)
            _check_expectations(report)
            (kept / REPORT_NAME).write_bytes(orjson.dumps(_document(report), option=orjson.OPT_INDENT_2))
    return report


@dataclass(frozen=True)
class _Sink:
    """Where the parts of one extract go, and what goes through all of them."""

    validated: Path
    quarantine: Path
    report: Report
    finder: LineFinder | None


@dataclass(frozen=True)
class _Part:
    number: int
    sink: _Sink


def _judge_frame(extract: Extract, frame: pl.DataFrame, losers: pl.Series, part: _Part) -> None:
    verdict = judge(extract.feed, frame, extract.context, losers)
    sink, name = part.sink, f"{part.number:05d}.parquet"
    if not verdict.accepted.is_empty():
        verdict.accepted.write_parquet(sink.validated / f"part-{name}", compression="zstd", compression_level=1)
    if not verdict.flagged.is_empty():
        verdict.flagged.write_parquet(sink.validated / f"warnings-{name}")
    if not verdict.rejected.is_empty():
        write_quarantine(sink.quarantine, part.number, verdict.rejected, _received(frame, verdict, sink.finder))
    sink.report.tally.add(verdict.tally)
    for result in extract.auditor(extract.feed, verdict.accepted):
        known = sink.report.expectations.get(result.name, True)
        sink.report.expectations[result.name] = known and result.success


def _received(frame: pl.DataFrame, verdict: Judgement, finder: LineFinder | None) -> pl.DataFrame:
    """The rejected rows as they were delivered: the line, or the parquet row as JSON."""
    if finder is None:
        return as_received(frame.filter(pl.col("row_no").is_in(verdict.rejected["row_no"].implode())))
    found = finder.find(set(verdict.rejected["row_no"].to_list()))
    rows = [(row_no, as_text(line)) for row_no, line in found.items()]
    return pl.DataFrame(rows, schema=RECEIVED_SCHEMA, orient="row")


def _ensure_part(extract: Extract, folder: Path) -> None:
    """A delta without rows says that its source is alive; it too has a part, an empty one."""
    first = folder / "part-00000.parquet"
    if not any(folder.glob("part-*.parquet")):
        pl.DataFrame(schema=extract.feed.polars_schema).write_parquet(first)


def _add_bad_lines(bad: list[BadLine], folder: Path, tally: Tally) -> None:
    if not bad:
        return
    write_bad_lines(folder, 99_999, bad)
    rules = Counter(line.rule for line in bad)
    tally.add(Tally(received=len(bad), quarantined=len(bad), unreadable=len(bad), rules=rules))


def _check_expectations(report: Report) -> None:
    if report.failed_expectations:
        raise ExpectationsFailed(report.failed_expectations)


def _losers(extract: Extract, rows: Rows, work: Path) -> pl.Series:
    if not rows.pieces:
        return pl.Series("row_no", [], dtype=pl.Int64())
    check_decodable(rows)
    connection = duckdb.connect(config=_duckdb_settings(extract.settings, work))
    try:
        return duplicate_losers(connection, rows_sql(rows.pieces, extract.feed), extract.feed)
    finally:
        connection.close()


def _duckdb_settings(settings: Settings, work: Path) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "memory_limit": f"{settings.build_memory_gb / 2}GB",
        "threads": settings.build_threads,
        "temp_directory": str(work / "spill"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


@contextmanager
def _work_folder(extract: Extract) -> Iterator[Path]:
    manifest = extract.manifest
    work = extract.stores.home / "work" / f"{manifest.feed}-{manifest.source}-{manifest.sequence:08d}"
    remove_folder(work)
    private_folder(work)
    try:
        yield work
    finally:
        remove_folder(work)


def _document(report: Report) -> dict[str, object]:
    tally = report.tally
    return {
        "received": tally.received,
        "accepted": tally.accepted,
        "quarantined": tally.quarantined,
        "unreadable": tally.unreadable,
        "warnings": tally.warnings,
        "control": tally.control,
        "rules": dict(sorted(tally.rules.items())),
        "completeness": dict(sorted(tally.completeness.items())),
        "expectations": dict(sorted(report.expectations.items())),
    }
