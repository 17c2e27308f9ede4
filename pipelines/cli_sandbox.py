"""``ncrs sandbox``: the outside world, played: supplier extracts, sign-in service, tokens.

Belongs here: starting ``python -m sandbox``. Does not belong here: what it does. The product reaches
the sandbox as it would reach the real world, through files and HTTP, and imports nothing of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_common import Exit, new_app, settings

if TYPE_CHECKING:
    from search_api.settings import Settings

MEMORY = "sandbox.json"
DEFAULTS = {"patients": 100_000, "seed": 1}

app = new_app("The outside world, played: extracts of synthetic patients, a sign-in service, tokens.")


def run_sandbox(*arguments: str) -> None:
    """Run ``python -m sandbox`` in this terminal; raises typer.Exit with its exit code when not 0."""
    done = subprocess.run([sys.executable, "-m", "sandbox", *arguments], check=False)  # noqa: S603 - our own module
    if done.returncode:
        raise typer.Exit(Exit.FAILURE if done.returncode < 0 else done.returncode)


@app.command()
def extract(
    patients: Annotated[int | None, typer.Option(min=1, help="People on day 0; later days remember it.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same people; later days remember it.")] = None,
    day: Annotated[int, typer.Option(min=0, help="Day 0 is a full; each later day a delta on the one before.")] = 0,
    data_format: Annotated[str, typer.Option("--format", help="parquet, or ndjson (FHIR resources).")] = "parquet",
    drop: Annotated[Path | None, typer.Option(help="Drop folder; default that of the settings.")] = None,
) -> None:
    """Write one day's extracts of every feed into the drop folder. Day 0: 100,000 people of seed 1 unless said.

    Example: ncrs sandbox extract --patients 2000 --seed 7 --day 0
    """
    chosen = settings()
    people = _people(chosen, patients, seed, day)
    run_sandbox(
        "extract",
        *("--drop", str(drop or chosen.drop_folder), "--patients", str(people["patients"])),
        *("--seed", str(people["seed"]), "--day", str(day), "--format", data_format),
    )
    if day == 0 and drop is None:
        _remember(chosen, people)


def _people(chosen: Settings, patients: int | None, seed: int | None, day: int) -> dict[str, int]:
    """Size and seed of the population: as given, as remembered from day 0, or the defaults."""
    memory = chosen.home / MEMORY
    known = json.loads(memory.read_text()) if day and memory.is_file() else DEFAULTS
    given = {"patients": patients, "seed": seed}
    return {name: known[name] if value is None else value for name, value in given.items()}


def _remember(chosen: Settings, people: dict[str, int]) -> None:
    from pipelines.home import prepare_home

    prepare_home(chosen)
    (chosen.home / MEMORY).write_text(json.dumps(people))


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
