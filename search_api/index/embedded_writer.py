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
from search_api.index import places
from search_api.index.columns import Columns
from search_api.index.crowding import batches
from search_api.index.documents import no_collection
from search_api.index.payloads import PayloadWriter, last_dictionary, next_number
from search_api.index.provider import SearchDocument
from search_api.index.schema import SCHEMA, WORDS, assembled
from search_api.index.words import LETTERS, words_of

_NUMBERS = ("nhs", "birth", "fingerprint", LETTERS)


class EmbeddedWriter:
    """Adds and deletes documents in one new folder; ``commit`` makes it complete and closes it.

    ``payloads``: where payloads go that are shared with other folders; without, a file in this one.
    """

    def __init__(self, location: Path, heap_bytes: int, threads: int, payloads: PayloadWriter | None = None) -> None:
        self._location = location
        self._index = tantivy.Index(SCHEMA, path=str(location))
        self._writer = self._index.writer(heap_size=heap_bytes, num_threads=threads)
        self._payloads = payloads or PayloadWriter(location, next_number(location), last_dictionary(location))

    def add(self, documents: Iterable[SearchDocument]) -> int:
        """Add documents; returns how many. A document already there must be deleted first."""
        count = 0
        with no_collection():
            for batch in batches(documents):
                self._add(batch)
                count += len(batch)
        return count

    def add_columns(self, made: Columns, texts: pl.Series) -> int:
        """The same of a slice and the words its people are found by; half the time, for no document is made."""
        people = _people((made.numbers, made.births, made.fingerprints, made.letters), texts)
        self._assemble(people, made.payloads.cast(pl.Binary).to_list())
        return people.height

    def _add(self, documents: Sequence[SearchDocument]) -> None:
        numbers = (
            [each.nhs_number for each in documents],
            [each.numbers["birth"] for each in documents],
            [each.fingerprint for each in documents],
            [each.letters for each in documents],
        )
        people = _people(numbers, [" ".join(words_of(each)) for each in documents])
        self._assemble(people, [each.payload for each in documents])

    def _assemble(self, people: pl.DataFrame, payloads: list[bytes]) -> None:
        add = self._writer.add_json
        for one in assembled(people, self._payloads.add(payloads)):
            add(one)

    def delete(self, nhs_numbers: Sequence[int]) -> None:
        """Delete the documents added before this call; numbers that are not there do no harm."""
        for number in nhs_numbers:
            self._writer.delete_documents_by_term("nhs", number)

    def commit(self) -> None:
        """Write everything, payloads first, wait for merges, and release the folder. The writer is then spent."""
        self._payloads.close()
        self.finish_segments()
        places.write(self._location)

    def finish_segments(self) -> None:
        """The same, but shared payloads are closed by whoever shares them."""
        self._writer.commit()
        self._writer.wait_merging_threads()


def _people(numbers: Sequence[pl.Series | list[int]], texts: pl.Series | list[str]) -> pl.DataFrame:
    """What the engine is told of documents, but for the places of their payloads. ``numbers``: columns as in ``_NUMBERS``."""
    told = dict(zip(_NUMBERS, numbers, strict=True))
    return pl.DataFrame({**told, WORDS: texts}, schema={**dict.fromkeys(_NUMBERS, pl.Int64), WORDS: pl.String})


def merge_segments(location: Path, heap_bytes: int) -> None:
    """Have the engine put the segments of a folder together: it does, all in one pass, where eight or more are of one
    size. Fewer stay as they are."""
    writer = tantivy.Index.open(str(location)).writer(heap_size=heap_bytes, num_threads=1)
    writer.commit()
    writer.wait_merging_threads()


def fresh_folder(location: Path) -> None:
    """Make the folder; raises PermanentFault when it exists and is not empty (paths are never reused)."""
    location.mkdir(parents=True, exist_ok=True)
    if any(location.iterdir()):
        raise PermanentFault(f"The folder {location.name} is not empty.", remedy="Use a new path; none is reused.")
