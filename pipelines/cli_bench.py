"""``ncrs bench``: match quality and the national run, measured by the benchmarks of a source checkout.

Belongs here: starting ``python -m tests.performance…``. Does not belong here: what it measures. Benchmarks are
no part of an installed package, so without the source there is nothing to start, and the command says so.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli_common import Exit, new_app, say
from schemas.errors import Refused

SOURCE = Path(__file__).resolve().parents[1]
SUITE, QUALITY, NATIONAL = "tests.performance", "tests.performance.quality", "tests.performance.national"
NATIONAL_PATIENTS = 63_000_000
# Options of a benchmark that are not told here go to it as they are.
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

app = new_app("Measure match quality and the national run. Needs the source checkout.")

Home = Annotated[
    Path | None, typer.Option(help="Folder that holds or gets the data; without, a temporary one that goes afterwards.")
]
Seed = Annotated[int, typer.Option(help="The same seed asks the same questions of the same people.")]
Dry = Annotated[bool, typer.Option("--dry", help="Print only; write neither figures nor pages.")]


@app.command(context_settings=_PASSED_ON)
def match(  # noqa: PLR0913 - the options of a command
    context: typer.Context,
    patients: Annotated[int, typer.Option(min=1000, help="People, where extracts are made.")] = 1_000_000,
    queries: Annotated[int, typer.Option(min=100, help="Questions of each mix of mistakes.")] = 20_000,
    rivals: Annotated[str, typer.Option(help="Who answers: ours, pds_rules, splink.")] = "ours,pds_rules,splink",
    home: Home = None,
    seed: Seed = 1,
    dry: Dry = False,
) -> None:
    """Ask labelled questions of our matcher, of PDS's rules and of Splink; write docs/match-quality.md.

    Exit code 1 when a share of ours fell beyond noise since the figures were last kept.

    Example: ncrs bench match --patients 100000 --rivals ours --dry
    """
    chosen = ["--patients", str(patients), "--queries", str(queries), "--rivals", rivals, "--seed", str(seed)]
    _run(QUALITY, [*chosen, *_home(home), *_dry(dry), *context.args])


@app.command(context_settings=_PASSED_ON)
def national(
    context: typer.Context,
    patients: Annotated[int, typer.Option(min=1000, help="People of the country.")] = NATIONAL_PATIENTS,
    home: Home = None,
    seed: Seed = 1,
) -> None:
    """Generate, ingest, build, publish and measure a whole country, in stages that resume; needs 60 GB of disk.

    Example: ncrs bench national --patients 63000000 --home /srv/national
    """
    _run(NATIONAL, ["--patients", str(patients), "--seed", str(seed), *_home(home), *context.args])


@app.command(name="all")
def everything(
    patients: Annotated[
        int, typer.Option(min=1000, help="People of the country in the national run.")
    ] = NATIONAL_PATIENTS,
    home: Home = None,
    seed: Seed = 1,
) -> None:
    """The performance suite, match quality, then the national run; each writes its page.

    One that fails does not keep the next from running; the exit code is that of the first that failed.

    Example: ncrs bench all --home /srv/national
    """
    national_run = ["--patients", str(patients), "--seed", str(seed), *_home(home)]
    runs = ((SUITE, ["--seed", str(seed)]), (QUALITY, ["--seed", str(seed)]), (NATIONAL, national_run))
    for module, _ in runs:
        _source_of(module)
    codes = [_started(module, arguments) for module, arguments in runs]
    if failed := [code for code in codes if code]:
        raise typer.Exit(failed[0])


def _home(home: Path | None) -> list[str]:
    return [] if home is None else ["--home", str(home.resolve())]


def _dry(dry: bool) -> list[str]:
    return ["--dry"] if dry else []


def _run(module: str, arguments: list[str]) -> None:
    _source_of(module)
    if code := _started(module, arguments):
        raise typer.Exit(code)


def _started(module: str, arguments: list[str]) -> int:
    """Run a module of the checkout in this terminal; its exit code, or that of a failure when it was killed."""
    say(f"python -m {module} {' '.join(arguments)}")
    command = [sys.executable, "-m", module, *arguments]
    code = subprocess.run(command, cwd=SOURCE, check=False).returncode  # noqa: S603 - our own module
    return int(Exit.FAILURE) if code < 0 else code


def _source_of(module: str) -> Path:
    """The file that starts a benchmark.

    Raises:
        Refused: this is an installed package, or a checkout without that benchmark.
    """
    start = SOURCE.joinpath(*module.split("."), "__main__.py")
    if not start.exists():
        raise Refused(
            f"The benchmark {module} is not part of what is installed here.",
            remedy="Benchmarks run in a source checkout: clone the repository, make environment, then use its own .venv/bin/ncrs.",
        )
    return start
