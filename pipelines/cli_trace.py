"""``ncrs trace``: find the NHS numbers of a file's rows.

Belongs here: options and what is printed. Does not belong here: tracing (``search_api/trace``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli_common import JsonOption, emit, progress_bar, settings

if TYPE_CHECKING:
    from search_api.trace.running import Result


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(trace)


def trace(  # noqa: PLR0913 - the options of a command
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or parquet with the columns of PDS's batch trace.")],
    actor: Annotated[str, typer.Option(help="Who traces; it is recorded with every patient matched.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded. Name no patient in it.")],
    out: Annotated[
        Path | None, typer.Option(help="Answer to write; default FILE with .traced before its ending.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes that trace; default NCRS_TRACE_PROCESSES.")
    ] = None,
    restart: Annotated[bool, typer.Option(help="Trace anew what was begun or answered before.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Trace the rows of a file: the same rows come out with NHS number, grade, weight and outcome code.

    After a kill the same command goes on where it was; no row is done twice. Every patient matched is in the
    access log before the answer is written. Columns and codes: docs/batch-trace.md.

    Example: ncrs trace referrals.csv --actor "A. Jones" --reason "referrals without numbers, May"
    """
    from search_api.trace.operator import order_of, target_of
    from search_api.trace.running import Watcher, trace_file

    chosen = settings()
    if processes:
        chosen = chosen.model_copy(update={"trace_processes": processes})
    target = out or target_of(file)
    order = order_of(file, target, actor, reason, restart=restart)
    with progress_bar(f"Tracing {file.name}") as shown:
        result = trace_file(chosen, order, Watcher(shown))
    emit(_document(result, target), as_json=as_json, lines=_lines(result, target))


def _document(result: Result, target: Path) -> dict[str, Any]:
    return {
        "file": str(target),
        "generation": result.generation,
        "rows": result.rows,
        "done_before": result.resumed,
        "outcomes": dict(result.outcomes.most_common()),
    }


def _lines(result: Result, target: Path) -> list[str]:
    counts = [f"{count:>12,}  {name}" for name, count in result.outcomes.most_common()]
    before = f" ({result.resumed:,} of them in an earlier run)" if result.resumed else ""
    return [f"{result.rows:,} rows traced on generation {result.generation}{before}: {target}", *counts]
