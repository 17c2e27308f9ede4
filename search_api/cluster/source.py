"""Generations from the cluster alone: marker, manifest, frequencies, records and index.

Belongs here: the source of nodes that have no file of a generation. Does not belong here: the source of
files and the choice between them (``search_api/sources.py``), which generation is served.
"""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import uuid4

from schemas.errors import GenerationError, PassingFault
from schemas.generation import CurrentGeneration, GenerationManifest, RecordsState
from search_api import generation_files as files
from search_api.cluster.catalogue import Catalogue
from search_api.cluster.leases import ClusterLease
from search_api.cluster.records import ClusterRecords, check_records, open_records
from search_api.cluster.shared import cluster_of
from search_api.index.frequencies import Frequencies
from search_api.index.provider import IndexEngine, IndexPlace
from search_api.opened import Generation, check_counts, check_engine, check_index_content, check_same_index
from search_api.settings import Settings
from search_api.weights_in_force import pinned


class ClusterSource:
    """Generations as the catalogue of the cluster lists them."""

    def __init__(self, settings: Settings, engine: IndexEngine) -> None:
        self._settings = settings
        self._engine = engine
        self._cluster = cluster_of(settings)
        self._catalogue = Catalogue(self._cluster, settings)
        self._node = uuid4().hex
        self._newest: datetime | None = None

    def marker(self) -> Hashable:
        """Version and content of the marker's document."""
        return self._catalogue.marker()

    def current(self) -> CurrentGeneration | None:
        """The marker's document, never one that is older than the last.

        A node that is cut off from the others goes on telling what it knew, and what was published, restricted or
        corrected since must not be taken back. A roll-back is a new marker. Raises PassingFault.
        """
        found = self._catalogue.current()
        if found is not None and self._newest is not None and found.published_at < self._newest:
            raise PassingFault(
                "A node of the cluster names an older publication than the one that is served.",
                remedy="Is it cut off from the others? If the catalogue was restored from a snapshot, restart the API.",
            )
        self._newest = found.published_at if found is not None else self._newest
        return found

    def lease(self, name: str) -> ClusterLease:
        """A document that says what this node reads."""
        return ClusterLease(self._cluster, self._settings, self._node, name)

    def open(self, name: str, manifest_sha256: str | None, *, verify: bool) -> Generation:
        """Open index and records; ``verify`` compares their checksums, added up anew by the cluster."""
        manifest = self._catalogue.manifest(name, manifest_sha256)
        check_engine(manifest, self._engine)
        at = self._place(manifest)
        check_same_index(manifest, self._engine, at)
        state = records_of(manifest)
        weights = pinned(manifest)
        frequencies = replace(Frequencies.load(self._catalogue.frequencies(manifest)), rule=weights.frequency)
        with ExitStack() as opened:
            records = opened.enter_context(closing(open_records(self._cluster, self._settings, state)))
            index = opened.enter_context(closing(self._engine.open(at)))
            generation = Generation(manifest, records, index, frequencies, weights)
            check_counts(generation)
            if verify:
                check_index_content(generation)
                check_records(records, state)
            opened.pop_all()
            return generation

    def confirm(self, generation: Generation) -> None:
        """Index and records are still those of the manifest."""
        check_same_index(generation.manifest, self._engine, self._place(generation.manifest))
        if isinstance(generation.replica, ClusterRecords):
            generation.replica.confirm()

    def before(self, name: str) -> list[str]:
        """Generations of the catalogue with a lower number, those first that this one came from."""
        return files.earlier(self._catalogue.names(), name, self._catalogue.manifest)

    def kept(self) -> dict[str, GenerationManifest | None]:
        """Generations of the catalogue."""
        return {name: files.readable(partial(self._catalogue.manifest, name)) for name in self._catalogue.names()}

    def _place(self, manifest: GenerationManifest) -> IndexPlace:
        return files.index_place(self._settings.generations_folder / manifest.generation, manifest)


def records_of(manifest: GenerationManifest) -> RecordsState:
    """Where the records of a generation are in the cluster. Raises GenerationError when they are not."""
    if manifest.records is None:
        raise GenerationError(
            f"Generation {manifest.generation} has no records in the cluster.",
            remedy="Build anew with NCRS_RECORDS=opensearch set for the builder as well, or read them with duckdb.",
        )
    return manifest.records
