"""``ncrs serve`` and ``ncrs run``: the API alone, and everything on one machine.

Belongs here: options and what is printed. Does not belong here: the API (``search_api``), the
processes (``everything.py``).
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from pipelines.cli_common import settings

GRACEFUL_S = 30


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(serve)
    app.command()(run)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default NCRS_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; default NCRS_PORT.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes; each opens the same generation read-only.")] = 1,
) -> None:
    """Serve the API from the published generation until stopped.

    SIGTERM stops it gracefully: no new requests, those under way have 30 seconds. TLS ends in front of it.

    Example: ncrs serve --port 8000 --workers 4
    """
    from pipelines.doctor import port_taken
    from schemas.errors import Refused
    from search_api import listening

    chosen = settings()
    address, number = host or chosen.host, port or chosen.port
    if port_taken(address, number):
        raise Refused(f"Port {number} is taken.", remedy="Stop what listens there, or name another with --port.")
    listening.serve(
        "search_api.serve:build_app",
        factory=True,
        http="search_api.one_write:OneWrite",
        host=address,
        port=number,
        workers=workers,
        # Access lines hold paths and queries, and so NHS numbers and names.
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACEFUL_S,
    )


def run(  # noqa: PLR0913 - the options of a command
    patients: Annotated[int, typer.Option(min=10, help="Synthetic patients, when there is no data yet.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Same seed, same people.")] = 1,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the API.")] = 8000,
    identity_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the sandbox's sign-in service.")] = 8010,
    dagster_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Dagster's pages.")] = 3000,
    index: Annotated[
        Literal["embedded", "opensearch"] | None,
        typer.Option(help="opensearch: on a real node that is started with it. Default: the settings."),
    ] = None,
    opensearch_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of that node.")] = 9200,
) -> None:
    """Bring up everything on this machine: synthetic patients, ingest, publish, API, Dagster, sign-in.

    What exists is used as it is; a second run starts in seconds. Ctrl-C stops all of it.

    Example: ncrs run --patients 2000

    On OpenSearch: ncrs run --patients 2000 --index opensearch
    """
    from pipelines.everything import Demonstration, Ports, run_everything
    from pipelines.own_index import OwnIndex

    ports = Ports(port, identity_port, dagster_port)
    run_everything(settings(), Demonstration(ports, OwnIndex(index, opensearch_port), patients, seed))
