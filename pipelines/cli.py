"""``ncrs``: the command line of ops, assembled from ``cli_*.py``.

Belongs here: which commands there are and how the process ends. Does not belong here: what a
command does. A command imports what it needs when it runs, so that ``ncrs --help`` answers at once.
"""

from __future__ import annotations

import typer

from pipelines import (
    cli_audit,
    cli_bench,
    cli_compile,
    cli_generations,
    cli_ingest,
    cli_quarantine,
    cli_replay,
    cli_sandbox,
    cli_serve,
    cli_status,
    cli_trace,
    cli_weights,
)
from pipelines.cli_common import EXIT_MEANING, OneLineEnding, new_app

_EXITS = "\n\n".join(f"{code.value}: {meaning}" for code, meaning in EXIT_MEANING.items())

app = new_app(f"The replica of the national care records: from extract to answer.\n\nExit codes:\n\n{_EXITS}")
for module in (cli_ingest, cli_generations, cli_replay, cli_status, cli_trace, cli_serve, cli_compile):
    module.register(app)
app.add_typer(cli_quarantine.app, name="quarantine")
app.add_typer(cli_audit.app, name="audit")
app.add_typer(cli_bench.app, name="bench")
app.add_typer(cli_weights.app, name="weights")
app.add_typer(cli_sandbox.app, name="sandbox")


def main() -> None:
    """Run a command; faults end as one line and an exit code, never with the text of a foreign error."""
    with OneLineEnding():
        # The command itself, not ``app()``: typer would put an excepthook of its own in place, and that
        # one prints the error's text.
        typer.main.get_command(app)(prog_name="ncrs")


if __name__ == "__main__":
    main()
