"""Number changes: which number stands for which, kept as a map without cycles.

Belongs here: applying the events of ``pds_number_change`` to the map. Does not belong here: what a
change does to patients and summaries (``settle.py``).

An event says that ``old`` was superseded by ``new``, or invalidated (no number follows and nothing
may ever be linked: pds.md 2.3). The newest event of an old number stands. An event that would close
a cycle, or that supersedes a number by itself or by nothing, is refused and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from assets.replica.apply import complete
from assets.replica.plan import Step
from assets.replica.tables import CHANGE_TABLE, parquet
from search_api import db

SUPERSEDED, INVALID = "superseded", "invalidated"
_LONGEST_CHAIN = 64


@dataclass(frozen=True)
class _Event:
    old: int
    new: int | None
    change_type: str
    recorded_at: datetime | None
    position: int
    row_no: int


def apply_changes(connection: db.Connection, step: Step, parts: Sequence[Path]) -> dict[str, int]:
    """Apply the events of one extract in row order; counts by outcome (applied, unchanged, refused).

    Raises PermanentFault when files or rows are missing.
    """
    counts = {"applied": 0, "unchanged": 0, "refused": 0}
    if not complete(connection, step, parts):
        return counts
    with db.transaction(connection):
        events = _events(connection, step, parts)
        links = _reachable(connection, events)
        held = _held(connection, events)
        accepted: dict[int, _Event] = {}
        for event in events:
            outcome = _outcome(event, accepted.get(event.old) or held.get(event.old), links)
            counts[outcome] += 1
            if outcome == "applied":
                accepted[event.old] = event
                links[event.old] = event.new
        _store(connection, step, list(accepted.values()))
    return counts


def _events(connection: db.Connection, step: Step, parts: Sequence[Path]) -> list[_Event]:
    found = db.rows(
        connection,
        "SELECT CAST(nhs_number AS BIGINT), CAST(new_nhs_number AS BIGINT), change_type, recorded_at, row_no "
        f"FROM {parquet(parts)} WHERE action <> 'delete' ORDER BY row_no",
    )
    return [_Event(old, new, kind, at, step.position, row_no) for old, new, kind, at, row_no in found]


def _reachable(connection: db.Connection, events: Sequence[_Event]) -> dict[int, int | None]:
    """Links of the map that can be reached from the new numbers of these events."""
    starts = sorted({event.new for event in events if event.new is not None})
    found = db.rows(
        connection,
        f"""
        WITH RECURSIVE walk(number) AS (
            SELECT unnest(?::BIGINT[])
            UNION
            SELECT c."new" FROM walk w JOIN "{CHANGE_TABLE}" c ON c."old" = w.number WHERE c."new" IS NOT NULL
        )
        SELECT c."old", c."new" FROM "{CHANGE_TABLE}" c WHERE c."old" IN (SELECT number FROM walk)
        """,
        [starts],
    )
    return dict(found)


def _held(connection: db.Connection, events: Sequence[_Event]) -> dict[int, _Event]:
    olds = sorted({event.old for event in events})
    found = db.rows(
        connection,
        f'SELECT "old", "new", change_type, recorded_at, position, row_no FROM "{CHANGE_TABLE}" '
        'WHERE "old" IN (SELECT unnest(?::BIGINT[]))',
        [olds],
    )
    return {values[0]: _Event(*values) for values in found}


def _outcome(event: _Event, held: _Event | None, links: dict[int, int | None]) -> str:
    if held is not None and not _newer(event, held):
        return "unchanged"
    if event.change_type == INVALID:
        return "applied" if event.new is None else "refused"
    return "refused" if event.new is None or _leads_to(event.new, event.old, links) else "applied"


def _newer(event: _Event, held: _Event) -> bool:
    if event.recorded_at is not None and held.recorded_at is not None:
        return event.recorded_at > held.recorded_at
    return (event.position, event.row_no) > (held.position, held.row_no)


def _leads_to(start: int, goal: int, links: dict[int, int | None]) -> bool:
    """Whether following the map from ``start`` reaches ``goal``; an absurdly long chain counts as yes."""
    current: int | None = start
    for _ in range(_LONGEST_CHAIN):
        if current == goal:
            return True
        if current is None or current not in links:
            return False
        current = links[current]
    return True


def _store(connection: db.Connection, step: Step, events: Sequence[_Event]) -> None:
    if not events:
        return
    connection.execute(
        f'DELETE FROM "{CHANGE_TABLE}" WHERE "old" IN (SELECT unnest(?::BIGINT[]))',
        [[event.old for event in events]],
    )
    connection.execute(
        f'INSERT INTO "{CHANGE_TABLE}" ("old", "new", change_type, recorded_at, source, position, sequence, row_no) '
        "SELECT unnest(?::BIGINT[]), unnest(?::BIGINT[]), unnest(?::VARCHAR[]), unnest(?::TIMESTAMPTZ[]), ?, ?, ?, "
        "unnest(?::BIGINT[])",
        [
            [event.old for event in events],
            [event.new for event in events],
            [event.change_type for event in events],
            [event.recorded_at for event in events],
            step.source,
            step.position,
            step.sequence,
            [event.row_no for event in events],
        ],
    )
