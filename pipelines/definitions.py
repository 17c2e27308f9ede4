"""The one code location: everything Dagster knows of us, assembled in one function.

Belongs here: putting together what ``assets/``, ``jobs.py``, ``sensors.py``, ``schedules.py`` and
``resources.py`` make. Does not belong here: making any of it, reading a setting, opening a store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import dagster as dg

from assets import keys
from assets.index.factory import index_assets
from assets.landing.factory import landing_assets, team
from assets.published.factory import published_assets
from assets.replica.factory import replica_assets
from assets.reports.freshness import report_assets
from assets.validated.factory import validated_assets
from assets.weights.factory import weights_assets
from pipelines import jobs, resources, schedules, sensors
from pipelines.trace_job import trace
from schemas.feeds import FEEDS, Feed
from search_api.settings import Settings


def source_spec(feed: Feed) -> dg.AssetSpec:
    """The supplier's delivery: external, never run; the drop-folder sensor tells when one arrives."""
    return dg.AssetSpec(
        keys.source(feed.name),
        description=f"{feed.title}: deliveries in the drop folder ({feed.cadence}).",
        group_name="source",
        owners=[team(feed.owner)],
        kinds={"file"},
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=feed.hard_limit, warn_window=feed.soft_limit),
        metadata={
            "soft_limit_hours": feed.soft_limit.total_seconds() / 3600,
            "hard_limit_hours": feed.hard_limit.total_seconds() / 3600,
        },
    )


def default_assets() -> tuple[list[Any], list[Any]]:
    """Assets and checks of every stage, in the data's order."""
    report, report_checks = report_assets()
    by_feed = [make(feed) for make in (landing_assets, validated_assets, replica_assets) for feed in FEEDS]
    stages = [*chain.from_iterable(by_feed), *index_assets(), *published_assets(), *weights_assets()]
    return [*map(source_spec, FEEDS.values()), *stages, *report], report_checks


def build_definitions(
    *,
    settings: Settings | None = None,
    resource_overrides: Mapping[str, Any] | None = None,
    assets: Sequence[Any] | None = None,
    checks: Sequence[Any] | None = None,
    automation: bool = True,
) -> dg.Definitions:
    """Every definition. Overrides replace the default of the same name; without ``automation`` no
    sensor and no schedule is there. ``settings`` None: read from the environment when a run starts.
    """
    stages, stage_checks = default_assets() if assets is None else (list(assets), [])
    ingest_jobs = {feed.name: jobs.ingest(feed) for feed in FEEDS.values()}
    publish_job, freshness_job = jobs.publish(), jobs.freshness()
    return dg.Definitions(
        assets=stages,
        asset_checks=stage_checks if checks is None else list(checks),
        jobs=[*ingest_jobs.values(), publish_job, freshness_job, trace()],
        resources={**resources.resources(settings), **(resource_overrides or {})},
        executor=dg.in_process_executor,
        sensors=_sensors(ingest_jobs, publish_job) if automation else [],
        schedules=_schedules(ingest_jobs, freshness_job) if automation else [],
    )


def _sensors(ingest_jobs: Mapping[str, Any], publish_job: Any) -> list[dg.SensorDefinition]:
    each = list(ingest_jobs.values())
    return [sensors.drop_folder(each), sensors.new_extracts(publish_job, each), sensors.cluster_marker()]


def _schedules(ingest_jobs: Mapping[str, Any], freshness_job: Any) -> list[dg.ScheduleDefinition]:
    catch_up = [schedules.catch_up(FEEDS[name], job) for name, job in ingest_jobs.items()]
    return [*catch_up, schedules.freshness(freshness_job)]


@dg.definitions
def defs() -> dg.Definitions:
    """What ``workspace.yaml`` names."""
    return build_definitions()
