"""The embedded search index: tantivy in the process, a folder a generation. The reference engine.

Belongs here: folders, writers, readers, and tantivy's query objects. Does not belong here: which
keys are asked (``matching/blocking.py``), who answers a filter (``matching/filtering.py``).

A published folder is never changed: a branch hard-links its segment files and copies the small
json files, so that writing goes to new files only (architecture.md section 5).
"""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tantivy

from schemas.errors import GenerationError, PermanentFault
from search_api.index.embedded_reader import EmbeddedReader
from search_api.index.frequencies import Frequencies
from search_api.index.parallel import ParallelWriter, PartJob
from search_api.index.provider import SearchDocument
from search_api.index.schema import SCHEMA, to_tantivy
from search_api.matching.rules import PdsRules
from search_api.matching.rules import shipped as shipped_rules

HEAP_BYTES = 400_000_000
THREADS = 2


class EmbeddedWriter:
    """Adds and deletes documents in one new folder; ``commit`` makes it complete and closes it."""

    def __init__(self, location: Path, heap_bytes: int, threads: int) -> None:
        self._index = tantivy.Index(SCHEMA, path=str(location))
        self._writer = self._index.writer(heap_size=heap_bytes, num_threads=threads)

    def add(self, documents: Iterable[SearchDocument]) -> int:
        """Add documents; returns how many. A document already there must be deleted first."""
        add = self._writer.add_document
        count = 0
        with _no_collection():
            for document in documents:
                add(to_tantivy(document))
                count += 1
        return count

    def delete(self, nhs_numbers: Sequence[int]) -> None:
        """Delete the documents added before this call; numbers that are not there do no harm."""
        for number in nhs_numbers:
            self._writer.delete_documents_by_term("nhs", number)

    def commit(self) -> None:
        """Write everything, wait for merges, and release the folder. The writer is then spent."""
        self._writer.commit()
        self._writer.wait_merging_threads()


class EmbeddedEngine:
    """Makes writers and readers of tantivy folders."""

    name = "embedded"

    def __init__(self, rules: PdsRules | None = None, *, heap_bytes: int = HEAP_BYTES, threads: int = THREADS) -> None:
        self._rules = rules or shipped_rules()
        self._heap_bytes = heap_bytes
        self._threads = threads

    def create(self, location: Path) -> EmbeddedWriter:
        """A writer on a new, empty folder.

        Raises:
            PermanentFault: the folder exists and is not empty (paths are never reused).
        """
        _fresh(location)
        return EmbeddedWriter(location, self._heap_bytes, self._threads)

    def bulk(
        self, location: Path, frequencies: Frequencies, *, show_very_restricted: bool = False, processes: int = THREADS
    ) -> ParallelWriter:
        """A writer of whole frames into a new, empty folder that uses several processes (full builds).

        Raises:
            PermanentFault: the folder exists and is not empty.
        """
        _fresh(location)
        job = PartJob(location, frequencies, show_very_restricted, self._heap_bytes // max(processes, 1))
        return ParallelWriter(location, job, processes)

    def branch(self, base: Path, location: Path) -> EmbeddedWriter:
        """A writer on a copy of a published folder; the base keeps every byte.

        Raises:
            GenerationError: the base is not an index. PermanentFault: the new folder is not empty.
        """
        if not (base / "meta.json").exists():
            raise GenerationError(f"{base.name} is not a search index.", remedy="Build the generation in full.")
        _same_schema(tantivy.Index.open(str(base)), base)
        _fresh(location)
        for file in base.iterdir():
            _link_or_copy(file, location / file.name)
        return EmbeddedWriter(location, self._heap_bytes, self._threads)

    def open(self, location: Path) -> EmbeddedReader:
        """A reader on a finished folder.

        Raises:
            GenerationError: the folder is missing, incomplete or of another schema.
        """
        try:
            index = tantivy.Index.open(str(location))
        except ValueError as error:
            raise GenerationError(
                f"The search index {location.name} cannot be opened.", remedy="Verify the generation, or roll back."
            ) from error
        _same_schema(index, location)
        return EmbeddedReader(index, self._rules)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Documents hold no cycles: looking for some costs a quarter of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _same_schema(index: tantivy.Index, location: Path) -> None:
    """Another release may have had other fields; asking for one that is not there stops the engine (tantivy 0.27)."""
    if index.schema != SCHEMA:
        raise GenerationError(
            f"The search index {location.name} was built by a release with other fields.",
            remedy="Build the generation in full with this release.",
        )


def _fresh(location: Path) -> None:
    location.mkdir(parents=True, exist_ok=True)
    if any(location.iterdir()):
        raise PermanentFault(f"The folder {location.name} is not empty.", remedy="Use a new path; none is reused.")


def _link_or_copy(file: Path, target: Path) -> None:
    """Segment files never change, so a link is enough; json files do; lock files stay behind."""
    if file.name.endswith(".lock"):
        return
    if file.suffix == ".json":
        shutil.copy2(file, target)
        return
    try:
        os.link(file, target)
    except OSError:
        shutil.copy2(file, target)
