"""``ncrs replay``: what a caller was shown, answered again from the generation of that time.

Belongs here: reading one record of a named generation as the API would have shown it.
Does not belong here: the view (``search_api/patients/views.py``), finding the access event (``ncrs audit``).
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from pipelines.cli_access import RoleOption, Seen, TokenOption, allowed_caller, guarded, record_access
from pipelines.cli_common import JsonOption, emit, settings
from schemas.errors import Refused

POLICY = "patient-read"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(replay)


def replay(
    generation: Annotated[str, typer.Argument(help="Generation named by the access event; or `current`.")],
    token: TokenOption,
    role: RoleOption = "",
    as_json: JsonOption = False,
) -> None:
    """Answer a read again as it was answered from a generation that is still kept.

    The NHS number is read from standard input, so that it stays out of the shell's history and the list of
    processes. Needs a token that may read patients; leaves an access event. Prints the FHIR Patient.

    Example: ncrs replay 000006-1f0c22aa < number.txt
    """
    from assets.published.status import opened
    from pipelines.home import stores_of
    from schemas.identifiers import parse_nhs_number
    from search_api.index.engines import index_engine
    from search_api.patients import views
    from search_api.patients.records import record_of

    chosen = settings()
    caller = allowed_caller(chosen, token, role, POLICY)
    number = parse_nhs_number(_asked())
    with opened(stores_of(chosen), index_engine(chosen), generation) as found:
        record = guarded(lambda: record_of(found, number))
        name = found.manifest.generation
        record_access(chosen, caller, Seen(POLICY, (record.nhs_number,), name, "ncrs replay"))
        answer = views.read(record, caller, chosen)
        _print(name, found.manifest.as_at.isoformat(), answer, as_json)


def _asked() -> str:
    if sys.stdin.isatty():
        typer.echo("NHS number: ", err=True, nl=False)
    text = sys.stdin.readline().strip()
    if not text:
        raise Refused("No NHS number was given.", remedy="Write it to standard input.")
    return text


def _print(generation: str, as_at: str, answer: dict[str, Any], as_json: bool) -> None:
    import json

    document = {"generation": generation, "asAt": as_at, "resource": answer}
    lines = [f"Generation {generation}, as at {as_at}", json.dumps(answer, indent=2)]
    emit(document, as_json=as_json, lines=lines)
