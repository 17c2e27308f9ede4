"""The ledger: what was delivered, what became of it, and what was decided about single rows.

Belongs here: one entry per delivery attempt and its outcome, approvals, decisions on quarantined
rows. Does not belong here: judging an extract (``quality``), moving files (``assets/landing``).

An entry's life: ``landed`` (bytes copied, awaiting validation), then ``accepted``, ``partial`` or
``refused``; or ``deferred`` (held, tried again). Only accepted and partial entries are committed,
and the database lets one entry per (feed, source, sequence) be so. The commit in this ledger is
the moment an extract counts: files without an entry are leftovers of a crash.

**Released rows.** A quarantined row that a person releases comes back as a small delta of our own:
source ``{source}.released`` (no supplier's name can hold a dot), its own sequence from 1,
``origin_sequence`` naming the extract it came from, ``after_sequence`` the supplier's last extract
committed before it, parts in the validated stage as of any extract. It is applied right after that
extract, as it is when a generation is built on the last one: a later full that lacks the row then
removes it, also in a build from nothing.
Source: reference/services.md sections 19.4 to 19.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import BigInteger, Engine, Index, UniqueConstraint, text
from sqlmodel import Field, Session, SQLModel, col, select

from search_api.ops import withdrawals
from search_api.ops.database import UtcDateTime, create_tables, reading, writing
from search_api.ops.withdrawals import Withdrawal, Withdrawals, WithdrawnNumber

RELEASED_SUFFIX = ".released"
COMMITTED = ("accepted", "partial")
LANDED = "landed"
FEWEST_CONTROLLED = 10

Action = Literal["view", "release", "drop"]

_COMMITTED_SQL = text("outcome IN ('accepted', 'partial')")


class ExtractEntry(SQLModel, table=True):
    """One delivery attempt. ``sha256`` is of the manifest's bytes, ``fingerprint`` of what was seen.

    ``as_at`` is the manifest's window_to. ``rule`` is the rule broken, ``code`` the code of
    services.md 19.4 it leads to. ``quiet`` marks outcomes nobody has to act on, ``told`` refusals that
    have failed a run's check.
    """

    __tablename__ = "extract_entry"
    __table_args__ = (
        UniqueConstraint("feed", "source", "sequence", "fingerprint"),
        Index(
            "one_committed_extract",
            "feed",
            "source",
            "sequence",
            unique=True,
            sqlite_where=_COMMITTED_SQL,
            postgresql_where=_COMMITTED_SQL,
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    feed: str = Field(index=True)
    source: str
    sequence: int = Field(sa_type=BigInteger)
    fingerprint: str
    sha256: str
    kind: str | None = None
    previous_sequence: int | None = Field(default=None, sa_type=BigInteger)
    origin_sequence: int | None = Field(default=None, sa_type=BigInteger)
    after_sequence: int | None = Field(default=None, sa_type=BigInteger)
    as_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    record_count: int = Field(default=0, sa_type=BigInteger)
    control: int = Field(default=0, sa_type=BigInteger)
    accepted: int = Field(default=0, sa_type=BigInteger)
    quarantined: int = Field(default=0, sa_type=BigInteger)
    warnings: int = Field(default=0, sa_type=BigInteger)
    outcome: str = LANDED
    code: str = ""
    rule: str = ""
    text: str = ""
    quiet: bool = False
    told: bool = False
    received_at: datetime = Field(sa_type=UtcDateTime)
    landed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    validated_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    @property
    def committed(self) -> bool:
        """Whether its rows count."""
        return self.outcome in COMMITTED

    @property
    def shown_control(self) -> str:
        """The control total for run metadata and logs. The exclusive or of one number is that number,
        and of a few gives the last to who knows the others: then it is withheld."""
        return str(self.control) if self.record_count >= FEWEST_CONTROLLED else "withheld (few rows)"


class ExtractApproval(SQLModel, table=True):
    """A person let one refused extract (these manifest bytes) pass one rule, and said why."""

    __tablename__ = "extract_approval"

    id: int | None = Field(default=None, primary_key=True)
    feed: str
    source: str
    sequence: int = Field(sa_type=BigInteger)
    sha256: str
    code: str
    actor: str
    reason: str
    approved_at: datetime = Field(sa_type=UtcDateTime)


class QuarantineDecision(SQLModel, table=True):
    """Who looked at, released or dropped a quarantined row, when and why. No value of the row."""

    __tablename__ = "quarantine_decision"

    id: int | None = Field(default=None, primary_key=True)
    feed: str = Field(index=True)
    source: str
    sequence: int = Field(sa_type=BigInteger)
    row_no: int = Field(sa_type=BigInteger)
    action: str
    actor: str
    reason: str
    decided_at: datetime = Field(sa_type=UtcDateTime)
    released_sequence: int | None = Field(default=None, sa_type=BigInteger)


_TABLES = (ExtractEntry, ExtractApproval, QuarantineDecision, WithdrawnNumber)


class Ledger:
    """Reads and writes the ledger; each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        create_tables(engine, [SQLModel.metadata.tables[str(table.__tablename__)] for table in _TABLES])

    @property
    def withdrawals(self) -> Withdrawals:
        """The numbers that extracts withdraw."""
        return Withdrawals(self.engine)

    def entries(self, feed: str) -> list[ExtractEntry]:
        """Every attempt of a feed, by source, sequence and time of arrival."""
        order = (col(ExtractEntry.source), col(ExtractEntry.sequence), col(ExtractEntry.id))
        with reading(self.engine) as session:
            return list(session.exec(select(ExtractEntry).where(ExtractEntry.feed == feed).order_by(*order)))

    def validated(self, feed: str) -> list[ExtractEntry]:
        """Committed extracts by source and sequence: what a generation is built from.

        Released rows come as entries of source ``{source}.released``, kind delta.
        """
        return [entry for entry in self.entries(feed) if entry.committed]

    def latest(self, feed: str, source: str) -> ExtractEntry | None:
        """The last committed extract of a source."""
        return self._last(feed, source, COMMITTED)

    def last_full(self, feed: str, source: str) -> ExtractEntry | None:
        """The last committed full of a source: the measure of the shrink rule."""
        return self._last(feed, source, COMMITTED, kind="full")

    def head(self, feed: str, source: str) -> ExtractEntry | None:
        """The end of the chain: the last extract that is committed or landed."""
        return self._last(feed, source, (*COMMITTED, LANDED))

    def landed(self, feed: str) -> list[ExtractEntry]:
        """Extracts that await validation, by source and sequence."""
        return [entry for entry in self.entries(feed) if entry.outcome == LANDED]

    def refusals(self, feed: str) -> list[ExtractEntry]:
        """Refused and deferred attempts that no later commit of the same sequence has mended."""
        entries = self.entries(feed)
        mended = {(entry.source, entry.sequence) for entry in entries if entry.committed}
        waiting = [entry for entry in entries if entry.outcome in ("refused", "deferred") and not entry.quiet]
        return [entry for entry in waiting if (entry.source, entry.sequence) not in mended]

    def untold(self, feed: str) -> list[ExtractEntry]:
        """Refusals somebody has to act on that no run has failed for yet."""
        return [e for e in self.entries(feed) if e.outcome == "refused" and not e.quiet and not e.told]

    def tell(self, entries: Sequence[ExtractEntry]) -> None:
        """Note that a run has failed for these refusals; the next one passes."""
        with writing(self.engine) as session:
            for entry in entries:
                entry.told = True
                session.merge(entry)

    def standing(self, feed: str, source: str, sequence: int) -> ExtractEntry | None:
        """The committed or landed entry of one sequence, or None."""
        wanted = (*COMMITTED, LANDED)
        matching = (entry for entry in self._attempts(feed, source, sequence) if entry.outcome in wanted)
        return next(matching, None)

    def attempt(self, feed: str, source: str, sequence: int, fingerprint: str) -> ExtractEntry | None:
        """The entry of exactly this delivery, or None when it was not seen before."""
        matching = (entry for entry in self._attempts(feed, source, sequence) if entry.fingerprint == fingerprint)
        return next(matching, None)

    def record(self, entry: ExtractEntry, withdrawn: frozenset[int] = frozenset()) -> ExtractEntry:
        """Write an attempt, replacing what was known of the same (feed, source, sequence, fingerprint), and the numbers that
        it withdraws: both or neither."""
        with writing(self.engine) as session:
            _withdraw(session, entry, withdrawn)
            known = session.exec(
                select(ExtractEntry).where(
                    ExtractEntry.feed == entry.feed,
                    ExtractEntry.source == entry.source,
                    ExtractEntry.sequence == entry.sequence,
                    ExtractEntry.fingerprint == entry.fingerprint,
                )
            ).first()
            if known is not None:
                entry.id = known.id
            return session.merge(entry)

    def approve(self, approval: ExtractApproval) -> None:
        """Record that a person lets a refused extract pass one rule; it is tried again next time."""
        with writing(self.engine) as session:
            session.add(approval)

    def approved(self, feed: str, source: str, sequence: int, sha256: str) -> frozenset[str]:
        """Codes that were approved for exactly these manifest bytes."""
        query = select(ExtractApproval).where(
            ExtractApproval.feed == feed,
            ExtractApproval.source == source,
            ExtractApproval.sequence == sequence,
            ExtractApproval.sha256 == sha256,
        )
        with reading(self.engine) as session:
            return frozenset(approval.code for approval in session.exec(query))

    def decide(self, decision: QuarantineDecision) -> QuarantineDecision:
        """Record a look at, release of, or dropping of a quarantined row."""
        with writing(self.engine) as session:
            return session.merge(decision)

    def commit_release(
        self, entry: ExtractEntry, decision: QuarantineDecision, withdrawn: frozenset[int] = frozenset()
    ) -> ExtractEntry:
        """Commit released rows, the decision that released them and the numbers they withdraw: all or nothing."""
        with writing(self.engine) as session:
            _withdraw(session, entry, withdrawn)
            session.merge(decision)
            return session.merge(entry)

    def decisions(self, feed: str) -> list[QuarantineDecision]:
        """Decisions on quarantined rows of a feed, in the order they were taken."""
        query = select(QuarantineDecision).where(QuarantineDecision.feed == feed).order_by(col(QuarantineDecision.id))
        with reading(self.engine) as session:
            return list(session.exec(query))

    def _attempts(self, feed: str, source: str, sequence: int) -> list[ExtractEntry]:
        query = select(ExtractEntry).where(
            ExtractEntry.feed == feed, ExtractEntry.source == source, ExtractEntry.sequence == sequence
        )
        with reading(self.engine) as session:
            return list(session.exec(query.order_by(col(ExtractEntry.id))))

    def _last(self, feed: str, source: str, outcomes: Sequence[str], *, kind: str | None = None) -> ExtractEntry | None:
        query = select(ExtractEntry).where(
            ExtractEntry.feed == feed, ExtractEntry.source == source, col(ExtractEntry.outcome).in_(outcomes)
        )
        if kind is not None:
            query = query.where(ExtractEntry.kind == kind)
        with reading(self.engine) as session:
            return session.exec(query.order_by(col(ExtractEntry.sequence).desc()).limit(1)).first()


def _withdraw(session: Session, entry: ExtractEntry, numbers: frozenset[int]) -> None:
    if numbers:
        withdrawals.add(session, Withdrawal(entry.feed, entry.source, entry.sequence, numbers))
