"""Numbers that a source has withdrawn and that no generation has left out yet.

Belongs here: which they are, from which extract, in the control database. Does not belong here: what an answer does
about them (``search_api/withdrawn.py``), which rows withdraw a number (``schemas/feeds.py``).

A number that was invalidated must not be found any more (pds.md 2.3), and the next generation takes a while to build.
So an extract's withdrawals are committed together with the extract itself, and hold for every generation that does not
contain it. Roll back, and they hold again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import BigInteger, Engine, UniqueConstraint, delete, func
from sqlmodel import Field, Session, SQLModel, col, select

from schemas.generation import FeedState
from search_api.ops.database import UtcDateTime, create_tables, reading, writing


class WithdrawnNumber(SQLModel, table=True):
    """One number that one extract withdraws."""

    __tablename__ = "withdrawn_number"
    __table_args__ = (UniqueConstraint("feed", "source", "sequence", "nhs_number"),)

    id: int | None = Field(default=None, primary_key=True)
    feed: str
    source: str
    sequence: int = Field(sa_type=BigInteger)
    nhs_number: int = Field(sa_type=BigInteger)
    reported_at: datetime = Field(sa_type=UtcDateTime)


@dataclass(frozen=True)
class Withdrawal:
    """What one extract withdraws."""

    feed: str
    source: str
    sequence: int
    numbers: frozenset[int]

    def holds_for(self, feeds: Iterable[FeedState]) -> bool:
        """Whether a generation of these feeds was made without the extract."""
        made = {(state.feed, state.source): state.sequence for state in feeds}
        return made.get((self.feed, self.source), 0) < self.sequence


def add(session: Session, withdrawal: Withdrawal) -> None:
    """Within a transaction of the ledger's, in place of what was known of the extract."""
    session.exec(
        delete(WithdrawnNumber).where(
            col(WithdrawnNumber.feed) == withdrawal.feed,
            col(WithdrawnNumber.source) == withdrawal.source,
            col(WithdrawnNumber.sequence) == withdrawal.sequence,
        )
    )
    now = datetime.now(UTC)
    session.add_all(
        WithdrawnNumber(
            feed=withdrawal.feed,
            source=withdrawal.source,
            sequence=withdrawal.sequence,
            nhs_number=number,
            reported_at=now,
        )
        for number in sorted(withdrawal.numbers)
    )


class Withdrawals:
    """What is in the control database. Every method raises SQLAlchemyError when it cannot be asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        create_tables(engine, [SQLModel.metadata.tables[str(WithdrawnNumber.__tablename__)]])

    def mark(self) -> tuple[object, ...]:
        """Something that is another one whenever there are other withdrawals; quick to ask for."""
        marks = select(
            func.count(col(WithdrawnNumber.id)),
            func.max(col(WithdrawnNumber.id)),
            func.max(col(WithdrawnNumber.reported_at)),
        )
        with reading(self._engine) as session:
            return tuple(session.exec(marks).one())

    def all(self) -> tuple[Withdrawal, ...]:
        """Every withdrawal, by extract."""
        query = select(
            WithdrawnNumber.feed, WithdrawnNumber.source, WithdrawnNumber.sequence, WithdrawnNumber.nhs_number
        )
        found: dict[tuple[str, str, int], set[int]] = {}
        with reading(self._engine) as session:
            for feed, source, sequence, number in session.exec(query):
                found.setdefault((feed, source, sequence), set()).add(number)
        return tuple(Withdrawal(*extract, frozenset(numbers)) for extract, numbers in sorted(found.items()))

    def forget(self, kept: Sequence[Iterable[FeedState]]) -> int:
        """Remove those that every generation kept was made with; how many extracts' they were."""
        done = [each for each in self.all() if kept and not any(each.holds_for(feeds) for feeds in kept)]
        with writing(self._engine) as session:
            for each in done:
                session.exec(
                    delete(WithdrawnNumber).where(
                        col(WithdrawnNumber.feed) == each.feed,
                        col(WithdrawnNumber.source) == each.source,
                        col(WithdrawnNumber.sequence) == each.sequence,
                    )
                )
        return len(done)
