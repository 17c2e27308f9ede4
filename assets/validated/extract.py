"""Judging one landed extract: parse, find duplicates, apply the rules, write the parts.

Belongs here: the pass from landed bytes to validated and quarantined parts, and its sums. Does not
belong here: the order of extracts and the ledger (``validate.py``), the rules (``quality``),
judging a cut of its rows (``judging.py``).

Memory is bounded by the size of a cut (``pieces.py``) times ``build_threads``; what has to be known across cuts
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
from assets.progress import counted
from assets.validated.adopted import Adoption, part_name
from assets.validated.judging import Bench, Outcome
from assets.validated.landed import Extract, Rows, check_decodable, line_finder, read_rows
from assets.validated.lines import LineFinder, as_text
from assets.validated.parsing import BadLine
from assets.validated.pieces import FRAME_ROWS, cuts, frame_rows, rows_sql
from assets.validated.quarantined import RECEIVED_SCHEMA, write_bad_lines, write_quarantine
from quality.groups import duplicate_losers
from quality.verdict import Tally
from schemas.errors import ExpectationsFailed
from search_api.settings import Settings

REPORT_NAME = "report.json"
JUDGING = "judging rows"


@dataclass
class Report:
    """What judging came to: counts, and each expectation's verdict over all parts."""

    tally: Tally
    expectations: dict[str, bool] = field(default_factory=dict)

    @property
    def failed_expectations(self) -> tuple[str, ...]:
        """Expectations that failed on a part."""
        return tuple(sorted(name for name, held in self.expectations.items() if not held))

    def add(self, outcome: Outcome) -> None:
        """Add what one cut came to."""
        self.tally.add(outcome.tally)
        for result in outcome.opinions:
            self.expectations[result.name] = self.expectations.get(result.name, True) and result.success


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
            most = frame_rows(rows.pieces, min(FRAME_ROWS, extract.settings.part_rows))
            found = list(cuts(rows.pieces, most))
            bench = Bench(extract, losers, Adoption(extract.feed, found, extract.settings.part_rows), kept)
            finder = line_finder(extract)
            for outcome in counted(JUDGING, bench.outcomes(found), extract.manifest.record_count, _received_rows):
                report.add(outcome)
                if not outcome.rejected.is_empty():
                    write_quarantine(held, outcome.number, outcome.rejected, _as_sent(outcome, finder))
            bench.settle()
            _add_bad_lines(rows.bad, held, report.tally)
            _ensure_part(extract, kept)
            report.tally.check(record_count=extract.manifest.record_count, control=extract.manifest.control)
            _check_expectations(report)
            (kept / REPORT_NAME).write_bytes(orjson.dumps(_document(report), option=orjson.OPT_INDENT_2))
    return report


def _received_rows(outcome: Outcome) -> int:
    return outcome.tally.received


def _as_sent(outcome: Outcome, finder: LineFinder | None) -> pl.DataFrame:
    """The rejected rows as they were delivered: the line, or the parquet row as JSON."""
    if outcome.received is not None or finder is None:
        return pl.DataFrame(schema=RECEIVED_SCHEMA) if outcome.received is None else outcome.received
    found = finder.find(set(outcome.rejected["row_no"].to_list()))
    rows = [(row_no, as_text(line)) for row_no, line in found.items()]
    return pl.DataFrame(rows, schema=RECEIVED_SCHEMA, orient="row")


def _ensure_part(extract: Extract, folder: Path) -> None:
    """A delta without rows says that its source is alive; it too has a part, an empty one."""
    first = folder / part_name(0)
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
