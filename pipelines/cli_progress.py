"""What a long build shows while it runs: a bar over the documents of each of its steps.

Belongs here: showing what ``assets/progress.py`` is told. Does not belong here: counting, steps whose
length nobody knows (``cli_common.step``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipelines.cli_common import console, say, step

if TYPE_CHECKING:
    from assets.progress import Listener


@contextmanager
def building(text: str, *, as_json: bool) -> Iterator[None]:
    """A build under way: on a terminal a bar for each step that counts, else one line for each; no
    more than one line for the whole where a program reads the answer."""
    if as_json:
        with step(text):
            yield
        return
    from assets.progress import listening

    with _bars(text) if console(error=True).is_terminal else _lines(text) as listener, listening(listener):
        yield


@contextmanager
def _bars(text: str) -> Iterator[Listener]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console(error=True)) as progress:
        whole = progress.add_task(text, total=None)
        tasks = {text: whole}

        def listen(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
            progress.update(tasks[name], completed=done, total=total)

        yield listen
        progress.update(whole, total=1, completed=1)


@contextmanager
def _lines(text: str) -> Iterator[Listener]:
    """One line when a step begins; a log need not hold more."""
    say(f"{text} ...")
    begun: set[str] = set()

    def listen(name: str, done: int, total: int) -> None:  # noqa: ARG001 - a line is not changed afterwards
        if name not in begun:
            begun.add(name)
            say(f"{name}: {total:,} ...")

    yield listen
