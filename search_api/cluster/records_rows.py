"""The records of a replica as documents, and what differs between two replicas.

Belongs here: SQL over ``replica.duckdb`` and the order of rows. Does not belong here: the form of a
document (``records_form.py``), sending (``records_writer.py``).

Rows come in the order in which the replica holds them, so that a filling which goes on meets the same
documents in the same places.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.feeds import PDS_PATIENT, SCR_SUMMARY
from search_api import db, packed
from search_api.cluster import records_form as form
from search_api.cluster.records_form import COUNTED, TABLES, Document

_ROWS = 10_000
_BASE = "records_base"
_UNPACK = {form.PATIENT: packed.unpack_name(PDS_PATIENT.name), form.SUMMARY: packed.unpack_name(SCR_SUMMARY.name)}
_COLUMNS = {
    form.PATIENT: (
        "nhs_number",
        "version_id",
        "security",
        f"{_UNPACK[form.PATIENT]}(record)",
        f"{_UNPACK[form.PATIENT]}(related)",
    ),
    form.CHANGE: ("old", "new", "change_type"),
    form.SUMMARY: ("sent_number", "nhs_number", f"{_UNPACK[form.SUMMARY]}(record)"),
}
# What is compared: of records the hash that was made before they were packed.
_COMPARED = {
    form.PATIENT: ("nhs_number", "print"),
    form.CHANGE: _COLUMNS[form.CHANGE],
    form.SUMMARY: ("sent_number", "nhs_number", "print"),
}
# Those of several summaries of one number that are not the newest, by the rule of ``replica.py``.
_OLDER = """
    SELECT sent_number FROM (
        SELECT sent_number, row_number() OVER (
            PARTITION BY nhs_number ORDER BY recorded_at DESC NULLS LAST, position DESC, row_no DESC, sent_number DESC
        ) AS place
        FROM {table} WHERE nhs_number IN (SELECT nhs_number FROM {table} GROUP BY nhs_number HAVING count(*) > 1)
    ) WHERE place > 1
"""
# Two hashes that share those of the columns: rows that differ are taken for equal once in 2^64 at most, and the
# comparison with the replica (records.py of assets/index) would then find the record that was left as it was.
_CHANGED = """
    SELECT coalesce(n.key, b.key) AS key
    FROM (SELECT {key} AS key, hash({columns}) AS one, hash('', {columns}) AS two FROM {new}) n
    FULL JOIN (SELECT {key} AS key, hash({columns}) AS one, hash('', {columns}) AS two FROM {base}) b ON n.key = b.key
    WHERE n.one IS DISTINCT FROM b.one OR n.two IS DISTINCT FROM b.two
"""


def documents(connection: db.Connection) -> Iterator[Document]:
    """Every record of a settled replica. Read to the end before the connection is used again."""
    _install(connection)
    older = _older(connection, _table(form.SUMMARY))
    for kind in TABLES:
        query = f"SELECT {_listed(_COLUMNS[kind])} FROM {_table(kind)}"  # noqa: S608 - names of ours
        for row in _stream(connection, query):
            yield _document(kind, row, older)


def counted(connection: db.Connection) -> dict[str, int]:
    """Rows of the tables that are never answered from."""
    return {table: db.number(connection, f'SELECT count(*) FROM "{table}"') for table in COUNTED}  # noqa: S608


@contextmanager
def attached(connection: db.Connection, base: Path) -> Iterator[None]:
    """The base's replica beside the one under construction, for reading only."""
    connection.execute(f"ATTACH {db.literal(str(base))} AS {_BASE} (READ_ONLY)")
    try:
        yield
    finally:
        connection.execute(f"DETACH {_BASE}")


@dataclass(frozen=True)
class Before:
    """What is left to know of a document that is no more as it was."""

    id: str
    number: int
    fingerprint: int


@dataclass(frozen=True)
class Difference:
    """What differs between two replicas. ``keys``: of rows, by kind of document."""

    before: tuple[Before, ...]
    keys: dict[str, list[int]]
    older: set[int]

    def after(self, connection: db.Connection) -> Iterator[Document]:
        """What stands in the place of that now, read a piece at a time."""
        for kind, keys in self.keys.items():
            yield from _of(connection, (_table(kind), kind), keys, self.older)


def difference(connection: db.Connection) -> Difference:
    """The attached base compared with the replica under construction.

    A document whose content stayed can still have another id: it was the newest summary of its owner, or has
    become it.
    """
    _install(connection)
    was_older, older = _older(connection, _base(form.SUMMARY)), _older(connection, _table(form.SUMMARY))
    keys = {kind: _changed(connection, kind) for kind in TABLES}
    keys[form.SUMMARY] = sorted({*keys[form.SUMMARY], *(was_older ^ older)})
    found = (each for kind in TABLES for each in _of(connection, (_base(kind), kind), keys[kind], was_older))
    before = tuple(Before(each.id, each.number, each.fingerprint) for each in found)
    return Difference(before, keys, older)


def _changed(connection: db.Connection, kind: str) -> list[int]:
    """Keys whose rows are not the same in both, in ascending order."""
    columns = _COMPARED[kind]
    query = _CHANGED.format(
        key=f'"{columns[0]}"', columns=_listed(columns), new=_table(kind), base=_base(kind)
    )  # fmt: skip
    return [row[0] for row in db.rows(connection, f"{query} ORDER BY key")]


def _of(connection: db.Connection, where: tuple[str, str], keys: list[int], older: set[int]) -> Iterator[Document]:
    """The documents of these keys, in pieces."""
    table, kind = where
    columns = _COLUMNS[kind]
    for start in range(0, len(keys), _ROWS):
        listed = ", ".join(str(int(key)) for key in keys[start : start + _ROWS])
        query = f'SELECT {_listed(columns)} FROM {table} WHERE "{columns[0]}" IN ({listed}) ORDER BY 1'  # noqa: S608
        for row in db.rows(connection, query):
            yield _document(kind, row, older)


def _document(kind: str, row: tuple[Any, ...], older: set[int]) -> Document:
    if kind == form.PATIENT:
        return form.patient(*row)
    if kind == form.CHANGE:
        return form.change(*row)
    sent, owner, record = row
    return form.summary(sent, owner, record, sent not in older)


def _install(connection: db.Connection) -> None:
    """What the base's rows speak of is in files that its branch has taken over."""
    for feed in (PDS_PATIENT, SCR_SUMMARY):
        packed.install(connection, feed.name)


def _older(connection: db.Connection, table: str) -> set[int]:
    return {row[0] for row in db.rows(connection, _OLDER.format(table=table))}


def _stream(connection: db.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    for batch in connection.sql(query).to_arrow_reader(_ROWS):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _table(kind: str) -> str:
    return f'"{TABLES[kind]}"'


def _base(kind: str) -> str:
    return f'{_BASE}."{TABLES[kind]}"'


def _listed(columns: tuple[str, ...]) -> str:
    return ", ".join(name if "(" in name else f'"{name}"' for name in columns)
