"""How old the data of one feed is in the generation that answers, and whether that forbids an answer.

Belongs here: the judgement for answers. Does not belong here: the report of freshness (``ops/``).
Source: promises.md R13; limits: ``schemas/feeds.py``; Settings.hard_limit_refuses.
"""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.feeds import FEEDS
from schemas.generation import GenerationManifest
from search_api import errors
from search_api.settings import Settings


def feed_as_at(manifest: GenerationManifest, feed: str) -> datetime | None:
    """As-at time of a feed, of its source furthest behind; None when the generation has none of it."""
    return min((state.as_at for state in manifest.feeds if state.feed == feed), default=None)


def is_stale(manifest: GenerationManifest, feed: str, now: datetime | None = None) -> bool:
    """Whether a feed is older than its hard limit. A feed that never came is absent, not stale."""
    as_at = feed_as_at(manifest, feed)
    return as_at is not None and (now or datetime.now(UTC)) - as_at > FEEDS[feed].hard_limit


def require_fresh(manifest: GenerationManifest, feed: str, settings: Settings) -> None:
    """Raises SERVICE_UNAVAILABLE for a stale feed when the settings say so."""
    if settings.hard_limit_refuses and is_stale(manifest, feed):
        raise errors.service_unavailable()
