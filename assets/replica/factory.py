"""The replica as Dagster sees it: one asset a feed, one after another in one build of the run.

Belongs here: the Dagster face. Does not belong here: building (``build.py``), the lock's rules
(``workspace.py``).

Every asset of a run works in the same place, ``building/<run id>``; a re-execution from failure has
the root run's id, so it goes on where the failed run stopped. Metadata holds counts and checksums.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from assets import keys
from assets.failures import Translated
from assets.landing.factory import team
from assets.published.service import Builder, FailureRecord, begin_build, builder
from assets.replica.build import apply_feed
from assets.replica.workspace import Applied, Workspace, build_lock, workspace
from assets.stores import Stores
from schemas.feeds import FEEDS, Feed
from search_api.ops.ledger import Ledger
from search_api.settings import Settings

BUILDER_POOL = "generation_builder"
ACTOR_TAG, REASON_TAG, FULL_TAG = "ncrs/actor", "ncrs/reason", "ncrs/full"


def replica_assets(feed: str) -> list[dg.AssetsDefinition]:
    """The replica asset of a feed; resources ``stores``, ``ledger``, ``settings``."""
    entry = FEEDS[feed]

    @dg.asset(
        key=keys.replica(feed),
        deps=[keys.validated(feed), *_before(entry)],
        group_name="replica",
        owners=[team(entry.owner)],
        kinds={"duckdb"},
        description=f"{entry.title}: the latest true state of each record, in the generation being built.",
        pool=BUILDER_POOL,
    )
    def replica(
        stores: dg.ResourceParam[Stores],
        ledger: dg.ResourceParam[Ledger],
        settings: dg.ResourceParam[Settings],
    ) -> Iterator[Any]:
        with Translated(), building(stores, ledger, settings) as (made, place):
            yield dg.MaterializeResult(metadata=_metadata(place, apply_feed(made.site, place, feed)))

    return [replica]


@contextmanager
def building(stores: Stores, ledger: Ledger, settings: Settings) -> Iterator[tuple[Builder, Workspace]]:
    """The builder and the place of this run, begun if need be, under the builder's lock.

    Run tags say who asked (ACTOR_TAG) and whether to build from nothing (FULL_TAG). An exception
    inside is recorded as a failed build.
    """
    run = dg.AssetExecutionContext.get().run
    tags = run.tags
    actor = f"{tags[ACTOR_TAG]}, " if ACTOR_TAG in tags else ""
    made = builder(stores, ledger, settings, actor=f"{actor}{run.job_name}, run {run.run_id}")
    build_id = run.root_run_id or run.run_id
    place = workspace(stores, build_id)
    with build_lock(stores), FailureRecord(made, place):
        if not place.begun:
            begin_build(made, build_id, anew=tags.get(FULL_TAG) == "true")
        yield made, place


def _before(feed: Feed) -> list[str]:
    """The replica asset that comes before: number changes, then patients, then the rest, one at a time."""
    earlier = [other for other in FEEDS.values() if other.order < feed.order]
    return [keys.replica(earlier[-1].name)] if earlier else []


def _metadata(place: Workspace, applied: list[Applied]) -> dict[str, Any]:
    totals: dict[str, int] = {}
    for item in applied:
        for outcome, count in item.counts.items():
            totals[outcome] = totals.get(outcome, 0) + count
    return {
        "plan": place.state.plan.reason,
        "extracts": len(applied),
        "sequences": [item.step.sequence for item in applied],
        **totals,
    }
