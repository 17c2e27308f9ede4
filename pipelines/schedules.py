"""Schedules: what runs at a time of day.

Belongs here: the times. Does not belong here: noticing deliveries (``sensors.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

from pipelines.jobs import ingest_name
from schemas.feeds import FEEDS

ZONE = "Europe/London"


def catch_up(ingest_jobs: list[Any]) -> dg.ScheduleDefinition:
    """Before the day begins, try every feed once: also what was deferred, or arrived while nobody looked."""

    @dg.schedule(
        name="catch_up",
        cron_schedule="30 5 * * *",
        execution_timezone=ZONE,
        jobs=ingest_jobs,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every feed's ingest once a day: deferred deliveries, and what the sensor missed.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        day = context.scheduled_execution_time.date().isoformat()
        for feed in FEEDS:
            yield dg.RunRequest(run_key=f"{feed}:{day}", job_name=ingest_name(feed))

    return tick


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
