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
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, Connection, Engine, Index, Integer, Text, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

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
    return hashlib.sha256(previous.encode() + b"\n" + orjson.dumps(list(values))).hexdigest()


def append(engine: Engine, contents: Sequence[dict[str, Any]]) -> ChainHead:
    """Append the events in one transaction; when it returns, they are durable.

    Raises SQLAlchemyError; nothing is appended then. Other processes wait for the write lock.
    """
    with write_connection(engine) as connection:
        head = read_head(connection, lock=True)
        rows, head = _chained(contents, head)
        connection.execute(insert(EVENTS), rows)
        if patients := [patient for row in rows for patient in _patient_rows(row)]:
            connection.execute(insert(PATIENTS), patients)
        connection.execute(update(HEAD).values(sequence=head.sequence, hash=head.hash))
    return head


def read_head(connection: Connection, *, lock: bool = False) -> ChainHead:
    """The end of the chain; ``lock`` keeps other writers out on databases that lock rows."""
    statement = select(HEAD.c.sequence, HEAD.c.hash)
    row = connection.execute(statement.with_for_update() if lock else statement).one()
    return ChainHead(row.sequence, row.hash)


def _chained(contents: Sequence[dict[str, Any]], head: ChainHead) -> tuple[list[dict[str, Any]], ChainHead]:
    rows = []
    sequence, previous = head.sequence, head.hash
    for content in contents:
        sequence += 1
        row = {"sequence": sequence, **content}
        row["previous_hash"] = previous
        row["hash"] = previous = chain_hash(previous, [row[name] for name in CONTENT])
        rows.append(row)
    return rows, ChainHead(sequence, previous)


def _patient_rows(row: dict[str, Any]) -> list[dict[str, int]]:
    numbers = orjson.loads(row["patients"])
    return [{"sequence": row["sequence"], "place": place, "nhs_number": number} for place, number in enumerate(numbers)]
