"""Writing one folder of the embedded index.

Belongs here: adding, deleting and committing documents. Does not belong here: which folder, branches
and readers (``embedded.py``), several processes (``parallel.py``).

A document goes three ways: its payload to a file of payloads, its keys and columns to a part (``parts.py``), its exact
terms and dates to tantivy. Nothing is deleted there: who was taken out is told once, for all, by the part's side.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import tantivy

from schemas.errors import PermanentFault
from search_api.index import parts, places
from search_api.index.columns import Columns
from search_api.index.crowding import batches
from search_api.index.documents import no_collection
from search_api.index.hashing import hashes
from search_api.index.keying import Worded
from search_api.index.keytable import Ordinals
from search_api.index.parts import Keyed, PartWriter
from search_api.index.payloads import PayloadWriter, last_dictionary, next_number
from search_api.index.people import Some
from search_api.index.provider import SearchDocument
from search_api.index.schema import SCHEMA, WORDS, assembled
from search_api.index.words import keys_and_terms


class Told(NamedTuple):
    """Documents as columns. ``texts``: of each the words it is found by in the engine, as one text."""

    some: Some
    births: Ordinals
    keyed: Keyed
    texts: pl.Series
    payloads: list[bytes]

    @classmethod
    def of_slice(cls, made: Columns, found: Worded) -> Told:
        """Of a slice; half the time, for no document is made."""
        numbers, letters = made.numbers.to_numpy(), made.letters.to_numpy()
        some = Some(numbers, letters, np.array(made.fingerprints, np.int64), made.is_open.to_numpy())
        keyed = Keyed(hashes(found.words), found.rows.to_numpy().astype(np.int64))
        return cls(some, made.births.to_numpy(), keyed, found.texts, made.payloads.cast(pl.Binary).to_list())

    @classmethod
    def of_documents(cls, documents: Sequence[SearchDocument]) -> Told:
        """Of documents that somebody made."""
        told = [keys_and_terms(each) for each in documents]
        rows = np.repeat(np.arange(len(told)), [len(keys) for keys, _ in told])
        words = pl.Series(values=[key for keys, _ in told for key in keys], dtype=pl.String)
        some = Some(
            np.array([each.nhs_number for each in documents], np.int64),
            np.array([each.letters for each in documents], np.int64),
            np.array([each.fingerprint for each in documents], np.int64),
            np.array([each.open for each in documents], bool),
        )
        births = np.array([each.numbers["birth"] for each in documents], np.int64)
        texts = pl.Series(values=[" ".join(terms) for _, terms in told], dtype=pl.String)
        return cls(some, births, Keyed(hashes(words), rows), texts, [each.payload for each in documents])


class Segments:
    """The engine's side of a folder: exact terms, dates, numbers to go by in order."""

    def __init__(self, location: Path, heap_bytes: int, threads: int) -> None:
        self._index = tantivy.Index(SCHEMA, path=str(location))
        self._writer = self._index.writer(heap_size=heap_bytes, num_threads=threads)

    def add(self, told: Told, at: range) -> None:
        """Add documents whose payloads are at these places."""
        columns = {"nhs": told.some.numbers, "birth": told.births, WORDS: told.texts}
        add = self._writer.add_json
        for one in assembled(pl.DataFrame(columns), at):
            add(one)

    def finish(self) -> None:
        """Write everything and wait for merges."""
        self._writer.commit()
        self._writer.wait_merging_threads()


class EmbeddedWriter:
    """Adds and deletes documents in one new folder; ``commit`` makes it complete and closes it."""

    def __init__(self, location: Path, heap_bytes: int, threads: int) -> None:
        self._location = location
        self._segments = Segments(location, heap_bytes, threads)
        self._base = parts.Parts(location)
        self._payloads = PayloadWriter(location, next_number(location), last_dictionary(location))
        self._part = PartWriter(location, parts.next_number(location))
        self._gone = [self._base.gone]
        # Numbers and places of what was added here, for it may be deleted as well.
        self._added: list[tuple[Ordinals, Ordinals]] = []

    def add(self, documents: Iterable[SearchDocument]) -> int:
        """Add documents; returns how many. A document already there must be deleted first."""
        count = 0
        with no_collection():
            for batch in batches(documents):
                self._add(Told.of_documents(batch))
                count += len(batch)
        return count

    def _add(self, told: Told) -> None:
        at = self._payloads.add(told.payloads)
        self._part.add(told.some, told.keyed, at)
        self._segments.add(told, at)
        self._added.append((told.some.numbers, np.arange(at.start, at.stop)))

    def delete(self, nhs_numbers: Sequence[int]) -> None:
        """Delete the documents added before this call; numbers that are not there do no harm."""
        asked = np.array(nhs_numbers, np.int64)
        self._gone.append(self._base.places_of(nhs_numbers))
        self._gone += [at[np.isin(numbers, asked)] for numbers, at in self._added]

    def commit(self) -> None:
        """Write everything, payloads first, wait for merges, and release the folder. The writer is then spent."""
        self._payloads.close()
        self._part.finish()
        parts.write_gone(self._location, np.concatenate(self._gone))
        parts.put_together(self._location)
        self._segments.finish()
        places.write(self._location)


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
