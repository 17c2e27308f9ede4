"""The embedded search index, a folder a generation: keys in parts (``parts.py``), exact terms and dates in tantivy, payloads
(``payloads.py``). The reference engine.

Belongs here: folders, which become writers and readers. Does not belong here: which keys are asked
(``matching/blocking.py``), who answers a filter (``matching/filtering.py``).

A published folder is never changed: a branch hard-links its files and copies the small json files, so that writing
goes to new files only (architecture.md section 5).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import tantivy

from schemas.errors import GenerationError
from schemas.generation import INDEX_NAME
from search_api.index.crowding import Watch
from search_api.index.embedded_reader import EmbeddedReader
from search_api.index.embedded_writer import EmbeddedWriter, fresh_folder
from search_api.index.frequencies import Frequencies
from search_api.index.parallel import ParallelWriter, PartJob
from search_api.index.payloads import Payloads
from search_api.index.provider import IndexPlace
from search_api.index.schema import SCHEMA
from search_api.matching.rules import PdsRules
from search_api.matching.rules import shipped as shipped_rules

HEAP_BYTES = 400_000_000
# In each process that builds an index of everybody: a run of documents is to fit (``parallel.py``).
RUN_HEAP_BYTES = 600_000_000
THREADS = 2


class EmbeddedEngine:
    """Makes writers and readers of folders."""

    name = "embedded"

    def __init__(self, rules: PdsRules | None = None, *, heap_bytes: int = HEAP_BYTES, threads: int = THREADS) -> None:
        self._rules = rules or shipped_rules()
        self._heap_bytes = heap_bytes
        self._threads = threads

    def new_location(self, build: str) -> str:  # noqa: ARG002 - each generation has a folder of its own
        """The folder of the index inside its generation."""
        return INDEX_NAME

    def create(self, at: IndexPlace) -> EmbeddedWriter:
        """A writer on a new, empty folder.

        Raises:
            PermanentFault: the folder exists and is not empty (paths are never reused).
        """
        location = folder_of(at)
        fresh_folder(location)
        return EmbeddedWriter(location, self._heap_bytes, self._threads)

    def bulk(
        self,
        at: IndexPlace,
        frequencies: Frequencies,
        *,
        show_very_restricted: bool = False,
        processes: int = THREADS,
        floor: int = 0,
    ) -> ParallelWriter:
        """A writer of whole frames into a new, empty folder that uses several processes (full builds).
        Keys are watched that may have ``floor`` documents; 0 watches none.

        Raises:
            PermanentFault: the folder exists and is not empty.
        """
        location = folder_of(at)
        fresh_folder(location)
        job = PartJob(location, frequencies, show_very_restricted, RUN_HEAP_BYTES, watch=Watch(floor))
        return ParallelWriter(location, job, processes)

    def branch(self, base: IndexPlace, at: IndexPlace) -> EmbeddedWriter:
        """A writer on a copy of a published folder; the base keeps every byte.

        Raises:
            GenerationError: the base is not an index. PermanentFault: the new folder is not empty.
        """
        source, location = folder_of(base), folder_of(at)
        if not (source / "meta.json").exists():
            raise GenerationError(f"{source.name} is not a search index.", remedy="Build the generation in full.")
        _same_schema(tantivy.Index.open(str(source)), source)
        fresh_folder(location)
        for file in source.iterdir():
            _link_or_copy(file, location / file.name)
        return EmbeddedWriter(location, self._heap_bytes, self._threads)

    def open(self, at: IndexPlace) -> EmbeddedReader:
        """A reader on a finished folder.

        Raises:
            GenerationError: the folder is missing, incomplete or of another schema.
        """
        location = folder_of(at)
        try:
            index = tantivy.Index.open(str(location))
        except ValueError as error:
            raise GenerationError(
                f"The search index {location.name} cannot be opened.", remedy="Verify the generation, or roll back."
            ) from error
        _same_schema(index, location)
        return EmbeddedReader(index, self._rules, Payloads(location), location)

    def uuid(self, at: IndexPlace) -> str:  # noqa: ARG002 - a folder is told apart by its files' hashes
        """Nothing: the manifest holds the hash of every file."""
        return ""

    def remove(self, at: IndexPlace) -> None:
        """Nothing: the folder goes with its generation."""


def folder_of(at: IndexPlace) -> Path:
    """The folder that holds the index."""
    return at.folder / at.location


def _same_schema(index: tantivy.Index, location: Path) -> None:
    """Another release may have had other fields; asking for one that is not there stops the engine (tantivy 0.27)."""
    if index.schema != SCHEMA:
        raise GenerationError(
            f"The search index {location.name} was built by a release with other fields.",
            remedy="Build the generation in full with this release.",
        )


def _link_or_copy(file: Path, target: Path) -> None:
    """Files never change, so a link is enough, but for json files; lock files stay behind."""
    if file.name.endswith(".lock"):
        return
    if file.suffix == ".json":
        shutil.copy2(file, target)
        return
    try:
        os.link(file, target)
    except OSError:
        shutil.copy2(file, target)
