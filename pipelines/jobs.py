"""The jobs: which assets run together.

Belongs here: selections and their names. Does not belong here: when they run (``schedules.py``,
``sensors.py``), what they do (``assets/``).

A bad feed must not stop another, so each feed has an ingest job of its own that ends with validated
rows, and one job builds and publishes from what is validated. All run in one process: the stages
are vectorised and use every core themselves, and SQLite's event log likes few writers.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from assets import keys
from schemas.feeds import FEEDS, Feed

PUBLISH = "publish"
FRESHNESS = "freshness"


def ingest_name(feed: str) -> str:
    """Job name of one feed's ingest; also the name of its pool, so that no two run at a time."""
    return f"ingest__{feed}"


def ingest(feed: Feed) -> Any:
    """Landing, validated and quarantine of one feed, with their checks."""
    selected = dg.AssetSelection.assets(keys.landing(feed.name), keys.validated(feed.name), keys.quarantine(feed.name))
    return dg.define_asset_job(
        ingest_name(feed.name),
        selection=selected,
        description=f"Take in what was delivered of {feed.title}: check, land, validate, quarantine, acknowledge.",
        executor_def=dg.in_process_executor,
        tags={"ncrs/feed": feed.name},
    )


def publish() -> Any:
    """Replica, index and publication: everything from validated rows to the current generation."""
    replicas = [keys.replica(feed) for feed in FEEDS]
    return dg.define_asset_job(
        PUBLISH,
        selection=dg.AssetSelection.assets(*replicas, keys.INDEX, keys.PUBLISHED),
        description="Build the next generation from validated extracts, reconcile it, make it current in one step.",
        executor_def=dg.in_process_executor,
    )


def freshness() -> Any:
    """The freshness report with the as-at checks of every feed."""
    checks = [dg.AssetCheckKey(dg.AssetKey(keys.validated(feed)), "freshness") for feed in FEEDS]
    return dg.define_asset_job(
        FRESHNESS,
        selection=dg.AssetSelection.assets(keys.REPORT_FRESHNESS) | dg.AssetSelection.checks(*checks),
        description="Judge each feed's as-at time against its limits.",
        executor_def=dg.in_process_executor,
    )


def jobs() -> list[Any]:
    """Every job, in the data's order."""
    return [*(ingest(feed) for feed in FEEDS.values()), publish(), freshness()]
