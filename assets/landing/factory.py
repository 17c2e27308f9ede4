"""Landing as Dagster sees it: one asset a feed, one blocking check, one that only tells.

Belongs here: the Dagster face. Does not belong here: what landing does (``land.py``).

A refused extract fails the run it was met in, with its reason code; the refusal is in the ledger,
so the next run does not try the same bytes and passes. When acceptable extracts landed beside it,
they must not wait for that: the check only warns here, and the run fails after they are validated.
Metadata holds counts and codes only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from assets import keys
from assets.failures import Translated
from assets.landing.land import land
from assets.stores import Stores
from schemas.feeds import FEEDS
from search_api.ops.ledger import ExtractEntry, Ledger
from search_api.settings import Settings

FILES_CHECK = "extracts_acceptable"
ORDER_CHECK = "extracts_in_sequence"


def landing_assets(feed: str) -> list[dg.AssetsDefinition]:
    """The landing asset of a feed with its checks; resources ``stores``, ``ledger``, ``settings``."""
    entry = FEEDS[feed]
    key = keys.landing(feed)

    @dg.asset(
        key=key,
        deps=[keys.source(feed)],
        group_name="landing",
        owners=[team(entry.owner)],
        kinds={"file"},
        description=f"{entry.title}: byte-faithful copies, checked for hash, size, rows, columns and order.",
        check_specs=[
            dg.AssetCheckSpec(FILES_CHECK, asset=key, blocking=True, description="No delivery was refused."),
            dg.AssetCheckSpec(ORDER_CHECK, asset=key, description="No delivery waits for one before it."),
        ],
        pool=f"ingest__{feed}",
    )
    def landing(
        stores: dg.ResourceParam[Stores], ledger: dg.ResourceParam[Ledger], settings: dg.ResourceParam[Settings]
    ) -> Iterator[Any]:
        with Translated():
            taken = land(stores, ledger, settings, feed)
            checks = [_files(ledger, feed), _order(taken)]
            yield dg.MaterializeResult(metadata=_metadata(taken), check_results=checks)

    return [landing]


def team(owner: str) -> str:
    """The catalogue's owner in Dagster's spelling."""
    return f"team:{owner.removeprefix('group:')}"


def files_check(name: str, refusals: Sequence[ExtractEntry], *, fails: bool = True) -> dg.AssetCheckResult:
    """Names the reason codes of refused extracts; ``fails`` False only warns of them."""
    return dg.AssetCheckResult(
        check_name=name,
        passed=not refusals,
        severity=dg.AssetCheckSeverity.ERROR if fails else dg.AssetCheckSeverity.WARN,
        description="; ".join(f"{entry.source}/{entry.sequence}: {entry.code}" for entry in refusals) or None,
        metadata={
            "refused": len(refusals),
            "codes": sorted({entry.code for entry in refusals}),
            "rules": sorted({entry.rule for entry in refusals}),
        },
    )


def _files(ledger: Ledger, feed: str) -> dg.AssetCheckResult:
    refusals = ledger.untold(feed)
    others_go_on = bool(ledger.landed(feed))
    if not others_go_on:
        ledger.tell(refusals)
    return files_check(FILES_CHECK, refusals, fails=not others_go_on)


def _order(taken: Sequence[ExtractEntry]) -> dg.AssetCheckResult:
    held = [entry for entry in taken if entry.outcome == "deferred"]
    return dg.AssetCheckResult(
        check_name=ORDER_CHECK,
        passed=not held,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"deferred": len(held), "sequences": [entry.sequence for entry in held]},
    )


def _metadata(taken: Sequence[ExtractEntry]) -> dict[str, Any]:
    landed = [entry for entry in taken if entry.outcome == "landed"]
    return {
        "extracts": len(landed),
        "records": sum(entry.record_count for entry in landed),
        "sequences": [entry.sequence for entry in landed],
        "control": [entry.shown_control for entry in landed],
    }
