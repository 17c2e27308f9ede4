"""Schedules: what runs at a time of day.

Belongs here: the times. Does not belong here: noticing deliveries (``sensors.py``).
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from schemas.feeds import Feed

ZONE = "Europe/London"


def catch_up(feed: Feed, ingest_job: Any) -> dg.ScheduleDefinition:
    """Before the day begins, try the feed once: also what was deferred, or arrived while nobody looked."""
    return dg.ScheduleDefinition(
        name=f"catch_up__{feed.name}",
        cron_schedule="30 5 * * *",
        execution_timezone=ZONE,
        job=ingest_job,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Once a day: deferred deliveries, and what the sensor missed.",
    )


def freshness(freshness_job: Any) -> dg.ScheduleDefinition:
    """The freshness report, every quarter of an hour: a feed grows stale without anything happening."""
    return dg.ScheduleDefinition(
        name="freshness",
        cron_schedule="*/15 * * * *",
        execution_timezone=ZONE,
        job=freshness_job,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Judge each feed's as-at time against its limits.",
    )
