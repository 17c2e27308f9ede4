"""Building the replica of a generation, step by step.

Belongs here: beginning on a base or from nothing, applying the extracts of one feed, settling.
Does not belong here: the index (``assets/index``), the lock around the steps (their callers hold it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assets.files import copy_checked, private_folder, remove_folder
from assets.replica import keying
from assets.replica import settle as settling
from assets.replica.adoption import adopt
from assets.replica.apply import apply_extract
from assets.replica.changes import apply_changes
from assets.replica.checksums import table_states
from assets.replica.folding import fold, take_over
from assets.replica.plan import BuildPlan, Standing, Step, Versions, plan_build, step_of
from assets.replica.tables import CHANGE, CONTENT, RECORD_TABLES
from assets.replica.workspace import (
    Applied,
    BuildState,
    Workspace,
    check_free_space,
    create_workspace,
    parts_of,
    quarantined_of,
)
from assets.stores import Stores
from schemas.errors import GenerationError, Refused
from schemas.feeds import FEEDS
from schemas.generation import INDEX_NAME, REPLICA_NAME, GenerationManifest
from search_api import db
from search_api import generation_files as files
from search_api.ops.ledger import Ledger
from search_api.record_files import SUFFIX
from search_api.settings import Settings


@dataclass(frozen=True)
class Site:
    """Where and with what a generation is built. ``missing`` says what a cluster no longer has of one."""

    stores: Stores
    ledger: Ledger
    settings: Settings
    versions: Versions
    missing: Callable[[GenerationManifest], frozenset[str]] = lambda _: frozenset()


def standing(site: Site) -> Standing:
    """What is current now and whether it can be built upon. A damaged one is a fault, not an error.

    Raises ClusterUnavailable when it is in a cluster that cannot be asked.
    """
    stores = site.stores
    highest = max((files.generation_number(path.name) or 0 for path in files.folders(stores.generations)), default=0)
    try:
        current = files.read_current(stores.generations)
    except GenerationError as error:
        return Standing(fault=error.message, highest_number=highest)
    if current is None:
        return Standing(highest_number=highest)
    highest = max(highest, files.generation_number(current.generation) or 0)
    try:
        manifest = files.read_manifest(stores.generations / current.generation, current.manifest_sha256)
        files.check_sizes(stores.generations / current.generation, manifest)
    except GenerationError as error:
        return Standing(name=current.generation, fault=error.message, highest_number=highest)
    return Standing(name=current.generation, manifest=manifest, highest_number=highest, missing=site.missing(manifest))


def make_plan(site: Site, *, anew: bool = False) -> BuildPlan:
    """The plan for what the ledger has committed and the current generation lacks."""
    return _plan_on(site, standing(site), anew=anew)


def _plan_on(site: Site, stands: Standing, *, anew: bool) -> BuildPlan:
    extracts = [step_of(entry) for feed in FEEDS for entry in site.ledger.validated(feed)]
    return plan_build(extracts, stands, site.versions, anew=anew)


def begin(site: Site, build_id: str, *, anew: bool = False) -> Workspace:
    """Plan a build and make its place: what a killed build of the same plan left, a copy of the
    base's replica, or empty.

    When there is nothing to do the place holds only the plan. Raises Refused (disk space).
    """
    stands = standing(site)
    plan, last = _plan_on(site, stands, anew=anew), stands.manifest
    adopted = adopt(site.stores, site.settings, build_id, plan)
    if plan.work:
        check_free_space(site.stores, site.settings, plan, _written(plan, last))
    place = adopted or create_workspace(site.stores, build_id, plan)
    if not place.state.prepared:
        _prepare(site, place, last)
    return place


def _prepare(site: Site, place: Workspace, last: GenerationManifest | None) -> None:
    """Copy the base and make the tables, from the start whatever there is. Never once something was
    applied: it would forget which documents changed."""
    state = place.state
    if state.plan.work:
        remove_folder(place.generation)
        private_folder(place.generation)
        if state.plan.base and last:
            _copy_base(site.stores.generations / state.plan.base, last, place)
        with place.database(site.settings) as connection:
            settling.prepare(connection)
            if state.plan.base and last:
                take_over(connection, site.stores.generations / state.plan.base, place.generation)
    place.save(state.model_copy(update={"prepared": True}))


def apply_feed(site: Site, place: Workspace, feed: str) -> list[Applied]:
    """Apply the planned extracts of one feed, each in one transaction.

    The state is saved after each: of a killed build only the extract under way is applied again,
    which changes nothing where its transaction was done (``apply.py``: an equal record is unchanged).
    """
    state = place.state
    done = {(item.step.feed, item.step.source, item.step.sequence) for item in state.applied}
    pending = [step for step in state.plan.steps_of(feed) if (step.feed, step.source, step.sequence) not in done]
    if pending:
        with place.database(site.settings) as connection:
            for step in pending:
                applied = Applied(step=step, counts=_apply(connection, site.stores, step))
                state = state.model_copy(update={"applied": (*state.applied, applied)})
                place.save(state)
    return [item for item in state.applied if item.step.feed == feed]


def settle_replica(site: Site, place: Workspace) -> BuildState:
    """Carry out what follows from all feeds, and take the tables' checksums.

    Settled once more after a kill, tables and noted changes stay as they are; only the counts are 0.

    Raises Refused when an extract of the plan was not applied.
    """
    state = place.state
    if len(state.applied) != len(state.plan.steps):
        raise Refused(
            f"Build {place.build_id} lacks {len(state.plan.steps) - len(state.applied)} extracts of its plan.",
            remedy="Materialise the replica assets of every feed in the same run.",
        )
    if state.settled is None:
        with place.database(site.settings) as connection:
            counts = settling.settle(connection)
            fold(connection, place.generation)
            keying.write_all(connection, place.generation)
            tables = table_states(connection, CONTENT)
        state = state.model_copy(update={"settled": counts, "tables": tables})
        place.save(state)
    return state


def _apply(connection: db.Connection, stores: Stores, step: Step) -> dict[str, int]:
    parts = parts_of(stores, step)
    if step.feed == CHANGE.feed:
        return apply_changes(connection, step, parts)
    return apply_extract(connection, RECORD_TABLES[step.feed], step, parts, quarantined_of(stores, step))


def _copy_base(base: Path, manifest: GenerationManifest, place: Workspace) -> None:
    """Copy the base's replica and compare its hash. What is taken over by hard link is the same file and keeps the hash
    that it was published with (``publish.py``), so damage to it cannot be carried on as if it were none."""
    expected = next(state.sha256 for state in manifest.files if state.path == REPLICA_NAME)
    if copy_checked(base / REPLICA_NAME, place.replica) != expected:
        raise GenerationError(
            f"The replica of {manifest.generation} was damaged on disk.",
            remedy="Roll back to an earlier generation, or build from nothing with ncrs build --full.",
        )


def _written(plan: BuildPlan, manifest: GenerationManifest | None) -> int:
    """Bytes that a build is going to write, by what the last generation took: without what is taken over by hard link."""
    if manifest is None:
        return 0
    shared = (SUFFIX,) if plan.fresh_index else (SUFFIX, INDEX_NAME)
    return sum(
        state.bytes
        for state in manifest.files
        if plan.base is None or not (state.path.endswith(shared[:1]) or state.path.startswith(shared[1:]))
    )
