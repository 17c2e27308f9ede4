"""Where generations come from: what ``Generations`` follows.

Belongs here: the interface of a source, the source of files, and which one the settings name. Does not
belong here: which generation is served (``generations.py``), the source of the cluster
(``cluster/source.py``), files as such (``generation_files.py``).
"""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from schemas.generation import (
    CURRENT_NAME,
    FREQUENCIES_NAME,
    GENERATION_MANIFEST_NAME,
    REPLICA_NAME,
    CurrentGeneration,
    GenerationManifest,
)
from search_api import generation_files as files
from search_api.cluster.addresses import check
from search_api.index.frequencies import Frequencies
from search_api.index.provider import IndexEngine
from search_api.opened import Generation, check_counts, check_engine, check_index_content, check_same_index
from search_api.replica import ReplicaReader
from search_api.settings import Settings
from search_api.weights_in_force import pinned


class Lease(Protocol):
    """Keeps a generation from retention while it is read."""

    def renew(self) -> None:
        """Say again that it is read; called at each look, so it must be cheap. Never raises."""
        ...

    def release(self) -> None:
        """Give it back; harmless when done twice. Never raises."""
        ...


class GenerationSource(Protocol):
    """A store of generations as a reader sees it.

    Every method raises GenerationError for what is missing or damaged, and PassingFault for a store
    that cannot be reached just now.
    """

    def marker(self) -> Hashable:
        """Something that changes whenever the marker does; cheap. None: there is no marker."""
        ...

    def current(self) -> CurrentGeneration | None:
        """The marker, or None when nothing was ever published."""
        ...

    def lease(self, name: str) -> Lease:
        """Keep a generation; taken before it is opened."""
        ...

    def open(self, name: str, manifest_sha256: str | None, *, verify: bool) -> Generation:
        """Open a generation after the quick checks; ``verify`` compares its whole content as well.

        Nothing stays open when it raises.
        """
        ...

    def confirm(self, generation: Generation) -> None:
        """An open generation is still the one that was published. Cheap."""
        ...

    def before(self, name: str) -> list[str]:
        """Lower-numbered generations, newest first."""
        ...

    def kept(self) -> dict[str, GenerationManifest | None]:
        """Every generation there is, by name; None where its manifest cannot be read."""
        ...


class FolderSource:
    """Generations as folders of this machine; the index may be elsewhere, as the engine has it."""

    def __init__(self, settings: Settings, engine: IndexEngine) -> None:
        self._folder = settings.generations_folder
        self._engine = engine
        self._memory_gb = settings.serve_memory_gb

    def marker(self) -> Hashable:
        """Inode, time and size of the marker's file."""
        try:
            status = (self._folder / CURRENT_NAME).stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def current(self) -> CurrentGeneration | None:
        """The marker's file."""
        return files.read_current(self._folder)

    def lease(self, name: str) -> Lease:
        """A shared lock."""
        return files.Lease(self._folder, name)

    def open(self, name: str, manifest_sha256: str | None, *, verify: bool) -> Generation:
        """Open a folder; ``verify`` compares the hash of every file."""
        folder = self._folder / name
        manifest = files.read_manifest(folder, manifest_sha256)
        if verify:
            files.check_hashes(folder, manifest)
        with ExitStack() as opened:
            generation = opened.enter_context(closing(open_generation(folder, self._engine, self._memory_gb)))
            if verify:
                check_index_content(generation)
            opened.pop_all()
            return generation

    def confirm(self, generation: Generation) -> None:
        """Open files stay what they are; an index in a cluster is asked for."""
        manifest = generation.manifest
        at = files.index_place(self._folder / manifest.generation, manifest)
        check_same_index(manifest, self._engine, at)

    def before(self, name: str) -> list[str]:
        """Folders with a lower number, those first that this one came from."""
        names = [path.name for path in files.folders(self._folder)]
        return files.earlier(names, name, lambda each: files.read_manifest(self._folder / each))

    def kept(self) -> dict[str, GenerationManifest | None]:
        """Folders with a manifest."""
        named = [path.parent for path in sorted(self._folder.glob(f"*/{GENERATION_MANIFEST_NAME}"))]
        return {folder.name: files.readable(partial(files.read_manifest, folder)) for folder in named}


def open_generation(folder: Path, engine: IndexEngine, memory_gb: float = 1.0) -> Generation:
    """Open a generation folder after the quick checks: versions, sizes, row and document counts.

    Raises GenerationError; nothing stays open then.
    """
    manifest = files.read_manifest(folder)
    files.check_sizes(folder, manifest)
    check_engine(manifest, engine)
    at = files.index_place(folder, manifest)
    check_same_index(manifest, engine, at)
    weights = pinned(manifest)
    frequencies = replace(Frequencies.load(folder / FREQUENCIES_NAME), rule=weights.frequency)
    with ExitStack() as opened:
        replica = opened.enter_context(ReplicaReader(folder / REPLICA_NAME, memory_gb))
        index = opened.enter_context(closing(engine.open(at)))
        generation = Generation(manifest, replica, index, frequencies, weights)
        check_counts(generation)
        opened.pop_all()
        return generation


def generation_source(settings: Settings, engine: IndexEngine) -> GenerationSource:
    """The source that the settings name. Raises ConfigurationError for records in a cluster that is not set up."""
    if settings.records == "duckdb":
        return FolderSource(settings, engine)
    check(settings)
    # Only who uses a cluster pays for its client: importing it takes a third of a second.
    from search_api.cluster.source import ClusterSource

    return ClusterSource(settings, engine)
