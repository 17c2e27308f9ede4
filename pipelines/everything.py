"""``make run``: from nothing to an answered question on one machine, then serve until stopped.

Belongs here: the steps and the processes of the demonstration. Does not belong here: how processes
are kept (``supervise.py``), which index (``own_index.py``), the question that is tried (``trial.py``).

The steps run as the same commands that ops use, each in a process of its own, so that memory of a
build is gone before anything serves.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import typer

from assets.landing.deliveries import deliveries
from pipelines.cli_common import step
from pipelines.cli_status import current_generation
from pipelines.doctor import port_taken
from pipelines.home import prepare_home, stores_of
from pipelines.instance import ROOT, WORKSPACE_YAML, dagster_home
from pipelines.own_index import HOST, OwnIndex, can_serve
from pipelines.supervise import Company, Program, stop_on_signals
from pipelines.trial import Trial, find_trial
from schemas.errors import PermanentFault, Refused
from schemas.feeds import FEEDS, PDS_PATIENT
from search_api.settings import Settings

READY_S = 120.0
API, SIGN_IN, DAGSTER, DAEMON = "api", "sign-in", "dagster", "dagster-daemon"


@dataclass(frozen=True)
class Ports:
    """Where the three listen."""

    api: int
    identity: int
    dagster: int

    def addresses(self) -> dict[str, str]:
        """Name to address."""
        numbers = {"api": self.api, "sign-in": self.identity, "dagster": self.dagster}
        return {name: f"http://{HOST}:{port}" for name, port in numbers.items()}


@dataclass(frozen=True)
class Demonstration:
    """What ``ncrs run`` was asked for."""

    ports: Ports
    index: OwnIndex
    patients: int
    seed: int


def run_everything(chosen: Settings, wanted: Demonstration) -> None:
    """Raises Refused when a port is taken, PermanentFault when a step or a process fails."""
    _require_free(wanted)
    settings = wanted.index.applied(chosen)
    prepare_home(settings)
    environment = _environment(settings, wanted)
    with stop_on_signals(), Company(environment, ROOT) as company:
        try:
            _bring_index(settings, wanted.index, company)
            _fill(settings, environment, wanted)
            _serve(settings, wanted, company)
        except KeyboardInterrupt:
            typer.echo("Stopping ...", err=True)
    typer.echo("Stopped. The data is kept; the next `make run` starts from it.", err=True)


def _bring_index(settings: Settings, index: OwnIndex, company: Company) -> None:
    """The node that the index lives on must answer before anything is built."""
    if not index.own_node:
        return
    _python({}, "sandbox", "opensearch", "--fetch-only")
    program = index.program(settings)
    company.start(program)
    with step("Waiting until OpenSearch answers"):
        company.wait_ready(READY_S, program.name)


def _serve(settings: Settings, wanted: Demonstration, company: Company) -> None:
    """Start what answers, try a question, print how to, then wait for the end."""
    ports = wanted.ports
    for program in _programs(settings, ports):
        company.start(program)
    with step("Waiting until the API and the sign-in service answer"):
        company.wait_ready(READY_S, API, SIGN_IN)
    addresses = ports.addresses()
    trial = find_trial(settings, addresses["api"], addresses["sign-in"])
    _print_how_to(wanted, trial, _next_day(settings))
    with step("Waiting until Dagster answers"):
        company.wait_ready(READY_S)
    typer.echo("Everything runs. Ctrl-C stops everything.")
    company.watch()


def _require_free(wanted: Demonstration) -> None:
    ports = wanted.ports
    names = {"PORT": ports.api, "IDENTITY_PORT": ports.identity, "DAGSTER_PORT": ports.dagster}
    if wanted.index.own_node:
        names["OPENSEARCH_PORT"] = wanted.index.port
    for variable, port in names.items():
        if port_taken(HOST, port):
            option = f"--{variable.lower().replace('_', '-')}"
            raise Refused(
                f"Port {port} is taken.",
                remedy=f"Stop what listens there, or choose another: make run {variable}={port + 1} (ncrs run {option}).",
            )


def _environment(settings: Settings, wanted: Demonstration) -> Mapping[str, str]:
    """What every child gets: absolute places, so that its own folder does not matter."""
    ports = wanted.ports
    return {
        "NCRS_HOME": str(settings.home.resolve()),
        "NCRS_DROP": str(settings.drop_folder.resolve()),
        "NCRS_HOST": HOST,
        "NCRS_PORT": str(ports.api),
        "NCRS_ISSUER": ports.addresses()["sign-in"],
        "DAGSTER_HOME": str(dagster_home(settings)),
        "PYTHONUNBUFFERED": "1",
        **wanted.index.environment(),
    }


def _fill(settings: Settings, environment: Mapping[str, str], wanted: Demonstration) -> None:
    """Synthetic patients, ingested and published, unless a generation is there already that can be served."""
    current = current_generation(settings)
    if current is not None and can_serve(settings, current):
        typer.echo(f"Using what is there: generation {current.generation}. Another NCRS_HOME starts afresh.", err=True)
        return
    if current is not None:
        typer.echo(f"Generation {current.generation} has another index, or its index is gone: building anew.", err=True)
        _command(environment, "build", "--full", "--reason", "ncrs run: another index")
        return
    began = time.monotonic()
    if not any(deliveries(stores_of(settings), feed) for feed in FEEDS):
        size = ("--patients", str(wanted.patients), "--seed", str(wanted.seed))
        _command(environment, "sandbox", "extract", *size)
    _command(environment, "ingest")
    typer.echo(f"From extract to published generation in {time.monotonic() - began:.0f} s.", err=True)


def _command(environment: Mapping[str, str], *arguments: str) -> None:
    _python(environment, "pipelines.cli", *arguments)


def _python(environment: Mapping[str, str], module: str, *arguments: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own command lines
        [sys.executable, "-m", module, *arguments], cwd=ROOT, env={**os.environ, **environment}, check=False
    )
    if done.returncode:
        name = "ncrs" if module == "pipelines.cli" else f"python -m {module}"
        raise PermanentFault(f"`{name} {' '.join(arguments)}` ended with code {done.returncode}.", remedy="See above.")


def _programs(settings: Settings, ports: Ports) -> list[Program]:
    addresses = ports.addresses()
    logs = settings.home.resolve() / "logs"
    workspace = str(ROOT / WORKSPACE_YAML)

    def program(name: str, ready: str | None, *arguments: str) -> Program:
        return Program(name, (sys.executable, "-m", *arguments), ready, logs / f"{name}.log")

    return [
        program(
            "sign-in",
            f"{addresses['sign-in']}/.well-known/openid-configuration",
            *("sandbox", "identity", "--port", str(ports.identity)),
        ),
        program("api", f"{addresses['api']}/readyz", "pipelines.cli", "serve"),
        program(
            "dagster",
            f"{addresses['dagster']}/server_info",
            *("dagster_webserver", "-h", HOST, "-p", str(ports.dagster), "-w", workspace),
        ),
        program("dagster-daemon", None, "dagster._daemon", "run", "-w", workspace),
    ]


def _print_how_to(wanted: Demonstration, trial: Trial, next_day: int) -> None:
    addresses = wanted.ports.addresses()
    lines = (
        "",
        f"API      {addresses['api']}/FHIR/R4     (pages: {addresses['api']}/docs)",
        f"Dagster  {addresses['dagster']}",
        f"Sign-in  {addresses['sign-in']}     (sandbox)",
        *_index_lines(wanted.index),
        "",
        "Sign in as (ncrs sandbox token --persona NAME):",
        *(f"  {line}" for line in _personas()),
        "",
        "Find a patient whose name was misspelt:",
        "",
        *(f"  {line}" for line in trial.lines),
        "",
        f"  -> {trial.answer}",
        "",
        "`ncrs status` says how things stand. A delivery in the drop folder is taken in and published by itself; try:",
        "",
        f"  .venv/bin/ncrs sandbox extract --day {next_day}",
        "",
    )
    for line in lines:
        typer.echo(line)


def _index_lines(index: OwnIndex) -> tuple[str, ...]:
    """Where the node is, and what commands on this home must be told of it."""
    if not index.own_node:
        return ()
    told = " ".join(f"{name}={value}" for name, value in index.environment().items())
    return (
        f"Index    {index.address}     (OpenSearch)",
        "",
        "Before commands such as `ncrs verify`:",
        f"  export {told}",
    )


def _next_day(settings: Settings) -> int:
    """Day D is delivered as sequence D + 1."""
    return max((delivery.sequence for delivery in deliveries(stores_of(settings), PDS_PATIENT.name)), default=0)


def _personas() -> list[str]:
    listed = subprocess.run(
        [sys.executable, "-m", "sandbox", "personas"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return listed.stdout.splitlines()
