"""Applying one extract to a record table: newer wins, a delete leaves a tombstone, a full says all.

Belongs here: the comparison of an extract's keys with what is held, and the change of the table.
Does not belong here: number changes (``changes.py``), what follows from them (``settle.py``).

Rules (services.md 19.6), each decided per key before a record is moved:

- The newer wins: by version where both have one, else by ``recorded_at`` where both have one, else
  by position and row number; from another supplier the later one applied. Equal or older: unchanged.
- A delete removes what is not newer than itself, and leaves a tombstone even when nothing is held.
- Behind a tombstone of a delete only a newer ``new`` comes back. What a full left out comes back
  with anything newer, or with a later full that has it.
- What a full lacks of its supplier's records is deleted; a row of the full that went to quarantine
  is not lacking, its key is known and the record held stays.

``DELETE`` and ``INSERT`` in one transaction, never ``MERGE`` or ``INSERT OR REPLACE`` (both are many
times slower on an indexed table; docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from assets.replica import dictionary, told
from assets.replica.plan import Step
from assets.replica.tables import CHANGED_TABLE, PATIENT_TABLE, TOMBSTONE_TABLE, TableSpec, parquet
from schemas.errors import PermanentFault
from search_api import db, packed
from search_api.ops.ledger import RELEASED_SUFFIX

_GONE = "('deleted', 'absent')"
_KEPT = "('inserted', 'replaced')"
_MASK_ROWS = 1_000_000
_OUTCOMES = ("inserted", "replaced", "deleted", "absent", "buried", "blocked", "unchanged")


def apply_extract(
    connection: db.Connection, spec: TableSpec, step: Step, parts: Sequence[Path], known: Sequence[Path] = ()
) -> dict[str, int]:
    """Apply one extract in one transaction and count what became of its rows, by outcome.

    ``parts`` are the validated parquet files, ``known`` quarantine files of the same extract that
    name a key. ``deleted``/``absent``: removed. ``buried``: a delete of what was not held.
    ``blocked``: held back by a tombstone. Raises PermanentFault when files or rows are missing.
    """
    if not complete(connection, step, parts):
        return dict.fromkeys(_OUTCOMES, 0)
    with (
        packed.storing(connection, spec.feed, dictionary.of(connection, spec, parts)) as writer,
        db.transaction(connection),
    ):
        if _all_new(connection, spec, parts):
            counts = _load(connection, spec, step, told.Rows(spec.feed, parts, writer))
        else:
            _judge(connection, spec, step, parts, known)
            counts = _change(connection, spec, step, told.Rows(spec.feed, parts, writer, _wanted(connection, step)))
        writer.sync()
    return {outcome: counts.get(outcome, 0) for outcome in _OUTCOMES}


def _all_new(connection: db.Connection, spec: TableSpec, parts: Sequence[Path]) -> bool:
    """Whether each row is inserted for sure: nothing is held or buried, nothing deleted, each key there once. So it is
    with the first full, of which tables of keys and verdicts would take more room than anything else."""
    buried = f'SELECT 1 FROM "{TOMBSTONE_TABLE}" WHERE feed = {db.literal(spec.feed)} LIMIT 1'
    if db.rows(connection, f'SELECT 1 FROM "{spec.table}" LIMIT 1') or db.rows(connection, buried):
        return False
    others = "count(*) - count(DISTINCT CAST(nhs_number AS BIGINT)) FILTER (action <> 'delete')"
    return not db.number(connection, f"SELECT {others} FROM {parquet(parts)}")


def _load(connection: db.Connection, spec: TableSpec, step: Step, rows: told.Rows) -> dict[str, int]:
    """Insert every row; counts by outcome."""
    _insert(connection, spec, step, rows)
    if spec.table == PATIENT_TABLE:
        connection.execute(f'INSERT INTO "{CHANGED_TABLE}" SELECT "{spec.key}" FROM "{spec.table}"')
    return {"inserted": step.rows}


def _judge(
    connection: db.Connection, spec: TableSpec, step: Step, parts: Sequence[Path], known: Sequence[Path]
) -> None:
    """The table ``verdict``: what is to become of each key."""
    _incoming(connection, spec, parts)
    _verdict(connection, spec, step)
    if step.kind == "full":
        _absent(connection, spec, step, known)


def _change(connection: db.Connection, spec: TableSpec, step: Step, rows: told.Rows) -> dict[str, int]:
    """Do what the verdicts say; counts by outcome."""
    _remove(connection, spec)
    _bury(connection, spec, step)
    _insert(connection, spec, step, rows)
    _note_changes(connection, spec)
    counts = dict(db.rows(connection, "SELECT outcome, count(*) FROM verdict GROUP BY outcome"))
    for name in ("incoming", "verdict"):
        connection.execute(f"DROP TABLE {name}")
    return {outcome: int(count) for outcome, count in counts.items()}


def complete(connection: db.Connection, step: Step, parts: Sequence[Path]) -> bool:
    """Whether there is anything to apply; raises PermanentFault when not every accepted row is there."""
    found = db.number(connection, f"SELECT count(*) FROM {parquet(parts)}") if parts else 0
    if found != step.rows:
        raise PermanentFault(
            f"Extract {step.feed}/{step.source}/{step.sequence} has {found} validated rows, the ledger {step.rows}.",
            remedy="Restore the validated folder from backup, or validate the landed extract again.",
        )
    return found > 0


def _incoming(connection: db.Connection, spec: TableSpec, parts: Sequence[Path]) -> None:
    """Keys and order of the extract's rows, without the records; the newest of a key sent twice."""
    version = spec.version or "CAST(NULL AS BIGINT)"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE incoming AS "
        f"SELECT CAST(nhs_number AS BIGINT) AS key, action, {version} AS version_id, recorded_at, deleted_at, "
        f"delete_reason AS reason, row_no FROM {parquet(parts)} WHERE nhs_number IS NOT NULL"
    )
    if db.number(connection, "SELECT count(*) - count(DISTINCT key) FROM incoming"):
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE incoming AS SELECT * FROM incoming QUALIFY row_number() OVER (PARTITION BY "
            "key ORDER BY version_id DESC NULLS LAST, recorded_at DESC NULLS LAST, row_no DESC) = 1"
        )


def _verdict(connection: db.Connection, spec: TableSpec, step: Step) -> None:
    """One row a key: what is to become of it, and the order values a tombstone would need."""
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE verdict AS
        SELECT i.key, i.row_no, i.reason, i.deleted_at,
            coalesce(i.version_id, h.version_id) AS version_id, coalesce(i.recorded_at, h.recorded_at) AS recorded_at,
            CASE
                WHEN i.action = 'delete' AND h.key IS NOT NULL THEN
                    CASE WHEN {_newer("i", "h", step, equal=True)} THEN 'deleted' ELSE 'unchanged' END
                WHEN i.action = 'delete' THEN
                    CASE WHEN t.key IS NULL OR {_newer("i", "t", step, equal=True)} THEN 'buried' ELSE 'unchanged' END
                WHEN h.key IS NOT NULL THEN
                    CASE WHEN {_newer("i", "h", step)} THEN 'replaced' ELSE 'unchanged' END
                WHEN t.key IS NULL THEN 'inserted'
                WHEN t.kind = 'absent' AND {str(step.kind == "full").lower()} THEN 'inserted'
                WHEN (t.kind = 'absent' OR i.action = 'new') AND {_newer("i", "t", step)} THEN 'inserted'
                ELSE 'blocked'
            END AS outcome
        FROM incoming i
        LEFT JOIN ({_held(spec)}) h ON h.key = i.key
        LEFT JOIN (SELECT nhs_number AS key, * FROM "{TOMBSTONE_TABLE}" WHERE feed = {db.literal(spec.feed)}) t
            ON t.key = i.key
        """
    )


def _held(spec: TableSpec) -> str:
    version = spec.version or "CAST(NULL AS BIGINT)"
    return f'SELECT "{spec.key}" AS key, {version} AS version_id, recorded_at, source, position, row_no FROM "{spec.table}"'


def _newer(left: str, right: str, step: Step, *, equal: bool = False) -> str:
    """SQL: is the incoming ``left`` newer than the held ``right`` (or, with ``equal``, not older)?"""
    over = ">=" if equal else ">"
    return (
        f"CASE WHEN {left}.version_id IS NOT NULL AND {right}.version_id IS NOT NULL "
        f"THEN {left}.version_id {over} {right}.version_id "
        f"WHEN {left}.recorded_at IS NOT NULL AND {right}.recorded_at IS NOT NULL "
        f"THEN {left}.recorded_at {over} {right}.recorded_at "
        f"WHEN {_origin(right)} = {db.literal(step.origin)} "
        f"THEN ({step.position} > {right}.position OR "
        f"({step.position} = {right}.position AND {left}.row_no {over} {right}.row_no)) ELSE true END"
    )


def _origin(alias: str) -> str:
    return f"replace({alias}.source, {db.literal(RELEASED_SUFFIX)}, '')"


def _absent(connection: db.Connection, spec: TableSpec, step: Step, known: Sequence[Path]) -> None:
    """What this supplier's full no longer has, its quarantined rows excepted."""
    sparing = ""
    if known:
        sparing = f"AND h.key NOT IN (SELECT TRY_CAST(nhs_number AS BIGINT) AS key FROM {parquet(known)} WHERE key IS NOT NULL)"
    connection.execute(
        f"""
        INSERT INTO verdict (key, version_id, recorded_at, reason, outcome)
        SELECT h.key, h.version_id, h.recorded_at, 'absent from full', 'absent' FROM ({_held(spec)}) h
        WHERE {_origin("h")} = {db.literal(step.origin)} AND h.key NOT IN (SELECT key FROM incoming) {sparing}
        """
    )


def _remove(connection: db.Connection, spec: TableSpec) -> None:
    connection.execute(
        f'DELETE FROM "{spec.table}" WHERE "{spec.key}" IN '
        f"(SELECT key FROM verdict WHERE outcome IN ('replaced', 'deleted', 'absent'))"
    )


def _bury(connection: db.Connection, spec: TableSpec, step: Step) -> None:
    """Write tombstones of what went, and lift those of what came back."""
    feed = db.literal(spec.feed)
    connection.execute(
        f'DELETE FROM "{TOMBSTONE_TABLE}" WHERE feed = {feed} AND nhs_number IN '
        "(SELECT key FROM verdict WHERE outcome IN ('inserted', 'buried', 'deleted', 'absent'))"
    )
    connection.execute(
        f'INSERT INTO "{TOMBSTONE_TABLE}" BY NAME '
        f"SELECT {feed} AS feed, key AS nhs_number, CASE outcome WHEN 'absent' THEN 'absent' ELSE 'delete' END AS kind, "
        f"reason, deleted_at, version_id, recorded_at, {_provenance(step)}, coalesce(row_no, 0) AS row_no "
        f"FROM verdict WHERE outcome IN ('deleted', 'buried', 'absent')"
    )


def _insert(connection: db.Connection, spec: TableSpec, step: Step, rows: told.Rows) -> None:
    made = ", ".join(f'{expression} AS "{name}"' for name, expression in spec.made.items())
    said = [told.text_name(name) if name in spec.packed else f'"{name}"' for name in spec.said]
    texts = ", ".join(map(told.text_name, spec.packed))
    connection.register("incoming_rows", rows.reader)
    try:
        connection.execute(
            f'INSERT INTO "{spec.table}" BY NAME '
            f"SELECT * EXCLUDE ({texts}), {spec.print_of(said)} AS print, {_provenance(step)} FROM "
            f"(SELECT {made}, {texts}, recorded_at, row_no FROM incoming_rows)"
        )
    except db.DatabaseError:
        if rows.error is not None:
            raise rows.error from None
        raise
    connection.unregister("incoming_rows")


def _wanted(connection: db.Connection, step: Step) -> told.Wanted:
    """Which rows of the extract are kept, a byte a row; None when all are."""
    if db.number(connection, f"SELECT count(*) FROM verdict WHERE outcome IN {_KEPT}") == step.rows:
        return None
    wanted = np.zeros(1 + db.number(connection, "SELECT max(row_no) FROM incoming"), np.bool_)
    query = f"SELECT row_no FROM verdict WHERE outcome IN {_KEPT}"
    for batch in connection.sql(query).to_arrow_reader(_MASK_ROWS):
        wanted[batch.column(0).to_numpy(zero_copy_only=False)] = True
    return wanted


def _provenance(step: Step) -> str:
    return f"{db.literal(step.source)} AS source, {step.position} AS position, {step.sequence} AS sequence"


def _note_changes(connection: db.Connection, spec: TableSpec) -> None:
    """Remember the patients whose documents have to be made again."""
    if spec.table == PATIENT_TABLE:
        connection.execute(
            f'INSERT INTO "{CHANGED_TABLE}" SELECT key FROM verdict WHERE outcome IN {_KEPT} OR outcome IN {_GONE}'
        )
