"""What is read from the audit log: is it whole, who looked at whom, and the national export.

Belongs here: checks and exports over stored events. Does not belong here: writing them.
Sources: promises.md X7 (any insert, delete, edit, reorder or cut is found), services.md 15.3 (PARS shape).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, Row, func, select

from search_api.access.audit_store import (
    CONTENT,
    EVENTS,
    GENESIS,
    PATIENTS,
    AccessEventRow,
    ChainHead,
    chain_hash,
    read_head,
)
from search_api.ops.database import reading

PAGE = 20_000
MOST_FAULTS = 100


@dataclass(frozen=True)
class ChainFault:
    """One thing wrong: where, and what (a code; never a value of the event)."""

    sequence: int
    code: str


@dataclass(frozen=True)
class ChainReport:
    """Result of a check. ``faults`` holds the first hundred; ``head`` is the last event's, for keeping outside."""

    events: int
    head: ChainHead
    faults: tuple[ChainFault, ...]

    @property
    def whole(self) -> bool:
        """True when nothing is wrong."""
        return not self.faults


def verify(engine: Engine, anchors: Sequence[ChainHead] = ()) -> ChainReport:
    """Check every event: sequence without a gap, hash of the content, link to the one before, the list of
    patients, the end of the chain, and each anchor (a head kept outside the database earlier).

    Reads in pages; one million events take seconds. Events appended meanwhile are not looked at.
    """
    with engine.connect() as connection:
        return _Check(connection, anchors).run()


class _Check:
    """One walk over the chain."""

    def __init__(self, connection: Connection, anchors: Sequence[ChainHead]) -> None:
        self._connection = connection
        # The head of a log that was still empty holds for every log.
        beginning = ChainHead(0, GENESIS)
        self._anchors = {anchor.sequence: anchor.hash for anchor in anchors if anchor != beginning}
        self._faults: list[ChainFault] = []
        self._last = ChainHead(0, GENESIS)
        self._events = 0

    def run(self) -> ChainReport:
        end = read_head(self._connection)
        for events in self._pages(end.sequence):
            listed = self._listed(events[0].sequence, events[-1].sequence)
            for event in events:
                self._check(event, listed.get(event.sequence, []))
        if self._last != end:
            self._fault(end.sequence, "END_DIFFERS")
        for sequence in self._anchors:
            self._fault(sequence, "ANCHOR_MISSING")
        self._count_rows(end.sequence)
        return ChainReport(self._events, self._last, tuple(self._faults[:MOST_FAULTS]))

    def _pages(self, end: int) -> Iterator[Sequence[Row[Any]]]:
        after: int | None = None
        while True:
            statement = select(EVENTS).where(EVENTS.c.sequence <= end).order_by(EVENTS.c.sequence).limit(PAGE)
            rows = self._connection.execute(
                statement if after is None else statement.where(EVENTS.c.sequence > after)
            ).all()
            if not rows:
                return
            yield rows
            after = rows[-1].sequence

    def _listed(self, first: int, last: int) -> dict[int, list[int]]:
        listed: dict[int, list[int]] = {}
        statement = select(PATIENTS.c.sequence, PATIENTS.c.nhs_number).where(PATIENTS.c.sequence.between(first, last))
        for sequence, number in self._connection.execute(statement.order_by(PATIENTS.c.sequence, PATIENTS.c.place)):
            listed.setdefault(sequence, []).append(number)
        return listed

    def _check(self, event: Row[Any], listed: list[int]) -> None:
        content, previous, stored = event[: len(CONTENT)], event.previous_hash, event.hash
        self._events += 1
        if event.sequence != self._last.sequence + 1:
            self._fault(event.sequence, "SEQUENCE_GAP")
        if previous != self._last.hash:
            self._fault(event.sequence, "LINK_BROKEN")
        if chain_hash(previous, content) != stored:
            self._fault(event.sequence, "CONTENT_CHANGED")
        if orjson.dumps(listed).decode() != event.patients:
            self._fault(event.sequence, "PATIENTS_DIFFER")
        if self._anchors.pop(event.sequence, stored) != stored:
            self._fault(event.sequence, "ANCHOR_DIFFERS")
        self._last = ChainHead(event.sequence, stored)

    def _count_rows(self, end: int) -> None:
        """Rows that the walk cannot meet: events beyond the end, patients without an event."""
        beyond = select(func.count()).select_from(EVENTS).where(EVENTS.c.sequence > end)
        if self._connection.execute(beyond).scalar_one() and read_head(self._connection).sequence == end:
            self._fault(end + 1, "BEYOND_END")
        orphans = (
            select(func.min(PATIENTS.c.sequence))
            .outerjoin(EVENTS, EVENTS.c.sequence == PATIENTS.c.sequence)
            .where(EVENTS.c.sequence.is_(None))
        )
        if (sequence := self._connection.execute(orphans).scalar_one()) is not None:
            self._fault(sequence, "PATIENT_WITHOUT_EVENT")

    def _fault(self, sequence: int, code: str) -> None:
        self._faults.append(ChainFault(sequence, code))


def head(engine: Engine) -> ChainHead:
    """The end of the chain now: keep it outside the database to prove later that nothing was cut."""
    with engine.connect() as connection:
        return read_head(connection)


def accesses_to(engine: Engine, nhs_number: int, *, limit: int = 1_000) -> list[AccessEventRow]:
    """Who was shown or matched this patient, the latest first."""
    seen = select(PATIENTS.c.sequence).where(PATIENTS.c.nhs_number == nhs_number).distinct()
    statement = select(AccessEventRow).where(EVENTS.c.sequence.in_(seen)).order_by(EVENTS.c.sequence.desc())
    with reading(engine) as session:
        return list(session.scalars(statement.limit(limit)))


def events(engine: Engine, *, after: int = 0, until: int | None = None) -> Iterator[dict[str, Any]]:
    """Events in order, as columns, read in pages: ``after`` < sequence <= ``until``."""
    with engine.connect() as connection:
        while True:
            statement = select(EVENTS).where(EVENTS.c.sequence > after).order_by(EVENTS.c.sequence).limit(PAGE)
            if until is not None:
                statement = statement.where(EVENTS.c.sequence <= until)
            rows = connection.execute(statement).all()
            if not rows:
                return
            yield from (dict(row._mapping) for row in rows)
            after = rows[-1].sequence
