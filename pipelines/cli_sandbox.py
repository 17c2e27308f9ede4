"""``ncrs sandbox``: the outside world, played: supplier extracts, sign-in service, tokens.

Belongs here: starting ``python -m sandbox``. Does not belong here: what it does. The product reaches
the sandbox as it would reach the real world, through files and HTTP, and imports nothing of it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli_common import Exit, new_app, settings

app = new_app("The outside world, played: extracts of synthetic patients, a sign-in service, tokens.")


def run_sandbox(*arguments: str) -> None:
    """Run ``python -m sandbox`` in this terminal; raises typer.Exit with its exit code when not 0."""
    done = subprocess.run([sys.executable, "-m", "sandbox", *arguments], check=False)  # noqa: S603 - our own module
    if done.returncode:
        raise typer.Exit(Exit.FAILURE if done.returncode < 0 else done.returncode)


@app.command()
def extract(
    patients: Annotated[int, typer.Option(min=1, help="How many patients there are on day 0.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Same seed, same people.")] = 1,
    day: Annotated[int, typer.Option(min=0, help="Day 0 is a full; each later day a delta on the one before.")] = 0,
    data_format: Annotated[str, typer.Option("--format", help="parquet, or ndjson.gz of FHIR resources.")] = "parquet",
    drop: Annotated[Path | None, typer.Option(help="Drop folder; default that of the settings.")] = None,
) -> None:
    """Write one day's extracts of every feed into the drop folder.

    Example: ncrs sandbox extract --patients 2000 --seed 7 --day 0
    """
    folder = drop or settings().drop_folder
    run_sandbox(
        "extract",
        *("--drop", str(folder), "--patients", str(patients), "--seed", str(seed)),
        *("--day", str(day), "--format", data_format),
    )


@app.command()
def identity(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8010,
) -> None:
    """Serve the sandbox's sign-in service (OIDC) until Ctrl-C.

    Example: ncrs sandbox identity --port 8010
    """
    run_sandbox("identity", "--port", str(port))


@app.command()
def token(
    persona: Annotated[str, typer.Option(help="Who asks; see `ncrs sandbox personas`.")] = "clinician",
    role: Annotated[str | None, typer.Option(help="Role profile id to select, for who has several.")] = None,
    nhs_number: Annotated[str | None, typer.Option(help="Own number of the patient persona.")] = None,
    seconds: Annotated[int, typer.Option(min=1, max=3600, help="Life of the token.")] = 3600,
    issuer: Annotated[str | None, typer.Option(help="Address of the sign-in service; default NCRS_ISSUER.")] = None,
) -> None:
    """Print an access token of the sandbox's sign-in service.

    Example: ncrs sandbox token --persona clinician
    """
    chosen = {"--role": role, "--nhs-number": nhs_number}
    more = [word for option, value in chosen.items() if value is not None for word in (option, value)]
    base = ("token", "--persona", persona, "--seconds", str(seconds), "--issuer", issuer or settings().issuer)
    run_sandbox(*base, *more)


@app.command()
def personas() -> None:
    """List whom one may play.

    Example: ncrs sandbox personas
    """
    run_sandbox("personas")
