"""One step of a build in a process of its own, as the orchestrator runs it.

Belongs here: the steps by name, in the order of ``assets/published/service.py``. Does not belong here: what they do.
Run as ``python -m tests.performance.national.building STEP``, with NCRS_HOME set.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from assets.index.build import build_index
from assets.index.reconcile import reconcile, require_equal
from assets.published.service import Builder, FailureRecord, begin_build, builder, publish_build
from assets.replica.build import apply_feed, settle_replica
from assets.replica.workspace import Workspace, build_lock, workspace
from pipelines.home import ledger_of, stores_of
from schemas.feeds import FEEDS
from search_api.settings import Settings

BUILD, REASON, ACTOR = "national", "national run", "benchmark"


def replica(made: Builder, _place: Workspace) -> None:
    """Plan, or go on with what a killed attempt left; apply every feed and settle."""
    place = begin_build(made, BUILD)
    if place.state.plan.work:
        for feed in FEEDS:
            apply_feed(made.site, place, feed)
        settle_replica(made.site, place)


def index(made: Builder, place: Workspace) -> None:
    """The search index from the replica."""
    build_index(made.index, place)


def reconciled(made: Builder, place: Workspace) -> None:
    """Index and replica compared, document by document."""
    require_equal(reconcile(made.index, place))


def published(made: Builder, place: Workspace) -> None:
    """Seal the generation and make it current; an attempt killed right after that left no place, and is done."""
    if place.folder.exists():
        publish_build(made, place, REASON)


STEPS: dict[str, Callable[[Builder, Workspace], None]] = {
    "replica": replica,
    "index": index,
    "reconcile": reconciled,
    "publish": published,
}


def main() -> None:
    """One step of the build of this home."""
    settings = Settings()
    stores = stores_of(settings)
    made = builder(stores, ledger_of(settings), settings, ACTOR)
    place = workspace(stores, BUILD)
    with build_lock(stores), FailureRecord(made, place):
        STEPS[sys.argv[1]](made, place)


if __name__ == "__main__":
    main()
