"""The freshness report: each feed's as-at time against its limits, as asset and checks.

Belongs here: the Dagster face of ``search_api/ops/freshness.py``. Does not belong here: the judgement.
Dagster's own freshness looks at when a run happened; these checks look at what the supplier said.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg

from assets import keys
from assets.failures import translated
from assets.stores import Stores
from schemas.feeds import FEEDS, Feed
from search_api.ops.freshness import FeedFreshness, all_freshness, feed_freshness
from search_api.ops.ledger import Ledger

Clock = Callable[[], datetime]
REPORT_FILE = "reports/freshness.json"


def utc_now() -> datetime:
    """The time now; a parameter everywhere it matters, so that tests set it."""
    return datetime.now(UTC)


def write_report(stores: Stores, ledger: Ledger, now: datetime) -> list[FeedFreshness]:
    """Write ``{home}/reports/freshness.json`` in one step and return the figures."""
    feeds = all_freshness(ledger, now)
    path = stores.home / REPORT_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"at": now.isoformat(), "feeds": [feed.document() for feed in feeds]}, indent=2))
    fresh.replace(path)
    return feeds


def check_result(feed: FeedFreshness) -> dg.AssetCheckResult:
    """Passed while fresh; a warning past the soft limit, an error past the hard one or without a delivery."""
    severity = dg.AssetCheckSeverity.WARN if feed.state == "late" else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        check_name="freshness",
        asset_key=keys.validated(feed.feed.name),
        passed=feed.state == "fresh",
        severity=severity,
        description=f"The feed is {feed.state}.",
        metadata={
            "state": feed.state,
            "as_at": feed.as_at.isoformat() if feed.as_at else "never",
            "hours_behind": round(feed.age.total_seconds() / 3600, 2) if feed.age is not None else -1.0,
            "soft_limit_hours": feed.feed.soft_limit.total_seconds() / 3600,
            "hard_limit_hours": feed.feed.hard_limit.total_seconds() / 3600,
        },
    )


def freshness_check(feed: Feed, now: Clock = utc_now) -> dg.AssetChecksDefinition:
    """The check ``freshness`` on ``validated__{feed}``; not blocking: old rows are still true rows."""

    @dg.asset_check(
        asset=keys.validated(feed.name),
        name="freshness",
        description="The supplier's as-at time against the feed's limits.",
    )
    @translated
    def freshness(ledger: dg.ResourceParam[Ledger]) -> dg.AssetCheckResult:
        return check_result(feed_freshness(feed, ledger, now()))

    return freshness


def freshness_report(now: Clock = utc_now) -> dg.AssetsDefinition:
    """The asset ``report__freshness``."""

    @dg.asset(
        key=keys.REPORT_FRESHNESS,
        group_name="report",
        owners=["team:ops"],
        kinds={"json"},
        description="Per feed: as-at time, freshness against its limits, last extract, counts, refusals.",
    )
    @translated
    def report(stores: dg.ResourceParam[Stores], ledger: dg.ResourceParam[Ledger]) -> dg.MaterializeResult[None]:
        feeds = write_report(stores, ledger, now())
        return dg.MaterializeResult(metadata={feed.feed.name: feed.state for feed in feeds})

    return report


def report_assets(now: Clock = utc_now) -> tuple[list[dg.AssetsDefinition], list[dg.AssetChecksDefinition]]:
    """The report and one check a feed."""
    return [freshness_report(now)], [freshness_check(feed, now) for feed in FEEDS.values()]
