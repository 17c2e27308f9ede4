"""Left-overs of builds: the one that the next build goes on with, and the removal of the others.

Belongs here: which left-over may be adopted, and making it fit to go on. Does not belong here: the
steps themselves, each of which is safe to run again where it was stopped (``build.py``,
``assets/index/build.py``); what a build made in a cluster (``assets/published``).

A killed build is adopted by the next one whose plan is the same in all that matters (extracts, base,
previous, number, versions): its folder is renamed and its steps go on. Any other is removed. What a
kill leaves inside, and why it does no harm:

- preparing: not marked as prepared, so it is done again from the start;
- an extract applied but not yet on record: applied again, which changes nothing;
- the replica with a write-ahead log: DuckDB folds it in when the file is opened again, which happens
  here already, so that a file that cannot be opened is not adopted;
- settling: a function of the tables, done again with the same result;
- an index in a folder, half built: removed and built anew; one in a cluster goes on (``search_api/index``);
- files half written, under names of their own (``.partial``, ``.new``), and spilled data: removed here.

A build that did not reconcile, or that failed twice, is not adopted: it would only fail once more.
"""

from __future__ import annotations

from pathlib import Path

from assets.files import remove_folder
from assets.replica.plan import BuildPlan
from assets.replica.workspace import BuildState, Workspace, workspace
from assets.stores import Stores
from schemas.errors import GenerationError, NcrsError
from search_api import db
from search_api.durable import sync_folder
from search_api.settings import Settings

FAILURES_ALLOWED = 1


def adopt(stores: Stores, settings: Settings, build_id: str, plan: BuildPlan) -> Workspace | None:
    """The left-over that this plan goes on with, under its new name; every other one is removed.

    The caller holds the lock.
    """
    found = [Workspace(path) for path in leftovers(stores)]
    chosen = next((place for place in found if _fit(place, plan) and _opens(place, settings)), None)
    for place in found:
        if place != chosen:
            remove_folder(place.folder)
    return _taken_over(stores, chosen, build_id, plan) if chosen else None


def leftovers(stores: Stores) -> list[Path]:
    """Folders of builds that did not end."""
    return sorted(stores.building.iterdir()) if stores.building.is_dir() else []


def unfit(state: BuildState) -> BuildState:
    """The state of a build that must never be adopted."""
    return state.model_copy(update={"failures": FAILURES_ALLOWED + 1})


def _fit(place: Workspace, plan: BuildPlan) -> bool:
    try:
        state = place.state
    except (NcrsError, OSError):
        return False  # nothing was begun, or by a release that kept its state otherwise
    return plan.work and state.prepared and state.failures <= FAILURES_ALLOWED and state.plan.equals(plan)


def _opens(place: Workspace, settings: Settings) -> bool:
    """Whether the replica can be opened; a write-ahead log that a kill left is folded in."""
    remove_folder(place.folder / "temporary")
    for path in (*place.folder.rglob(".*.partial"), *place.folder.rglob(".*.new")):
        path.unlink()
    if not place.replica.is_file():
        return False
    try:
        with place.database(settings):
            return True
    except (GenerationError, db.DatabaseError):
        return False


def _taken_over(stores: Stores, place: Workspace, build_id: str, plan: BuildPlan) -> Workspace:
    made = workspace(stores, build_id)
    if place != made:
        place.folder.rename(made.folder)
        sync_folder(stores.building)
    state = made.state
    resumed = f"Resumed a build that was stopped, {len(state.applied)} of {len(plan.steps)} extracts applied."
    reason = f"{plan.reason} {resumed}"
    made.save(state.model_copy(update={"plan": plan.model_copy(update={"reason": reason})}))
    return made
