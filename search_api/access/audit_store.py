"""The access events as they are stored: one append-only, hash-chained table.

Belongs here: the tables, the canonical content of an event, the chain, the append inside one
transaction. Does not belong here: threads and queues (``audit.py``), checks and exports
(``audit_report.py``). Sources: promises.md X6 and X7, services.md 15.3 and 15.4.

The chain: ``hash = SHA-256(previous hash, newline, canonical content)``; the content is a JSON array of
every column in the order of ``CONTENT``, the sequence first. ``access_chain_head`` holds the last
sequence and hash: it makes several processes append in one line, and it shows a cut tail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Connection,
    Dialect,
    Engine,
    Index,
    Integer,
    PoolProxiedConnection,
    Text,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from search_api.access.audit_checkpoint import MOST_PAGES
from search_api.access.context import AccessEvent
from search_api.ops.database import create_tables, open_engine, write_connection

GENESIS = "0" * 64
BIG = BigInteger().with_variant(Integer, "sqlite")  # in SQLite only INTEGER keys are row ids
TEXT_LIMIT = 256  # characters of a header that the caller chose


class AuditTable(SQLModel, registry=registry()):
    """Base with tables of its own: the audit database is apart from the control database by default."""


class AccessEventRow(AuditTable, table=True):
    """One access event. ``patients`` is a JSON list of NHS numbers; ``at`` is ISO 8601 in UTC."""

    __tablename__ = "access_event"

    sequence: int = Field(primary_key=True, sa_type=BIG, sa_column_kwargs={"autoincrement": False})
    at: str
    policy: str
    mode: str | None
    user_id: str | None = Field(index=True)
    client_id: str | None
    role_profile_id: str | None
    role_code: str | None
    organisation: str | None
    end_user_organisation: str | None
    request_id: str = Field(index=True)
    correlation_id: str | None
    generation: str
    status: int
    detail: str
    patients: str = Field(sa_type=Text)
    previous_hash: str
    hash: str


class AccessEventPatient(AuditTable, table=True):
    """Who looked at whom: one row per patient of an event, derived from it and checked against it."""

    __tablename__ = "access_event_patient"
    __table_args__ = (Index("ix_access_event_patient_number", "nhs_number", "sequence"),)

    sequence: int = Field(primary_key=True, sa_type=BIG, sa_column_kwargs={"autoincrement": False})
    place: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    nhs_number: int = Field(sa_type=BIG)


class AccessChainHead(AuditTable, table=True):
    """The end of the chain; one row."""

    __tablename__ = "access_chain_head"

    id: int = Field(primary_key=True)
    sequence: int = Field(sa_type=BIG)
    hash: str


EVENTS: Any = AccessEventRow.__table__  # type: ignore[attr-defined]
PATIENTS: Any = AccessEventPatient.__table__  # type: ignore[attr-defined]
HEAD: Any = AccessChainHead.__table__  # type: ignore[attr-defined]

CONTENT = tuple(column.name for column in EVENTS.columns if column.name not in ("previous_hash", "hash"))
_columns = itemgetter(*CONTENT[1:])


@dataclass(frozen=True)
class ChainHead:
    """A point of the chain: kept outside the database, it proves what came before it."""

    sequence: int
    hash: str


def audit_engine(url: str) -> Engine:
    """Engine of the audit database, tables created, the chain begun. Raises ConfigurationError."""
    engine = open_engine(url)
    create_tables(engine, AuditTable.metadata.sorted_tables)
    with suppress(IntegrityError):  # another process began the chain at the same moment
        _begin_chain(engine)
    return engine


def _begin_chain(engine: Engine) -> None:
    with write_connection(engine) as connection:
        if connection.execute(select(HEAD.c.id)).first() is None:
            connection.execute(insert(HEAD).values(id=1, sequence=0, hash=GENESIS))


def event_content(event: AccessEvent, at: datetime) -> dict[str, Any]:
    """The columns of an event but sequence and hashes."""
    caller = event.caller
    return {
        "at": at.isoformat(timespec="microseconds"),
        "policy": event.policy,
        "mode": caller.mode.value if caller else None,
        "user_id": caller.user_id if caller else None,
        "client_id": caller.client_id if caller else None,
        "role_profile_id": caller.role_profile_id if caller else None,
        "role_code": caller.role_code if caller else None,
        "organisation": caller.organisation if caller else None,
        "end_user_organisation": event.end_user_organisation,
        "request_id": event.request_id,
        "correlation_id": event.correlation_id[:TEXT_LIMIT] if event.correlation_id else None,
        "generation": event.generation,
        "status": event.status,
        "detail": event.detail,
        "patients": orjson.dumps(event.patients).decode(),
    }


def chain_hash(previous: str, values: Sequence[Any]) -> str:
    """Hash of an event whose columns, in the order of CONTENT, are ``values``."""
    return hashlib.sha256(previous.encode() + b"\n" + orjson.dumps(values)).hexdigest()


def append(engine: Engine, contents: Sequence[dict[str, Any]]) -> ChainHead:
    """Append the events in one transaction; when it returns, they are durable. For who appends once.

    Raises SQLAlchemyError; nothing is appended then.
    """
    with closing(Appender(engine)) as appender:
        return appender.append(contents)


class Appender:
    """Appends events, one transaction a call, on a connection of its own that is kept. For one thread.

    The connection is the engine's, opened as every other; the statements of the transaction go to the driver as they
    are, because composing them and following their transaction costs as much as the database does.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: PoolProxiedConnection | None = None
        self._statements = _Statements(engine.dialect)

    def append(self, contents: Sequence[dict[str, Any]]) -> ChainHead:
        """Append the events; when it returns, they are durable. Other processes wait for the write lock.

        Raises SQLAlchemyError; nothing is appended then.
        """
        try:
            connection = self._connection = self._connection or self._opened()
            with closing(connection.cursor()) as cursor:
                head = self._appended(cursor, contents)
                connection.commit()
        except BaseException as error:
            self._undo()
            if not isinstance(error, self._statements.fault):
                raise
            # The driver's text may hold values of the event; only its kind goes on.
            raise SQLAlchemyError(f"The audit database refused an event ({type(error).__name__}).") from None
        return head

    def _opened(self) -> PoolProxiedConnection:
        connection = self._engine.raw_connection()
        with closing(connection.cursor()) as cursor:
            for statement in self._statements.opened:
                cursor.execute(statement)
        return connection

    def _undo(self) -> None:
        """A connection that cannot even do that is let go of: its transaction ends with it."""
        if self._connection is not None:
            try:
                self._connection.rollback()
            except self._statements.fault:
                self._connection.invalidate()
                self._connection = None

    def _appended(self, cursor: Any, contents: Sequence[dict[str, Any]]) -> ChainHead:
        for statement in self._statements.begin:
            cursor.execute(statement)
        rows, head = _chained(contents, ChainHead(*cursor.fetchone()))
        cursor.executemany(self._statements.event, rows)
        if patients := [
            patient for row, content in zip(rows, contents, strict=True) for patient in _listed(row, content)
        ]:
            cursor.executemany(self._statements.patient, patients)
        cursor.execute(self._statements.move, (head.sequence, head.hash))
        return head

    def close(self) -> None:
        """Give the connection back; the next event opens another. A connection that is lost is just let go of."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError, self._statements.fault):
                connection.close()


class _Statements:
    """The statements of an append in the dialect's words, and the class of its driver's exceptions."""

    def __init__(self, dialect: Dialect) -> None:
        sqlite = dialect.name == "sqlite"
        mark = "?" if dialect.paramstyle == "qmark" else "%s"
        self.fault: type[Exception] = dialect.loaded_dbapi.Error
        head = f"SELECT sequence, hash FROM {HEAD.name}"  # noqa: S608 - names of ours
        self.opened = (f"PRAGMA wal_autocheckpoint={MOST_PAGES}",) if sqlite else ()
        # The write lock from the start, as the engine's own transactions have it (``ops/database.py``).
        self.begin = ("BEGIN IMMEDIATE", head) if sqlite else (f"{head} FOR UPDATE",)
        self.event = _insert(EVENTS, mark)
        self.patient = _insert(PATIENTS, mark)
        self.move = f"UPDATE {HEAD.name} SET sequence = {mark}, hash = {mark}"  # noqa: S608 - names of ours


def _insert(table: Any, mark: str) -> str:
    names = [column.name for column in table.columns]
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join([mark] * len(names))})"  # noqa: S608


def read_head(connection: Connection) -> ChainHead:
    """The end of the chain."""
    row = connection.execute(select(HEAD.c.sequence, HEAD.c.hash)).one()
    return ChainHead(row.sequence, row.hash)


def _chained(contents: Sequence[dict[str, Any]], head: ChainHead) -> tuple[list[tuple[Any, ...]], ChainHead]:
    """The events as rows of the table, each with its place in the chain and its hash."""
    rows = []
    sequence, previous = head.sequence, head.hash
    for content in contents:
        sequence += 1
        values = (sequence, *_columns(content))
        following = chain_hash(previous, values)
        rows.append((*values, previous, following))
        previous = following
    return rows, ChainHead(sequence, previous)


def _listed(row: tuple[Any, ...], content: dict[str, Any]) -> Iterator[tuple[int, int, int]]:
    numbers: list[int] = orjson.loads(content["patients"])
    return ((row[0], place, number) for place, number in enumerate(numbers))
