"""What the generations of this home have in a cluster: looked for, removed with them, cleared of left-overs.

Belongs here: which indexes and catalogue entries belong to a generation that is kept or being built,
and the removal of the others. Does not belong here: which generations are kept (``retention.py``), the
requests (``search_api``).

Only what says of itself that this installation made it is ever removed, and nothing that a kept
manifest or a build under way names. In doubt (a manifest that cannot be read, a cluster that cannot be
asked) nothing is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from assets.index.build import index_place
from assets.index.records import records_place
from assets.published.mirror import Mirror
from assets.replica.adoption import leftovers
from assets.replica.plan import INDEX, RECORDS
from assets.replica.workspace import BuildState, Workspace
from assets.stores import Stores
from schemas.errors import GenerationError, NcrsError, Refused
from schemas.generation import GenerationManifest
from search_api import generation_files as files
from search_api.cluster import leases
from search_api.cluster.answers import reason_of, unavailable
from search_api.cluster.installation import installation_of
from search_api.cluster.records_writer import RecordsStore
from search_api.cluster.shared import cluster_of
from search_api.index.opensearch_form import Meta
from search_api.index.provider import IndexEngine, IndexPlace
from search_api.settings import Settings

_SECONDS = 10.0


class Elsewhere:
    """The cluster as the builder of one home sees it. Raises ClusterUnavailable when it cannot be asked."""

    def __init__(self, settings: Settings, engine: IndexEngine, mirror: Mirror | None) -> None:
        self._settings = settings
        self._engine = engine
        self._cluster = cluster_of(settings)
        self._mirror = mirror
        self.records = RecordsStore(self._cluster, settings)

    def missing(self, manifest: GenerationManifest) -> frozenset[str]:
        """What the cluster no longer has of a generation, or not fit for use."""
        place = files.index_place(self._folder(manifest), manifest)
        found = set()
        if manifest.index.engine == self._engine.name and not self._opens(place):
            found.add(INDEX)
        if manifest.records is not None and not self._holds_records(manifest):
            found.add(RECORDS)
        return frozenset(found)

    def verify_records(self, manifest: GenerationManifest) -> str:
        """Records of a generation as published: what was compared.

        Raises GenerationError when they differ, are gone, or are not there although nodes are to read them.
        """
        if manifest.records is not None:
            self.records.verify(manifest.records)
            return f"{manifest.records.documents} records in the cluster"
        if self._mirror is not None:
            raise GenerationError(
                f"{manifest.generation} has no records in the cluster, which is where NCRS_RECORDS has them read."
            )
        return "in the generation's own file"

    def may_go(self, generation: str) -> bool:
        """Whether no node reads this generation from the cluster, as far as is known."""
        if self._mirror is not None:
            shown = self._mirror.catalogue.current()
            if shown is not None and shown.generation == generation:
                return False
        index = leases.leases_index(self._cluster, self._settings)
        return index.meta() is None or not leases.in_use(self._cluster, self._settings, generation)

    def remove(self, manifest: GenerationManifest) -> None:
        """Remove what one generation has; again is harmless. First what leads to it, then what it is."""
        folder = self._folder(manifest)
        if self._mirror is not None:
            self._mirror.catalogue.forget(manifest.generation)
        if manifest.index.engine == self._engine.name:
            self._engine.remove(files.index_place(folder, manifest))
        if manifest.records is not None:
            self.records.remove(IndexPlace(folder, manifest.records.location, manifest.records.uuid))

    def left(self, stores: Stores) -> list[str]:
        """Indexes of this installation that no generation and no build names; none when that is in doubt."""
        try:
            named = set(self._named(stores))
        except NcrsError:
            return []
        home = installation_of(self._settings.home)
        return sorted(name for name, meta in self._indexes() if meta.home == home and name not in named)

    def clear(self, stores: Stores) -> list[str]:
        """Remove what ``left`` finds, and catalogue entries without a generation; the names of the indexes.

        One that is held fast (a snapshot of it is being taken) stays for the next time.
        """
        doomed = [name for name in self.left(stores) if self._goes(name)]
        if self._mirror is not None:
            self._forget_unknown(stores, self._mirror)
        return doomed

    def _goes(self, name: str) -> bool:
        try:
            # An engine's place of this name, whichever kind of index it is; there is no folder to it.
            self._engine.remove(IndexPlace(self._settings.home / "building" / "none", name))
        except NcrsError:
            return False
        return True

    def _forget_unknown(self, stores: Stores, mirror: Mirror) -> None:
        present = {path.name for path in files.folders(stores.generations)}
        for name in mirror.catalogue.names():
            if name not in present and self.may_go(name):
                mirror.catalogue.forget(name)

    def _named(self, stores: Stores) -> Iterator[str]:
        """Every index that a generation or a build names. Raises NcrsError for one that cannot be read."""
        for folder in files.folders(stores.generations):
            yield from _locations(files.read_manifest(folder))
        for manifest in self._read_by_nodes(stores):
            yield from _locations(manifest)
        for path in leftovers(stores):
            place = Workspace(path)
            if place.begun and place.state.tables:
                yield from self._under_way(place, place.state)

    def _read_by_nodes(self, stores: Stores) -> Iterator[GenerationManifest]:
        """Generations whose folder is gone, by whatever hand, while a node still reads them."""
        if self._mirror is None:
            return
        present = {path.name for path in files.folders(stores.generations)}
        for name in self._mirror.catalogue.names():
            if name not in present and not self.may_go(name):
                yield self._mirror.catalogue.manifest(name)

    def _under_way(self, place: Workspace, state: BuildState) -> Iterator[str]:
        yield index_place(self._engine, place).location
        yield state.records.location if state.records else records_place(self.records, place).location

    def _indexes(self) -> Iterator[tuple[str, Meta]]:
        """Indexes of this product under our prefix, whoever made them, with what they say of themselves."""
        prefix = self._settings.opensearch_prefix
        params = {"expand_wildcards": "all", "allow_no_indices": "true", "ignore_unavailable": "true"}
        path = f"/{prefix}patients-*,{prefix}records-*/_mapping"
        answer = self._cluster.call("GET", path, params=params, budget=_SECONDS)
        if answer.status != 200:
            raise unavailable(reason_of(answer))
        for name, said in answer.body.items():
            meta = Meta.read(said["mappings"].get("_meta"))
            if meta is not None:
                yield name, meta

    def _opens(self, at: IndexPlace) -> bool:
        try:
            with closing(self._engine.open(at)):
                return True
        except (GenerationError, Refused):
            return False

    def _holds_records(self, manifest: GenerationManifest) -> bool:
        try:
            return manifest.records is not None and self.records.open(manifest.records) is not None
        except (GenerationError, Refused):
            return False

    def _folder(self, manifest: GenerationManifest) -> Path:
        return self._settings.generations_folder / manifest.generation


def elsewhere(settings: Settings, engine: IndexEngine) -> tuple[Elsewhere | None, Mirror | None]:
    """The cluster that the settings name, and the catalogue in it; None for what they name none of."""
    if settings.index == "embedded":
        return None, None
    mirror = Mirror(settings) if settings.records == "opensearch" else None
    return Elsewhere(settings, engine, mirror), mirror


def _locations(manifest: GenerationManifest) -> Iterator[str]:
    yield manifest.index.location
    if manifest.records is not None:
        yield manifest.records.location
