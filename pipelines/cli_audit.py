"""``ncrs audit``: check the access log, write it out in the national shape.

Belongs here: reading the log for people. Does not belong here: writing to it
(``search_api/access/audit.py``), what an event holds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_common import Exit, JsonOption, emit, new_app, say, settings, step
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from search_api.access.audit_store import ChainHead

app = new_app("The access log: check its chain, export it as FHIR AuditEvents.")


@app.command()
def verify(
    head: Annotated[
        list[str] | None, typer.Option(help="SEQUENCE:HASH printed by an earlier check and kept elsewhere.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check that no access event was changed, cut out or put in. Exit code 1 when one was.

    Keep the head it prints in another place: with it, a later check proves that nothing before it was cut.

    Example: ncrs audit verify --head 1042:9f2c...
    """
    from search_api.access.audit_report import verify as verify_chain

    anchors = [_anchor(text) for text in head or []]
    with step("Checking the access log"):
        report = verify_chain(_engine(), anchors)
    faults = [f"{fault.code} at event {fault.sequence}" for fault in report.faults]
    document = {
        "events": report.events,
        "whole": report.whole,
        "head": f"{report.head.sequence}:{report.head.hash}",
        "faults": [vars(fault) for fault in report.faults],
    }
    state = "is whole" if report.whole else "is NOT whole"
    lines = [f"The access log {state}: {report.events:,} events.", f"head {document['head']}", *faults]
    emit(document, as_json=as_json, lines=lines)
    if not report.whole:
        raise typer.Exit(Exit.FAILURE)


@app.command()
def export(
    after: Annotated[int, typer.Option(min=0, help="Only events after this sequence number.")] = 0,
    until: Annotated[int | None, typer.Option(min=1, help="Only events up to this sequence number.")] = None,
    to: Annotated[Path | None, typer.Option(help="File to write; standard output when left out.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write access events as FHIR AuditEvents, one JSON object a line, oldest first.

    The output names patients by NHS number: protect it as the records are. The count goes to standard
    error, or as JSON to standard output when a file is named.

    Example: ncrs audit export --after 1042 --to audit.ndjson
    """
    from search_api.access.audit_export import export as export_lines
    from search_api.access.policy import PolicyTable

    lines = export_lines(_engine(), PolicyTable.load(), after=after, until=until)
    count = 0
    if to is None:
        for line in lines:
            sys.stdout.buffer.write(line)
            count += 1
        say(f"{count:,} events.")
        return
    with step(f"Writing {to}"):
        count = _write(to, lines)
    emit({"events": count, "file": str(to)}, as_json=as_json, lines=[f"{count:,} events in {to}."])


def _write(target: Path, lines: Iterable[bytes]) -> int:
    """Beside the target first, so that a broken export never looks like a whole one."""
    fresh = target.with_name(target.name + ".part")
    count = 0
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        for line in lines:
            out.write(line)
            count += 1
    fresh.replace(target)
    return count


def _engine() -> Engine:
    from search_api.access.audit_store import audit_engine

    return audit_engine(settings().audit_url)


def _anchor(text: str) -> ChainHead:
    from search_api.access.audit_store import ChainHead

    sequence, _, digest = text.partition(":")
    if not sequence.isdigit() or not digest:
        raise ConfigurationError("--head is not SEQUENCE:HASH.", remedy="Give it as `ncrs audit verify` printed it.")
    return ChainHead(int(sequence), digest)
