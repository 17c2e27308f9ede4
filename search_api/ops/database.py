"""The control database: engine, pragmas, tables, transactions.

Belongs here: how the control database is opened and written, SQLite by default, any PostgreSQL URL.
Does not belong here: what its tables mean (``ledger.py`` and the modules that own a table).

SQLite runs in WAL mode with ``synchronous=FULL``: a commit that returned survives a power cut.
A writing transaction takes the write lock at its start (``BEGIN IMMEDIATE``), because a read lock
that is upgraded later fails at once instead of waiting when another process writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, DateTime, Dialect, Engine, Table, create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session, SQLModel

from schemas.errors import ConfigurationError

BUSY_TIMEOUT_MS = 15_000
_WRITE = "ncrs_write"


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with its offset. Stored in UTC; SQLite, which has no offsets, gives UTC back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC on the way in; a moment without offset is a programmer's error."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A moment without an offset cannot be stored.")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """UTC on the way out."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def control_engine(url: str) -> Engine:
    """Engine of the control database with every table known so far created.

    ``url`` is an SQLAlchemy URL; ``postgresql://`` means the psycopg driver.
    Raises ConfigurationError when the address cannot be read or its driver is not installed.
    """
    engine = open_engine(url)
    create_tables(engine, SQLModel.metadata.sorted_tables)
    return engine


def open_engine(url: str) -> Engine:
    """Engine with the same pragmas and transactions, no table created. Raises ConfigurationError."""
    return _open(_parse(url))


def create_tables(engine: Engine, tables: Iterable[Table]) -> None:
    """Create the tables, columns and indexes that are missing; safe when several processes start at once."""
    with engine.execution_options(**{_WRITE: True}).begin() as connection:
        for table in tables:
            connection.execute(CreateTable(table, if_not_exists=True))
            _add_columns(connection, table)
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                connection.execute(CreateIndex(index, if_not_exists=True))


def _add_columns(connection: Connection, table: Table) -> None:
    """Columns that a database of an earlier release lacks; what they would have held is not known (NULL)."""
    found = {column["name"] for column in inspect(connection).get_columns(table.name)}
    for column in table.columns:
        if column.name not in found and column.nullable:
            definition = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session for reading; objects stay usable after it closes."""
    with Session(engine, expire_on_commit=False) as session:
        yield session


@contextmanager
def write_connection(engine: Engine) -> Iterator[Connection]:
    """One writing transaction without objects, for bulk inserts; the write lock is held from its start."""
    with engine.execution_options(**{_WRITE: True}).begin() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """One writing transaction: commits at the end, rolls back on an exception."""
    with Session(engine.execution_options(**{_WRITE: True}), expire_on_commit=False) as session, session.begin():
        yield session


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            "The control database address cannot be read.", remedy="Check NCRS_CONTROL_DB."
        ) from error
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _open(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _open_sqlite(url)
    try:
        return create_engine(url, pool_pre_ping=True)
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigurationError(
            f"No driver is installed for a {url.drivername} control database.",
            remedy="Install it (psycopg for PostgreSQL), or use SQLite.",
        ) from error


def _open_sqlite(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        _private_file(Path(url.database))
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _private_file(path: Path) -> None:
    """Make the file before SQLite does, closed to others: it names people. Its log files take its mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _on_connect(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling delays BEGIN until the first write; ours must not.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
