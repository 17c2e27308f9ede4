"""Rows and order-free content checksums of the replica's tables.

Belongs here: the one query that makes a table's checksum. Does not belong here: comparing them.

``bit_xor(hash(columns))`` does not depend on the order of rows; provenance is left out
(``tables.py``). Of records the hash made before they were packed is taken; that the packed record still
says the same is what ``misprinted`` counts. The hash is DuckDB's, steady for one version of it, which
requirements.lock pins.
"""

from __future__ import annotations

from collections.abc import Iterable

from assets.replica.tables import CONTENT, TableSpec
from schemas.generation import TableState
from search_api import db, packed


def table_state(connection: db.Connection, table: str) -> TableState:
    """Rows and checksum (16 hex digits) of one table."""
    columns = ", ".join(f'"{name}"' for name in CONTENT[table])
    rows, checksum = db.rows(connection, f'SELECT count(*), bit_xor(hash({columns})) FROM "{table}"')[0]
    return TableState(table=table, rows=rows, checksum=f"{checksum or 0:016x}")


def table_states(connection: db.Connection, tables: Iterable[str] = tuple(CONTENT)) -> tuple[TableState, ...]:
    """The states of several tables, in their order."""
    return tuple(table_state(connection, table) for table in tables)


def misprinted(connection: db.Connection, spec: TableSpec, where: str = "true") -> int:
    """How many rows do not say, once unpacked, what they said when they were packed."""
    packed.install(connection, spec.feed)
    said = spec.print_of([spec.told(name) for name in spec.said])
    return db.number(connection, f'SELECT count(*) FROM "{spec.table}" WHERE ({where}) AND print <> {said}')
