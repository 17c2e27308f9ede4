"""The sandbox's command line: ``python -m sandbox``.

Belongs here: arguments, progress and printing. Does not belong here: the population
(``sandbox/population``), extracts (``sandbox/extracts``), the sign-in service (``sandbox/identity``,
which adds its own commands), the OpenSearch node (``sandbox/opensearch``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from sandbox.identity.cli import register
from schemas.errors import ConfigurationError, NcrsError, Refused

app = typer.Typer(
    name="sandbox",
    help="The outside world, played: synthetic patients, their extracts, the sign-in service, OpenSearch.",
    no_args_is_help=True,
)
register(app)

_ERRORS = Console(stderr=True)


@contextmanager
def _told() -> Iterator[None]:
    """Errors raised on purpose become one line on standard error; exit codes as those of ``ncrs``."""
    try:
        yield
    except NcrsError as error:
        _ERRORS.print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(_exit_code(error)) from error


def _exit_code(error: NcrsError) -> int:
    """2 for a wrong option, 3 for a refusal because of the state of things, 1 for the rest."""
    if isinstance(error, ConfigurationError):
        return 2
    return 3 if isinstance(error, Refused) else 1


@app.command()
def extract(  # noqa: PLR0913 - the options of a command
    drop: Annotated[Path, typer.Option(help="Drop folder; made when missing.")],
    patients: Annotated[int, typer.Option(min=1, help="People in the population.")] = 100_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same people.")] = 1,
    day: Annotated[int, typer.Option(min=0, help="0: the full extract. D: the changes of day D.")] = 0,
    form: Annotated[str, typer.Option("--format", help="ndjson (FHIR) or parquet (row form).")] = "ndjson",
    base: Annotated[
        str | None,
        typer.Option(help="Date of day 0 (yyyy-mm-dd); default: that of day 0 in the drop folder, or today."),
    ] = None,
    summaries: Annotated[str, typer.Option(help="documents, or headers: summaries without them.")] = "documents",
    changes: Annotated[
        int | None,
        typer.Option(min=1, help="About how many patients change a day; the same on all days. Default: as many as do."),
    ] = None,
) -> None:
    """Write the extracts of one day into a drop folder; an attempt that was interrupted is gone on with.

    Examples:

      python -m sandbox extract --patients 100000 --seed 1 --day 0 --drop data/drop

      python -m sandbox extract --patients 100000 --seed 1 --day 1 --drop data/drop --format parquet

      python -m sandbox extract --patients 63000000 --format parquet --summaries headers --drop data/drop
    """
    from sandbox.extracts.extract import extract as write
    from sandbox.extracts.plan import Plan, parse_base, parse_format, parse_summaries

    with _told():
        day_zero = parse_base(base, drop, day, datetime.now(UTC))
        plan = Plan(drop, patients, seed, day, day_zero, parse_format(form), parse_summaries(summaries), changes)
        with _bars() as bars:
            manifests = write(plan, bars)
    for manifest in manifests:
        typer.echo(
            f"{manifest.feed:<18} {manifest.kind:<6} sequence {manifest.sequence:<4} rows {manifest.record_count:>10}"
            f"  as at {manifest.window_to.isoformat()}"
        )


@app.command()
def deliver(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=".ndjson, .ndjson.gz or .parquet.")],
    drop: Annotated[Path, typer.Option(help="Drop folder; made when missing.")],
    feed: Annotated[str, typer.Option(help="Feed the file belongs to.")] = "pds_patient",
    full: Annotated[bool, typer.Option("--full", help="A full: who is not in it is deleted.")] = False,
    as_at: Annotated[datetime | None, typer.Option(help="When the data is true, UTC; default now.")] = None,
) -> None:
    """Deliver your own file: copy it into the drop folder as the next sequence, with a manifest.

    Example: python -m sandbox deliver patients.ndjson --feed pds_patient --drop data/drop
    """
    from sandbox.extracts.deliver import Delivery
    from sandbox.extracts.deliver import deliver as write

    moment = as_at.replace(tzinfo=UTC) if as_at else datetime.now(UTC)
    with _told():
        made = write(Delivery(drop, feed, "full" if full else "delta", moment), file)
    typer.echo(f"{made.feed} {made.kind} sequence {made.sequence} rows {made.record_count} as at {made.window_to}")


class _Bars:
    """One progress bar a feed."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, object] = {}

    def __call__(self, feed: str, done: int, total: int) -> None:
        task = self._tasks.get(feed)
        if task is None:
            task = self._tasks[feed] = self._progress.add_task(feed, total=total)
        self._progress.update(task, completed=done)  # type: ignore[arg-type]


@contextmanager
def _bars() -> Iterator[_Bars]:
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_ERRORS) as progress:
        yield _Bars(progress)


@app.command()
def people(
    show_personas: Annotated[bool, typer.Option("--show-personas", help="The well-known people only.")] = False,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many people to show.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the population.")] = 1,
) -> None:
    """Show some of the synthetic people.

    Examples:

      python -m sandbox people --show-personas

      python -m sandbox people --count 5 --seed 7
    """
    from sandbox.population.demographics import people as make
    from sandbox.population.personas import PERSONAS

    if show_personas:
        for persona in PERSONAS:
            typer.echo(f"{persona.number}  {persona.about}")
        return
    _print(make(count, seed))


def _print(frame: pl.DataFrame) -> None:
    table = Table(*frame.columns)
    for row in frame.iter_rows():
        table.add_row(*("" if value is None else str(value) for value in row))
    Console(width=240).print(table)


@app.command()
def bench(
    patients: Annotated[int, typer.Option(min=1000, help="People to make.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Seed of the population.")] = 1,
) -> None:
    """Measure how fast people are made (at least 500,000 demographic rows a second on two cores).

    Example: python -m sandbox bench --patients 1000000
    """
    from sandbox.bench import measures

    for name, rows, seconds in measures(patients, seed, time.perf_counter):
        typer.echo(f"{name:<28} {rows:>10} rows {seconds:>8.2f} s {rows / seconds:>12,.0f} rows/s")


@app.command()
def opensearch(  # noqa: PLR0913 - the options of a command
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any that is free.")] = 9200,
    data: Annotated[Path | None, typer.Option(help="Folder of its data; default: one that goes when it stops.")] = None,
    heap: Annotated[str, typer.Option(help="Memory for Java's heap; it takes about half as much again.")] = "1g",
    fetch_only: Annotated[bool, typer.Option("--fetch-only", help="Download what is needed, then end.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", envvar="OPENSEARCH_QUICK", help="Start in half the time, run slower: for tests.")
    ] = False,
    until_ends: Annotated[int | None, typer.Option(help="Stop when the process of this id ends.")] = None,
) -> None:
    """Serve one real OpenSearch node on this machine, for this machine alone, until Ctrl-C.

    The distribution (160 MB) is fetched once into NCRS_CACHE (default ~/.cache/ncrs) and checked.

    Examples:

      python -m sandbox opensearch --port 9200 --data data/opensearch

      python -m sandbox opensearch --fetch-only
    """
    from sandbox.opensearch.serve import download, plan_of, serve

    with _told():
        if fetch_only:
            download(_say)
        else:
            serve(plan_of(port, heap, data, quick=quick), _say, until_ends)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def main() -> None:
    """Entry point of ``python -m sandbox``."""
    app()
