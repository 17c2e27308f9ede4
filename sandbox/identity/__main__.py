"""The issuer's commands on their own: ``python -m sandbox.identity identity --port 8010``.

Belongs here: the entry point. Does not belong here: the commands (``cli.py``).
"""

from __future__ import annotations

import typer

from sandbox.identity.cli import register

app = typer.Typer(help="The sandbox's sign-in service.", no_args_is_help=True)
register(app)

if __name__ == "__main__":
    app()
