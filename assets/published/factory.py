"""The publication as Dagster sees it: one asset that makes the built generation current.

Belongs here: the Dagster face. Does not belong here: publishing (``publish.py``), its record and
retention (``service.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets import keys
from assets.failures import Translated
from assets.published.service import Outcome, finish_without_work, publish_build
from assets.replica.factory import BUILDER_POOL, REASON_TAG, building
from assets.stores import Stores
from search_api.ops.ledger import Ledger
from search_api.settings import Settings


def published_assets() -> list[dg.AssetsDefinition]:
    """The current generation; resources ``stores``, ``ledger``, ``settings``."""

    @dg.asset(
        key=keys.PUBLISHED,
        deps=[keys.INDEX],
        group_name="published",
        owners=["team:ops"],
        kinds={"file"},
        description="The generation that is served: made current in one atomic step.",
        pool=BUILDER_POOL,
    )
    def published(
        stores: dg.ResourceParam[Stores],
        ledger: dg.ResourceParam[Ledger],
        settings: dg.ResourceParam[Settings],
    ) -> Iterator[Any]:
        with Translated(), building(stores, ledger, settings) as (made, place):
            plan = place.state.plan
            if not plan.work:
                finish_without_work(made, place)
                yield dg.MaterializeResult(metadata={"plan": plan.reason, "generation": plan.previous or "none"})
                return
            reason = dg.AssetExecutionContext.get().run.tags.get(REASON_TAG) or f"build {place.build_id}"
            yield dg.MaterializeResult(metadata=_metadata(publish_build(made, place, reason)))

    return [published]


def _metadata(outcome: Outcome) -> dict[str, Any]:
    manifest = outcome.manifest
    if manifest is None:
        return {"plan": outcome.plan.reason}
    return {
        "plan": outcome.plan.reason,
        "generation": manifest.generation,
        "base": manifest.base or "none",
        "as_at": manifest.as_at.isoformat(),
        "feeds": {f"{feed.feed}/{feed.source}": feed.sequence for feed in manifest.feeds},
        "tables": {table.table: {"rows": table.rows, "checksum": table.checksum} for table in manifest.tables},
        "documents": manifest.index.documents,
        "index_checksum": manifest.index.checksum,
        "bytes": sum(state.bytes for state in manifest.files),
        "removed": list(outcome.removed),
        **({"cluster_marker_lags": outcome.lag} if outcome.lag else {}),
    }
