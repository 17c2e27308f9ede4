"""Building and publishing, as one act or step by step, with its record.

Belongs here: the order of the steps, the lock around each, events, what a failure leaves. Does not
belong here: the steps themselves, the orchestrator's face (``factory.py`` of each stage).

``build_and_publish`` holds the builder's lock throughout. The orchestrator calls the same steps one
by one, each under the lock.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from types import TracebackType
from typing import Literal

from assets.files import remove_folder
from assets.index.build import IndexSite, build_index
from assets.index.reconcile import reconcile, require_equal
from assets.published.elsewhere import Elsewhere, elsewhere
from assets.published.mirror import Mirror
from assets.published.publish import publish, record_current, remove_unpublished
from assets.published.retention import retire
from assets.replica.build import Site, apply_feed, begin, settle_replica
from assets.replica.plan import BuildPlan, Versions
from assets.replica.workspace import Workspace, build_lock, workspace
from assets.stores import Stores
from schemas.errors import GenerationError, NcrsError, PassingFault
from schemas.feeds import FEEDS
from schemas.generation import GENERATION_SCHEMA_VERSION, GenerationManifest
from search_api import generation_files as files
from search_api.cluster.addresses import check
from search_api.index.engines import index_engine
from search_api.index.provider import IndexEngine
from search_api.ops.generation_events import GenerationEvents
from search_api.ops.ledger import Ledger
from search_api.settings import Settings
from search_api.weights_in_force import in_force


@dataclass(frozen=True)
class Builder:
    """Everything a build needs. ``actor`` is who or what asked for it, for the record.

    ``cluster`` and ``mirror``: what generations have in a cluster, and the catalogue there, if any.
    """

    site: Site
    index: IndexSite
    events: GenerationEvents
    actor: str
    cluster: Elsewhere | None = None
    mirror: Mirror | None = None

    @property
    def stores(self) -> Stores:
        """The folders."""
        return self.site.stores


@dataclass(frozen=True)
class Outcome:
    """What a build came to. ``manifest`` None: there was nothing to do, ``plan.reason`` says why.

    ``lag``: why the marker in the cluster could not follow; empty when it did, or there is none.
    """

    plan: BuildPlan
    manifest: GenerationManifest | None
    removed: tuple[str, ...] = ()
    lag: str = ""


def builder(
    stores: Stores, ledger: Ledger, settings: Settings, actor: str, engine: IndexEngine | None = None
) -> Builder:
    """A builder for these stores, with the engine that the settings name. Raises ConfigurationError."""
    check(settings)
    chosen = engine or index_engine(settings)
    cluster, mirror = elsewhere(settings, chosen)
    missing = cluster.missing if cluster else _nothing
    return Builder(
        site=Site(stores, ledger, settings, versions(settings, chosen), missing),
        index=IndexSite(settings, chosen, stores, cluster.records if cluster and mirror else None),
        events=GenerationEvents(ledger.engine),
        actor=actor,
        cluster=cluster,
        mirror=mirror,
    )


def _nothing(_manifest: GenerationManifest) -> frozenset[str]:
    """Files are checked by their sizes and hashes."""
    return frozenset()


def versions(settings: Settings, engine: IndexEngine) -> Versions:
    """What this code writes into a manifest; another weights version means a new index."""
    shown = "+very-restricted" if settings.show_very_restricted else ""
    weights = in_force(settings)
    return Versions(
        schema_version=GENERATION_SCHEMA_VERSION,
        code_version=_code_version(),
        weights_version=weights.version + shown,
        weights=weights,
        engine=engine.name,
        records=settings.records == "opensearch",
    )


def build_and_publish(made: Builder, build_id: str, reason: str, *, anew: bool = False) -> Outcome:
    """Plan, build, reconcile and publish the next generation; nothing to do is an answer.

    A failure is recorded and raised; what is published stays as it is. Raises Refused (another build
    at work, disk space), ReconcileError, GenerationError, PermanentFault.
    """
    place = workspace(made.stores, build_id)
    with build_lock(made.stores), FailureRecord(made, place):
        begin_build(made, build_id, anew=anew)
        if not place.state.plan.work:
            return finish_without_work(made, place)
        for feed in FEEDS:
            apply_feed(made.site, place, feed)
        settle_replica(made.site, place)
        build_index(made.index, place)
        require_equal(reconcile(made.index, place))
        return publish_build(made, place, reason)


def begin_build(made: Builder, build_id: str, *, anew: bool = False) -> Workspace:
    """Plan and make the place, then remove what killed builds and publications left, here and in the
    cluster, and make up for what they left undone. The caller holds the lock.

    Raises ClusterUnavailable, Refused (disk space; the prefix is another installation's).
    """
    if made.mirror is not None:
        made.mirror.claim()
    place = begin(made.site, build_id, anew=anew)
    remove_unpublished(made.stores)
    _make_up_record(made)
    if made.mirror is not None:
        made.mirror.try_to_follow(made.stores)
    if made.cluster is not None:
        made.cluster.clear(made.stores)
    return place


def publish_build(made: Builder, place: Workspace, reason: str) -> Outcome:
    """Publish a reconciled build, record it, let old generations go. The caller holds the lock."""
    plan = place.state.plan
    detail = f"{len(plan.steps)} extracts, {place.state.documents_changed} documents written"
    manifest = publish(made.stores, place, reason, made.mirror.announce if made.mirror else None)
    made.events.record("built", manifest.generation, actor=made.actor, reason=plan.reason, detail=detail)
    made.events.record("published", manifest.generation, actor=made.actor, reason=reason)
    lag = made.mirror.try_to_follow(made.stores) if made.mirror else ""
    return Outcome(plan, manifest, _clear_away(made, place), lag)


def finish_without_work(made: Builder, place: Workspace) -> Outcome:
    """End a build that has nothing to do; what a killed publication left undone is done here."""
    plan = place.state.plan
    return Outcome(plan, None, _clear_away(made, place))


def _clear_away(made: Builder, place: Workspace) -> tuple[str, ...]:
    """Remove the place of the build, and generations beyond those to keep."""
    remove_folder(place.folder)
    removed = retire(made.stores, made.site.settings.retention, made.cluster)
    with suppress(GenerationError):  # of one that cannot be read nobody knows what it was made with
        kept = [files.read_manifest(folder).feeds for folder in files.folders(made.stores.generations)]
        made.site.ledger.withdrawals.forget(kept)
    for name in removed:
        made.events.record("deleted", name, actor=made.actor, reason=f"{made.site.settings.retention} are kept")
    return tuple(removed)


class FailureRecord:
    """``with`` block: an exception is recorded as a failed build, by code or type, and goes on."""

    def __init__(self, made: Builder, place: Workspace) -> None:
        self._made = made
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        if isinstance(error, Exception):
            code = error.code if isinstance(error, NcrsError) else type(error).__name__
            # Our own sentences hold no value of a row; those of libraries may.
            said = f": {error.message}" if isinstance(error, NcrsError) else ""
            detail = f"build {self._place.build_id}{said}"
            self._made.events.record("failed", "", actor=self._made.actor, reason=code, detail=detail)
            if not isinstance(error, PassingFault):
                self._count()
        return False

    def _count(self) -> None:
        """A build that failed more than once is not gone on with; where not even this can be kept, it is."""
        with suppress(NcrsError, OSError):
            state = self._place.state
            self._place.save(state.model_copy(update={"failures": state.failures + 1}))


def _make_up_record(made: Builder) -> None:
    """A kill right after the marker changed left no record of it."""
    current = record_current(made.stores)
    if current is None:
        return
    if not any(event.event in ("published", "rolled back", "recovered") for event in made.events.of(current)):
        made.events.record("recovered", current, actor=made.actor, reason="current without a record of publication")


def _code_version() -> str:
    try:
        return metadata.version("ncrs-replica")
    except metadata.PackageNotFoundError:
        return "source"
