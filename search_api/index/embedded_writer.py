"""Writing one folder of the embedded index.

Belongs here: adding, deleting and committing documents. Does not belong here: which folder, branches
and readers (``embedded.py``), several processes (``parallel.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl
import tantivy

from schemas.errors import PermanentFault
from search_api.index.columns import Columns
from search_api.index.documents import no_collection
from search_api.index.keying import words
from search_api.index.provider import SearchDocument
from search_api.index.schema import SCHEMA, assembled, to_tantivy


class EmbeddedWriter:
    """Adds and deletes documents in one new folder; ``commit`` makes it complete and closes it."""

    def __init__(self, location: Path, heap_bytes: int, threads: int) -> None:
        self._index = tantivy.Index(SCHEMA, path=str(location))
        self._writer = self._index.writer(heap_size=heap_bytes, num_threads=threads)

    def add(self, documents: Iterable[SearchDocument]) -> int:
        """Add documents; returns how many. A document already there must be deleted first."""
        add = self._writer.add_document
        count = 0
        with no_collection():
            for document in documents:
                add(to_tantivy(document))
                count += 1
        return count

    def add_columns(self, made: Columns, keyed: pl.Series) -> int:
        """The same of a slice and its keys; half the time, for no document is made but the engine's own."""
        parts = (made.numbers, made.births, words(made, keyed), made.payloads.cast(pl.Binary))
        numbers, births, texts, payloads = (part.to_list() for part in parts)
        add = self._writer.add_document
        with no_collection():
            for one in map(assembled, numbers, births, made.fingerprints, texts, payloads):
                add(one)
        return len(numbers)

    def delete(self, nhs_numbers: Sequence[int]) -> None:
        """Delete the documents added before this call; numbers that are not there do no harm."""
        for number in nhs_numbers:
            self._writer.delete_documents_by_term("nhs", number)

    def commit(self) -> None:
        """Write everything, wait for merges, and release the folder. The writer is then spent."""
        self._writer.commit()
        self._writer.wait_merging_threads()


def fresh_folder(location: Path) -> None:
    """Make the folder; raises PermanentFault when it exists and is not empty (paths are never reused)."""
    location.mkdir(parents=True, exist_ok=True)
    if any(location.iterdir()):
        raise PermanentFault(f"The folder {location.name} is not empty.", remedy="Use a new path; none is reused.")
