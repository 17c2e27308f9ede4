"""Validation as Dagster sees it: validated and quarantine of a feed come from one pass.

Belongs here: the Dagster face. Does not belong here: what validation does (``validate.py``).

Blocking checks: no extract was refused, here or beside these in landing; in = accepted + quarantined, counted from the files; and
one check for each expectation of the feed's suite. Rejected records are data, not a failure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import polars as pl

from assets import keys
from assets.failures import Translated
from assets.landing.acknowledge import QUARANTINE_FILES
from assets.landing.factory import files_check, team
from assets.stores import Stores
from assets.validated.expectations import expectation_names
from assets.validated.validate import validate
from schemas.errors import ExpectationsFailed
from schemas.feeds import FEEDS, Feed
from search_api.ops.ledger import ExtractEntry, Ledger
from search_api.settings import Settings

FILES_CHECK = "extracts_hold_what_they_promise"
RECONCILE_CHECK = "in_is_accepted_plus_quarantined"


def validated_assets(feed: str) -> list[dg.AssetsDefinition]:
    """One multi-asset: validated and quarantine, with checks; resources ``stores``, ``ledger``, ``settings``."""
    entry = FEEDS[feed]

    @dg.multi_asset(
        name=f"validate__{feed}",
        specs=_specs(entry),
        check_specs=_check_specs(feed),
        pool=f"ingest__{feed}",
    )
    def validated(
        stores: dg.ResourceParam[Stores], ledger: dg.ResourceParam[Ledger], settings: dg.ResourceParam[Settings]
    ) -> Iterator[Any]:
        with Translated():
            failed: tuple[str, ...] = ()
            settled: list[ExtractEntry] = []
            try:
                settled = validate(stores, ledger, settings, feed)
            except ExpectationsFailed as error:
                failed = error.failed
            refusals = ledger.untold(feed)
            ledger.tell(refusals)
            committed = [entry for entry in settled if entry.committed]
            checks = [files_check(FILES_CHECK, refusals), _reconciled(stores, committed), *_opinions(feed, failed)]
            yield dg.MaterializeResult(
                asset_key=keys.validated(feed), metadata=_metadata(committed), check_results=checks
            )
            held = sum(entry.quarantined for entry in committed)
            yield dg.MaterializeResult(asset_key=keys.quarantine(feed), metadata={"rows": held})

    return [validated]


def reconcile(stores: Stores, entry: ExtractEntry) -> tuple[int, int]:
    """Rows accepted and quarantined of a committed extract, counted from its files."""
    folders = [stores.stage(stage, entry.feed, entry.source, entry.sequence) for stage in ("validated", "quarantine")]
    return _rows(folders[0], "part-*.parquet"), _rows(folders[1], QUARANTINE_FILES)


def _rows(folder: Any, pattern: str) -> int:
    return sum(int(pl.scan_parquet(path).select(pl.len()).collect().item()) for path in folder.glob(pattern))


def _specs(feed: Feed) -> list[dg.AssetSpec]:
    return [
        _spec(feed, "validated", keys.validated(feed.name), "rows that meet the contract and every rule."),
        _spec(feed, "quarantine", keys.quarantine(feed.name), "rejected rows as received, with level and reason code."),
    ]


def _spec(feed: Feed, group: str, key: str, text: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        deps=[keys.landing(feed.name)],
        group_name=group,
        owners=[team(feed.owner)],
        kinds={"polars", "parquet"},
        description=f"{feed.title}: {text}",
    )


def _check_specs(feed: str) -> list[dg.AssetCheckSpec]:
    key = keys.validated(feed)
    described = {
        FILES_CHECK: "Every landed extract holds what its manifest says.",
        RECONCILE_CHECK: "Rows in are rows accepted plus rows quarantined, counted from the files.",
        **dict.fromkeys(expectation_names(FEEDS[feed]), "great-expectations on accepted rows."),
    }
    return [dg.AssetCheckSpec(name, asset=key, blocking=True, description=text) for name, text in described.items()]


def _reconciled(stores: Stores, committed: Sequence[ExtractEntry]) -> dg.AssetCheckResult:
    counted = [reconcile(stores, entry) for entry in committed]
    wrong = [
        entry.sequence
        for entry, (accepted, quarantined) in zip(committed, counted, strict=True)
        if accepted + quarantined != entry.record_count or accepted != entry.accepted
    ]
    return dg.AssetCheckResult(
        check_name=RECONCILE_CHECK,
        passed=not wrong,
        metadata={
            "in": sum(entry.record_count for entry in committed),
            "accepted": sum(accepted for accepted, _ in counted),
            "quarantined": sum(quarantined for _, quarantined in counted),
            "sequences_that_differ": wrong,
        },
    )


def _opinions(feed: str, failed: Sequence[str]) -> Iterator[dg.AssetCheckResult]:
    for name in expectation_names(FEEDS[feed]):
        yield dg.AssetCheckResult(check_name=name, passed=name not in failed)


def _metadata(committed: Sequence[ExtractEntry]) -> dict[str, Any]:
    return {
        "extracts": len(committed),
        "rows": sum(entry.accepted for entry in committed),
        "warnings": sum(entry.warnings for entry in committed),
        "sequences": [entry.sequence for entry in committed],
        "control": [entry.shown_control for entry in committed],
    }
