"""What all commands share: exit codes, settings, printing, progress, errors without a traceback.

Belongs here: the behaviour a caller of any command can rely on. Does not belong here: a command
(``cli_*.py``), heavy imports (``ncrs --help`` must answer at once: import inside functions).
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from schemas.errors import ConfigurationError, DataFault, InvalidNhsNumber, NcrsError, PassingFault, Refused

if TYPE_CHECKING:
    from rich.console import Console

    from search_api.settings import Settings


class Exit(IntEnum):
    """Exit codes of ``ncrs``, the same for every command."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    REFUSED = 3
    DATA_REFUSED = 4
    TRY_AGAIN = 5
    INTERRUPTED = 130


EXIT_MEANING = {
    Exit.OK: "done",
    Exit.FAILURE: "failed; the message says what to do",
    Exit.USAGE: "wrong option, argument or setting",
    Exit.REFUSED: "refused because of the state of things; nothing was changed",
    Exit.DATA_REFUSED: "a supplier's extract was refused; the rest was done",
    Exit.TRY_AGAIN: "a passing fault (a lock, a time-out): the same command may succeed later",
    Exit.INTERRUPTED: "stopped with Ctrl-C",
}

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def new_app(help_text: str) -> typer.Typer:
    """A group of commands in the house's manner."""
    return typer.Typer(help=help_text, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


def settings() -> Settings:
    """The operator's settings. Raises ConfigurationError naming the setting that is wrong."""
    from pydantic import ValidationError

    from search_api.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        names = ", ".join(sorted({f"NCRS_{str(item['loc'][0]).upper()}" for item in error.errors() if item["loc"]}))
        raise ConfigurationError(
            f"These settings are wrong: {names}.", remedy="See docs/reference/settings.md for each setting."
        ) from None


def console(*, error: bool = False) -> Console:
    """A console on standard output, or on standard error for progress and remarks."""
    from rich.console import Console

    return Console(stderr=error, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One remark on standard error: standard output holds the answer only."""
    typer.echo(text, err=True)


def emit(document: Any, *, as_json: bool, lines: Sequence[str] = ()) -> None:
    """The answer of a command: one JSON document, or the lines for people."""
    if as_json:
        typer.echo(json.dumps(document, indent=2, default=str))
        return
    for line in lines:
        typer.echo(line)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table for people on standard output; plain columns, whatever the width of the terminal."""
    cells = [list(columns), *(["–" if cell is None else str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(columns))]
    for row in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@contextmanager
def step(text: str) -> Iterator[None]:
    """A step that may take a while: a spinner with the time on a terminal, two lines elsewhere."""
    screen = console(error=True)
    if not screen.is_terminal:
        say(f"{text} ...")
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=screen) as progress:
        task = progress.add_task(text, total=None)
        yield
        progress.update(task, total=1, completed=1)


@contextmanager
def progress_bar(text: str) -> Iterator[Callable[[int, int], None]]:
    """A bar over known work: the block gets a function of (done, total). Lines elsewhere than on a terminal."""
    screen = console(error=True)
    if not screen.is_terminal:
        say(f"{text} ...")
        yield lambda _done, _total: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    parts = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeElapsedColumn())
    with Progress(*parts, console=screen) as progress:
        task = progress.add_task(text, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def actor() -> str:
    """Who runs the command, for records: the user of the operating system."""
    import getpass

    try:
        return f"{getpass.getuser()} (ncrs)"
    except (KeyError, OSError):
        return "unknown user (ncrs)"


def in_utc(moment: datetime | None) -> str:
    """A moment for people: ``2026-11-24 06:00Z``."""
    return "–" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")


def in_words(span: timedelta | None) -> str:
    """A time span as people say it: ``3 d 4 h``, ``5 h 10 min``, ``12 min``."""
    if span is None:
        return "–"
    minutes = int(abs(span).total_seconds() // 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        text = f"{days} d {hours} h" if hours else f"{days} d"
    else:
        text = f"{hours} h {rest} min" if hours else f"{rest} min"
    return f"-{text}" if span < timedelta(0) and minutes else text


def exit_code(fault: NcrsError) -> Exit:
    """The exit code of a fault."""
    kinds: Mapping[type[NcrsError], Exit] = {
        ConfigurationError: Exit.USAGE,
        InvalidNhsNumber: Exit.USAGE,
        Refused: Exit.REFUSED,
        DataFault: Exit.DATA_REFUSED,
        PassingFault: Exit.TRY_AGAIN,
    }
    return next((code for kind, code in kinds.items() if isinstance(fault, kind)), Exit.FAILURE)


def explain(fault: BaseException) -> tuple[str, Exit]:
    """The line to print for what went wrong, and the exit code."""
    if isinstance(fault, NcrsError):
        return str(fault), exit_code(fault)
    if isinstance(fault, OSError):
        place = f" ({fault.filename})" if fault.filename else ""
        return f"SYSTEM: {fault.strerror or type(fault).__name__}{place}. Run `ncrs doctor`.", Exit.FAILURE
    if _is_database_error(fault):
        busy = "database is locked" in str(fault)
        text = f"DATABASE: a database cannot be used ({type(fault).__name__}). Run `ncrs doctor`."
        return text, Exit.TRY_AGAIN if busy else Exit.FAILURE
    return f"UNEXPECTED: {type(fault).__name__}. This is a fault of the product; please report it.", Exit.FAILURE


class OneLineEnding(AbstractContextManager[None]):
    """A fault inside the block ends the process with one line and its exit code.

    Of an error that nobody expected the place is shown too, but never its text, which may quote a row.
    """

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        if isinstance(fault, KeyboardInterrupt):
            sys.exit(Exit.INTERRUPTED)
        if isinstance(fault, Exception):
            line, code = explain(fault)
            sys.stderr.write(f"{line}\n")
            if line.startswith("UNEXPECTED"):
                sys.stderr.writelines(traceback.format_tb(trace))
            sys.exit(code)
        return False


def _is_database_error(fault: BaseException) -> bool:
    """By name, so that no library is imported for it."""
    return any(kind.__name__ == "SQLAlchemyError" for kind in type(fault).__mro__)
