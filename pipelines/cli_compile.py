"""``ncrs compile``: machine code for the matcher.

Belongs here: options and what is printed. Does not belong here: the build (``compiling.py``).
"""

from __future__ import annotations

import time
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(name="compile")(compile_matcher)


def compile_matcher(
    undo: Annotated[bool, typer.Option("--undo", help="Remove it: the matcher runs as plain Python again.")] = False,
) -> None:
    """Compile the matcher, so that searches and traces ask a third less of the processor. Answers are the same.

    Takes half a minute and a C compiler. Every process started afterwards uses it, until a source changes.

    Example: ncrs compile
    """
    from pipelines import compiling

    if undo:
        compiling.undo()
        typer.echo("The matcher runs as plain Python.")
        return
    begun = time.monotonic()
    typer.echo("Compiling the matcher ...", err=True)
    place = compiling.make()
    typer.echo(f"The matcher is compiled ({time.monotonic() - begun:.0f} s): {place.name}")
