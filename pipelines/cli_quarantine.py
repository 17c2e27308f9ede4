"""``ncrs quarantine``: the rows that were not taken in, and what people decide about them.

Belongs here: options and what is printed. Does not belong here: what a decision does
(``assets/validated/quarantine.py``).

The list is masked. To see, release or drop a row one needs a token with the role, and a reason; both
the access log and the ledger say who, when and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_access import RoleOption, Seen, TokenOption, allowed_caller, record_access
from pipelines.cli_common import JsonOption, emit, new_app, settings, step, table
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from assets.validated.quarantine import Actor, Desk, RowRef
    from search_api.settings import Settings

POLICY = "quarantine-show"
_PARTS = 4
COLUMNS = ("row", "NHS number", "level", "code", "rule", "state", "may be released")

app = new_app("Rows that were not taken in: list, show, release, drop.")

RowArgument = Annotated[str, typer.Argument(metavar="ROW", help="feed/source/sequence/row, as the list prints it.")]
ReasonOption = Annotated[str, typer.Option(help="Why; it is recorded with your name.")]


@app.command("list")
def list_rows(
    feeds: Annotated[list[str] | None, typer.Argument(help="Feeds; all when left out.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also rows that were released or dropped.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most rows a feed.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """List quarantined rows, masked, newest extract first.

    Example: ncrs quarantine list pds_patient --limit 20
    """
    from assets.validated.quarantine import held_rows
    from schemas.feeds import FEEDS

    desk = _desk(settings())
    state = None if every else "open"
    names = feeds or list(FEEDS)
    _check_feeds(names)
    rows = [held for name in names for held in held_rows(desk, name, state=state, limit=limit)]
    if as_json:
        emit([{**vars(held), "ref": str(held.ref)} for held in rows], as_json=True)
        return
    words = {True: "yes", False: "no"}
    shown = [
        (held.ref, held.nhs_number, held.level, held.code, held.rule, held.state, words[held.releasable])
        for held in rows
    ]
    table(COLUMNS, shown)


@app.command()
def show(
    row: RowArgument, reason: ReasonOption, token: TokenOption, role: RoleOption = "", as_json: JsonOption = False
) -> None:
    """Print one row as it was received. Needs the role; leaves an access event.

    Example: ncrs quarantine show pds_patient/PDS/3/17 --reason "call from the supplier"
    """
    from assets.validated.quarantine import show_row

    chosen = settings()
    ref = _ref(row)
    actor = _actor(chosen, token, role, ref)
    received = show_row(_desk(chosen), ref, actor, reason)
    emit({"row": str(ref), "received": received}, as_json=as_json, lines=[received])


@app.command()
def release(
    row: RowArgument, reason: ReasonOption, token: TokenOption, role: RoleOption = "", as_json: JsonOption = False
) -> None:
    """Overrule the rules a row broke, where they may be; the next publication takes it in.

    Example: ncrs quarantine release pds_patient/PDS/3/17 --reason "confirmed by PDS"
    """
    from assets.validated.quarantine import release_row

    chosen = settings()
    ref = _ref(row)
    actor = _actor(chosen, token, role, ref)
    with step("Judging the row again"):
        entry = release_row(_desk(chosen), ref, actor, reason)
    line = f"Released as {entry.source} {entry.sequence}. `ncrs publish` takes it in."
    emit({"row": str(ref), "source": entry.source, "sequence": entry.sequence}, as_json=as_json, lines=[line])


@app.command()
def drop(
    row: RowArgument, reason: ReasonOption, token: TokenOption, role: RoleOption = "", as_json: JsonOption = False
) -> None:
    """Close a row for good. It stays in the quarantine's file and is listed as dropped.

    Example: ncrs quarantine drop pds_patient/PDS/3/17 --reason "duplicate, confirmed"
    """
    from assets.validated.quarantine import drop_row

    chosen = settings()
    ref = _ref(row)
    decision = drop_row(_desk(chosen), ref, _actor(chosen, token, role, ref), reason)
    document = {"row": str(ref), "actor": decision.actor, "decidedAt": decision.decided_at.isoformat()}
    emit(document, as_json=as_json, lines=[f"Dropped {ref}."])


def _desk(chosen: Settings) -> Desk:
    from assets.validated.quarantine import Desk
    from pipelines.home import ledger_of, stores_of

    return Desk(stores_of(chosen), ledger_of(chosen), chosen)


def _actor(chosen: Settings, token: str, role: str, ref: RowRef) -> Actor:
    """Who the token proves, with the access on record before anything happens."""
    from assets.validated.quarantine import Actor

    caller = allowed_caller(chosen, token, role, POLICY)
    record_access(chosen, caller, Seen(POLICY, patients=_numbers(chosen, ref), detail=str(ref)))
    return Actor(user_id=caller.user_id or caller.client_id, activities=caller.activities)


def _numbers(chosen: Settings, ref: RowRef) -> tuple[int, ...]:
    """Whose row it is, where the row holds a real NHS number."""
    import polars as pl

    from assets.validated.quarantined import read_quarantine
    from pipelines.home import stores_of
    from schemas.identifiers import is_nhs_number

    folder = stores_of(chosen).stage("quarantine", ref.feed, ref.source, ref.sequence)
    rows = read_quarantine(folder).filter(pl.col("row_no") == ref.row_no)
    return tuple(int(number) for number in rows["nhs_number"] if number and is_nhs_number(number))


def _ref(text: str) -> RowRef:
    from assets.validated.quarantine import RowRef

    parts = text.split("/")
    if len(parts) != _PARTS or not (parts[2].isdigit() and parts[3].isdigit()):
        raise ConfigurationError("ROW is not feed/source/sequence/row.", remedy="Give it as the list prints it.")
    _check_feeds(parts[:1])
    return RowRef(parts[0], parts[1], int(parts[2]), int(parts[3]))


def _check_feeds(names: list[str]) -> None:
    from schemas.feeds import FEEDS

    for name in names:
        if name not in FEEDS:
            raise ConfigurationError("There is no such feed.", remedy=f"Feeds: {', '.join(FEEDS)}.")
