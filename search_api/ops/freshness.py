"""Freshness: how far each feed's as-at time is behind now, judged against the feed's limits.

Belongs here: the judgement and the figures that ops see of a feed, from the ledger alone; used by
``GET /api/freshness``, ``ncrs status`` and the freshness checks of the orchestrator.
Does not belong here: how it is shown, or what an answer does about it.

The as-at time is the supplier's word (``window_to`` of the last committed extract). When a job ran
says nothing: loading an old extract again makes no data fresher (promises.md S18).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from schemas.feeds import FEEDS, Feed
from search_api.ops.ledger import ExtractEntry, Ledger

State = Literal["fresh", "late", "stale", "never"]


@dataclass(frozen=True)
class FeedFreshness:
    """One feed. ``as_at`` is that of its latest source furthest behind; None when one never delivered.

    ``last`` is the newest committed extract of that source. ``refusals`` and ``deferred`` count
    deliveries that wait for someone; ``quarantined`` counts rows held over all committed extracts.
    """

    feed: Feed
    state: State
    as_at: datetime | None
    age: timedelta | None
    last: ExtractEntry | None
    refusals: int
    deferred: int
    quarantined: int
    last_code: str

    def document(self) -> dict[str, Any]:
        """The figures as plain JSON values; times ISO 8601, spans in seconds."""
        return {
            "feed": self.feed.name,
            "title": self.feed.title,
            "state": self.state,
            "asAt": self.as_at.isoformat() if self.as_at else None,
            "ageSeconds": int(self.age.total_seconds()) if self.age is not None else None,
            "softLimitSeconds": int(self.feed.soft_limit.total_seconds()),
            "hardLimitSeconds": int(self.feed.hard_limit.total_seconds()),
            "lastExtract": _extract(self.last) if self.last else None,
            "refusals": self.refusals,
            "deferred": self.deferred,
            "quarantined": self.quarantined,
            "lastRefusalCode": self.last_code or None,
        }


def judge(as_at: datetime | None, soft: timedelta, hard: timedelta, now: datetime) -> State:
    """``fresh`` up to the soft limit, ``late`` up to the hard one, then ``stale``; ``never`` without a time."""
    if as_at is None:
        return "never"
    age = now - as_at
    if age <= soft:
        return "fresh"
    return "late" if age <= hard else "stale"


def feed_freshness(feed: Feed, ledger: Ledger, now: datetime) -> FeedFreshness:
    """The figures of one feed at a moment (with offset)."""
    last = _furthest_behind(ledger.latest(feed.name, source) for source in feed.sources)
    as_at = last.as_at if last else None
    waiting = ledger.refusals(feed.name)
    committed = [entry for entry in ledger.entries(feed.name) if entry.committed]
    return FeedFreshness(
        feed=feed,
        state=judge(as_at, feed.soft_limit, feed.hard_limit, now),
        as_at=as_at,
        age=now - as_at if as_at else None,
        last=last,
        refusals=sum(entry.outcome == "refused" for entry in waiting),
        deferred=sum(entry.outcome == "deferred" for entry in waiting),
        quarantined=sum(entry.quarantined for entry in committed),
        last_code=waiting[-1].code if waiting else "",
    )


def all_freshness(ledger: Ledger, now: datetime) -> list[FeedFreshness]:
    """Every feed of the catalogue, in its order."""
    return [feed_freshness(feed, ledger, now) for feed in FEEDS.values()]


def _furthest_behind(entries: Iterable[ExtractEntry | None]) -> ExtractEntry | None:
    """The entry with the oldest as-at time, or None as soon as one source has none."""
    found: list[tuple[datetime, ExtractEntry]] = []
    for entry in entries:
        if entry is None or entry.as_at is None:
            return None
        found.append((entry.as_at, entry))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _extract(entry: ExtractEntry) -> dict[str, Any]:
    return {
        "source": entry.source,
        "sequence": entry.sequence,
        "kind": entry.kind,
        "outcome": entry.outcome,
        "receivedAt": entry.received_at.isoformat(),
        "validatedAt": entry.validated_at.isoformat() if entry.validated_at else None,
        "records": entry.record_count,
        "accepted": entry.accepted,
        "quarantined": entry.quarantined,
        "warnings": entry.warnings,
    }
