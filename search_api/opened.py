"""One generation, open: records, index and name frequencies that belong together.

Belongs here: the parts that a request is answered from, and the checks that they are those of the
manifest. Does not belong here: where they come from (``sources.py``), which one is served
(``generations.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from schemas.errors import GenerationError
from schemas.generation import GenerationManifest
from search_api.index.frequencies import Frequencies
from search_api.index.provider import IndexEngine, IndexPlace, IndexReader
from search_api.matching.weights import Weights, shipped
from search_api.records import RecordsReader


@dataclass(frozen=True)
class Generation:
    """One generation, open: replica and index belong together and never change. ``weights`` are those it pins."""

    manifest: GenerationManifest
    replica: RecordsReader
    index: IndexReader
    frequencies: Frequencies
    weights: Weights = field(default_factory=shipped)

    def close(self) -> None:
        """Close index and replica."""
        self.index.close()
        self.replica.close()


def check_engine(manifest: GenerationManifest, engine: IndexEngine) -> None:
    """The index was made by the engine that is set up. Raises GenerationError."""
    if manifest.index.engine != engine.name:
        raise GenerationError(
            f"Generation {manifest.generation} has an index of {manifest.index.engine}; {engine.name} is set up.",
            remedy="Set NCRS_INDEX as it was at the build, or build anew with ncrs build.",
        )


def check_counts(generation: Generation) -> None:
    """Rows and documents are as many as the manifest says. Raises GenerationError."""
    manifest = generation.manifest
    for table in manifest.tables:
        if generation.replica.count(table.table) != table.rows:
            raise GenerationError(f"Table {table.table} of {manifest.generation} has not the rows of the manifest.")
    if generation.index.count() != manifest.index.documents:
        raise GenerationError(f"The index of {manifest.generation} has not the documents of the manifest.")


def check_index_content(generation: Generation) -> None:
    """An index in a cluster has the checksum of the manifest; files are compared by their hashes."""
    manifest = generation.manifest
    if manifest.index.uuid and generation.index.checksum() != manifest.index.checksum:
        raise GenerationError(f"The index of {manifest.generation} has not the content of the manifest.")


def check_same_index(manifest: GenerationManifest, engine: IndexEngine, at: IndexPlace) -> None:
    """The index under this name is still the one that was published. Raises GenerationError."""
    if manifest.index.uuid:
        check_same(manifest.generation, "index", manifest.index.uuid, lambda: engine.uuid(at))


def check_same(generation: str, part: str, uuid: str, found: Callable[[], str]) -> None:
    """A part held in a cluster has the uuid of the manifest; none where it is gone. Raises GenerationError."""
    if found() != uuid:
        raise GenerationError(
            f"The {part} of {generation} is gone, or another one has its name.",
            remedy="Roll back to another generation with ncrs rollback --to, or build anew with ncrs build.",
        )
