"""Sensors: what starts a job because something happened, or mends at once what costs no run.

Belongs here: noticing. Does not belong here: what counts as news (``news.py``), work of any
size. A tick may happen twice: run keys and cursors make the second one harmless.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from assets import keys
from assets.landing.deliveries import Delivery, deliveries
from assets.landing.land import pending
from assets.published.mirror import Mirror
from assets.stores import Stores
from pipelines.jobs import PUBLISH, ingest_name
from pipelines.news import manifest_of, signature, unpublished
from schemas.errors import GenerationError, PassingFault
from schemas.feeds import FEEDS
from search_api.ops.ledger import Ledger
from search_api.settings import Settings

HEARTBEAT = "heartbeat"
INTERVAL_S = 30
DROP_FOLDER = "drop_folder"
NEW_EXTRACTS = "new_extracts"
CLUSTER_MARKER = "cluster_marker"

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def heartbeat(stores: Stores, sensor: str, now: datetime) -> None:
    """Write the time of a tick: a sensor that fails or does not run is seen by the age of the file."""
    folder = stores.home / HEARTBEAT
    folder.mkdir(parents=True, exist_ok=True)
    (folder / sensor).write_text(now.isoformat())


def drop_folder(ingest_jobs: list[Any]) -> dg.SensorDefinition:
    """Starts the ingest of each feed that has a new complete delivery."""

    @dg.sensor(
        name=DROP_FOLDER,
        jobs=ingest_jobs,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="One run per feed when a delivery is complete (its manifest exists) and the ledger does not know it.",
    )
    def sense(
        context: dg.SensorEvaluationContext, stores: dg.ResourceParam[Stores], ledger: dg.ResourceParam[Ledger]
    ) -> dg.SensorResult:
        heartbeat(stores, DROP_FOLDER, datetime.now(UTC))
        return look_at_drop_folder(context.cursor, stores, ledger)

    return sense


def look_at_drop_folder(cursor: str | None, stores: Stores, ledger: Ledger) -> dg.SensorResult:
    """The cursor holds one signature per feed, so an unchanged folder costs no look into the ledger."""
    seen: dict[str, str] = json.loads(cursor) if cursor else {}
    requests: list[dg.RunRequest] = []
    events: list[dg.AssetMaterialization] = []
    for feed in FEEDS:
        mark = signature(deliveries(stores, feed))
        fresh = pending(stores, ledger, feed) if mark != seen.get(feed) else []
        seen[feed] = mark
        if fresh:
            requests.append(dg.RunRequest(run_key=f"{feed}:{mark}", job_name=ingest_name(feed)))
            events.extend(_arrival(delivery) for delivery in fresh)
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else "Nothing new in the drop folder.",
        cursor=json.dumps(seen),
        asset_events=events,
    )


def new_extracts(publish_job: Any, ingest_jobs: list[Any]) -> dg.SensorDefinition:
    """Starts a build and publication when something is validated beyond the newest generation."""
    waiting_for = [job.name for job in ingest_jobs]

    @dg.sensor(
        name=NEW_EXTRACTS,
        job=publish_job,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="One run when extracts are validated beyond the newest generation and no ingest is under way.",
    )
    def sense(
        context: dg.SensorEvaluationContext, stores: dg.ResourceParam[Stores], ledger: dg.ResourceParam[Ledger]
    ) -> dg.SensorResult:
        heartbeat(stores, NEW_EXTRACTS, datetime.now(UTC))
        busy = [run.job_name for run in context.instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))]
        return look_at_ledger([job for job in busy if job in (*waiting_for, PUBLISH)], stores, ledger)

    return sense


def cluster_marker() -> dg.SensorDefinition:
    """Makes the marker in the cluster follow the one of this home, where nodes follow it."""

    @dg.sensor(
        name=CLUSTER_MARKER,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Mends the marker in the cluster when a kill or an outage left it behind. Starts no run.",
    )
    def sense(stores: dg.ResourceParam[Stores], settings: dg.ResourceParam[Settings]) -> dg.SkipReason:
        heartbeat(stores, CLUSTER_MARKER, datetime.now(UTC))
        return follow(stores, settings)

    return sense


def follow(stores: Stores, settings: Settings) -> dg.SkipReason:
    """Look, and mend only when there is something to mend: the publish lock is not taken at each tick."""
    if settings.records != "opensearch":
        return dg.SkipReason("No node follows a cluster.")
    mirror = Mirror(settings)
    try:
        if not mirror.lag(stores):
            return dg.SkipReason("The marker in the cluster names what is current.")
        mirror.follow(stores)
    except (PassingFault, GenerationError) as error:
        return dg.SkipReason(f"The marker in the cluster lags behind: {error.message}")
    return dg.SkipReason("The marker in the cluster lagged behind and was made to follow.")


def look_at_ledger(busy: list[str], stores: Stores, ledger: Ledger) -> dg.SensorResult:
    """One generation for all that arrived together: wait while an ingest runs.

    The run key is what would be built, so a build that failed is not tried for ever; the next
    extract, or a person with ``ncrs publish``, tries again.
    """
    if busy:
        return dg.SensorResult(skip_reason=f"Under way: {', '.join(sorted(set(busy)))}.")
    waiting = unpublished(stores, ledger)
    if not waiting:
        return dg.SensorResult(skip_reason="Everything validated is in the newest generation.")
    key = hashlib.sha256(json.dumps(sorted((*pair, sequence) for pair, sequence in waiting.items())).encode())
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=key.hexdigest()[:16])])


def _arrival(delivery: Delivery) -> dg.AssetMaterialization:
    """An event on the external asset: what the manifest says, no row."""
    manifest = manifest_of(delivery)
    known: dict[str, str | int] = (
        {}
        if manifest is None
        else {
            "source": manifest.source,
            "sequence": manifest.sequence,
            "kind": manifest.kind,
            "records": manifest.record_count,
            "as_at": manifest.window_to.isoformat(),
        }
    )
    return dg.AssetMaterialization(asset_key=keys.source(delivery.feed), metadata=known)
