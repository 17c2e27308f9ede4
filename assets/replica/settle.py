"""Settling: what follows from number changes and from patients, once every extract is applied.

Belongs here: superseded and invalidated numbers, the owners of summaries, summaries that wait for
their patient, indexes. Does not belong here: applying extracts, documents of the index.

Settling is a function of the tables alone, so it comes out the same whichever way and order the
extracts came in:

- A number that was superseded or invalidated by a number change has no record of its own (pds.md 9:
  away at once, from table and index), and no tombstone: the map of changes says all there is to say.
  This holds even while the new number is not held yet: the old one then leads to a number without a
  record, and is answered as not found. Showing the old record would show a person under a number
  that is no longer theirs. An invalidated number is never linked to another (pds.md 2.3).
- A record that came in as invalidated (REDACTED) is a marker already: number, version, label, nothing
  of a person (``tables.py``).
- A summary is kept under the number it was sent with and belongs to the number that stands now.
- A summary whose patient is not held, or is invalidated, waits in a table of its own that is never
  answered from, and is tried again at each build (services.md 19.4, REC_NO_PDS_MATCH).
"""

from __future__ import annotations

from assets.replica.tables import (
    CHANGE_TABLE,
    CHANGED_TABLE,
    CREATE,
    INDEXES,
    INVALIDATED,
    PATIENT,
    PATIENT_TABLE,
    SUMMARY_TABLE,
    TOMBSTONE_TABLE,
    WAITING_TABLE,
)
from search_api import db


def prepare(connection: db.Connection) -> None:
    """Make the tables that are missing; call the waiting summaries back, as if they were held."""
    for statement in CREATE:
        connection.execute(statement)
    with db.transaction(connection):
        connection.execute(f'DELETE FROM "{CHANGED_TABLE}"')
        connection.execute(f'INSERT INTO "{SUMMARY_TABLE}" BY NAME SELECT * FROM "{WAITING_TABLE}"')
        connection.execute(f'DELETE FROM "{WAITING_TABLE}"')


def settle(connection: db.Connection) -> dict[str, int]:
    """Carry out the rules above in one transaction, then make the indexes. Counts, no values."""
    with db.transaction(connection):
        _resolve(connection)
        counts = {
            "renumbered": _drop_renumbered(connection),
            "rekeyed": _own_summaries(connection),
            "waiting": _let_orphans_wait(connection),
        }
        connection.execute("DROP TABLE resolved")
    for statement in INDEXES:
        connection.execute(statement)
    return counts


def _resolve(connection: db.Connection) -> None:
    """``resolved``: each superseded number and the last number of its chain."""
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE resolved AS
        WITH RECURSIVE walk(old, last, depth) AS (
            SELECT "old", "new", 1 FROM "{CHANGE_TABLE}" WHERE "new" IS NOT NULL
            UNION ALL
            SELECT w.old, c."new", w.depth + 1 FROM walk w JOIN "{CHANGE_TABLE}" c ON c."old" = w.last
            WHERE c."new" IS NOT NULL AND w.depth < 100
        )
        SELECT old, arg_max(last, depth) AS final FROM walk GROUP BY old
        """
    )


def _drop_renumbered(connection: db.Connection) -> int:
    renumbered = f'WHERE nhs_number IN (SELECT "old" FROM "{CHANGE_TABLE}")'
    connection.execute(f'INSERT INTO "{CHANGED_TABLE}" SELECT nhs_number FROM "{PATIENT_TABLE}" {renumbered}')
    connection.execute(f'DELETE FROM "{TOMBSTONE_TABLE}" {renumbered} AND feed = {db.literal(PATIENT.feed)}')
    return _changed(connection, f'DELETE FROM "{PATIENT_TABLE}" {renumbered}')


def _own_summaries(connection: db.Connection) -> int:
    """Each summary belongs to the number that stands for the one it was sent with."""
    return _changed(
        connection,
        f"""
        UPDATE "{SUMMARY_TABLE}" SET nhs_number = owner.final
        FROM (SELECT s.sent_number, coalesce(r.final, s.sent_number) AS final
              FROM "{SUMMARY_TABLE}" s LEFT JOIN resolved r ON r.old = s.sent_number
              WHERE s.nhs_number <> coalesce(r.final, s.sent_number)) owner
        WHERE "{SUMMARY_TABLE}".sent_number = owner.sent_number
        """,
    )


def _let_orphans_wait(connection: db.Connection) -> int:
    # Looked for once; an anti join can spill what does not fit in memory.
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE orphans AS SELECT s.sent_number FROM "{SUMMARY_TABLE}" s
        ANTI JOIN (SELECT nhs_number FROM "{PATIENT_TABLE}" WHERE security <> '{INVALIDATED}') p
        ON p.nhs_number = s.nhs_number
        """
    )
    orphans = f'FROM "{SUMMARY_TABLE}" WHERE sent_number IN (SELECT sent_number FROM orphans)'
    count = _changed(connection, f'INSERT INTO "{WAITING_TABLE}" BY NAME SELECT * {orphans}')
    if count:
        connection.execute(f"DELETE {orphans}")
    connection.execute("DROP TABLE orphans")
    return count


def _changed(connection: db.Connection, statement: str) -> int:
    """Run a statement that changes rows; how many it changed."""
    return db.number(connection, statement)
