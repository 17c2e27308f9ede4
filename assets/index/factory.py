"""The index as Dagster sees it: one asset, with the comparisons of replica and index as blocking checks.

Belongs here: the Dagster face. Does not belong here: building and comparing (``build.py``,
``reconcile.py``). A check that fails leaves the publication after it unmaterialised.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets import keys
from assets.failures import Translated
from assets.index.build import build_index
from assets.index.reconcile import COMPARISONS, Reconciled, reconcile
from assets.replica.build import settle_replica
from assets.replica.factory import BUILDER_POOL, building
from assets.replica.workspace import BuildState
from assets.stores import Stores
from schemas.feeds import FEEDS
from search_api.ops.ledger import Ledger
from search_api.settings import Settings


def index_assets() -> list[dg.AssetsDefinition]:
    """The index of the generation being built; resources ``stores``, ``ledger``, ``settings``."""

    @dg.asset(
        key=keys.INDEX,
        deps=[keys.replica(feed) for feed in FEEDS],
        group_name="index",
        owners=["team:ops"],
        kinds={"index"},
        description="Search documents of the same generation, made from its replica; its records too, where a cluster"
        " is to answer alone.",
        check_specs=[
            dg.AssetCheckSpec(name, asset=keys.INDEX, blocking=True, description=text)
            for name, text in COMPARISONS.items()
        ],
        pool=BUILDER_POOL,
    )
    def index(
        stores: dg.ResourceParam[Stores],
        ledger: dg.ResourceParam[Ledger],
        settings: dg.ResourceParam[Settings],
    ) -> Iterator[Any]:
        with Translated(), building(stores, ledger, settings) as (made, place):
            if not place.state.plan.work:
                yield dg.MaterializeResult(metadata={"plan": place.state.plan.reason}, check_results=_unchanged())
                return
            settle_replica(made.site, place)
            state = build_index(made.index, place)
            found = reconcile(made.index, place)
            if found.differences:
                made.events.record("failed", "", actor=made.actor, reason="RECONCILE", detail=f"build {place.build_id}")
            yield dg.MaterializeResult(metadata=_metadata(state), check_results=_results(found))

    return [index]


def _metadata(state: BuildState) -> dict[str, Any]:
    tables = {table.table: {"rows": table.rows, "checksum": table.checksum} for table in state.tables}
    index = {"documents": state.index.documents, "checksum": state.index.checksum} if state.index else {}
    records = {"records": state.records.documents, "records_checksum": state.records.checksum} if state.records else {}
    return {
        "plan": state.plan.reason,
        "settled": state.settled or {},
        "tables": tables,
        "documents_written": state.documents_changed,
        "from_nothing": state.plan.fresh_index,
        **index,
        **records,
    }


def _results(found: Reconciled) -> list[dg.AssetCheckResult]:
    metadata: dict[str, Any] = {
        "replica_documents": found.replica_documents,
        "index_documents": found.index_documents,
        "replica_checksum": found.replica_checksum,
        "index_checksum": found.index_checksum,
        "sampled": found.sampled,
        "invalidated_sampled": found.absent_sampled,
        **vars(found.records),
    }
    return [
        dg.AssetCheckResult(check_name=name, passed=name not in found.differences, metadata=metadata)
        for name in COMPARISONS
    ]


def _unchanged() -> list[dg.AssetCheckResult]:
    return [dg.AssetCheckResult(check_name=name, passed=True, metadata={"nothing_new": True}) for name in COMPARISONS]
