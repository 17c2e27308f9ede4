"""The interface of a search index: the only thing the matcher knows of an engine.

Belongs here: protocols and the values that cross them. Does not belong here: tantivy, OpenSearch.
The embedded engine is the reference; another engine must give the same candidates and order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from search_api.matching.lettering import UNKNOWN
from search_api.matching.questions import Question
from search_api.matching.rarity import WeighedKey

if TYPE_CHECKING:
    from search_api.index.frequencies import Frequencies
    from search_api.index.pieces import People


class SearchDocument(NamedTuple):
    """One patient as both engines index them.

    ``keys``: composite blocking keys. ``terms``: field name to exact terms, for non-fuzzy search
    (the names are in ``documents.py``). ``numbers``: field name to integer, for ranges and
    sorting. ``payload``: what the scorer needs, packed (``documents.py`` packs and unpacks).
    ``open``: False for restricted patients, of whom no location term or key is present. ``letters``: of their names
    (``matching/lettering.py``).
    """

    nhs_number: int
    open: bool
    keys: tuple[str, ...]
    terms: dict[str, tuple[str, ...]]
    numbers: dict[str, int]
    payload: bytes
    fingerprint: int
    letters: int = UNKNOWN


@dataclass(frozen=True)
class CandidateSet:
    """Payloads of the candidates with their numbers, in a steady order.

    An engine may fetch a payload only when it is read. ``worths``: what the keys of each are worth in parts of a bit
    (``matching/promise.py``); ``letters``: of the names of each. Both are empty where they were not found by keys.
    """

    numbers: tuple[int, ...]
    payloads: Sequence[bytes]
    truncated: bool
    counters: dict[str, int]
    worths: tuple[int, ...] = ()
    letters: tuple[int, ...] = ()


NOBODY = CandidateSet((), (), False, {"candidates": 0})
TOO_MANY = CandidateSet((), (), True, {"candidates": 0})


@dataclass(frozen=True)
class KeyQuery:
    """Composite keys to be ORed; ``open_only`` adds the restricted rule inside the query. ``all_or_none``: where there are more
    than the limit, no one is wanted, only that it is so. ``beside``: keys that find nobody by themselves, and count for
    whoever is found.

    Each engine gives the first ``limit`` documents by descending sum of the rarities of the keys they
    have, then ascending NHS number, exactly: ties at the limit are resolved, not cut anywhere.
    """

    keys: Sequence[WeighedKey]
    open_only: bool
    limit: int
    all_or_none: bool = False
    beside: Sequence[WeighedKey] = ()


@dataclass(frozen=True)
class IndexPlace:
    """Where one index is: the folder of its generation, and the ``location`` that the manifest names.

    ``location`` is a folder inside ``folder`` for the embedded engine, a concrete index name for
    OpenSearch. ``uuid`` tells two indexes of one name apart, where the engine has such a thing.
    """

    folder: Path
    location: str
    uuid: str = ""


def checksum_of(fingerprints: Iterable[int]) -> str:
    """The checksum every engine gives: the sum modulo 2^64, as 16 hex digits; order does not matter."""
    return f"{sum(fingerprints) % 2**64:016x}"


class IndexReader(Protocol):
    """A published index, opened read-only. Safe to use from several threads."""

    def candidates(self, query: KeyQuery) -> CandidateSet: ...

    def select(self, question: Question, limit: int) -> CandidateSet:
        """Non-fuzzy search: at most ``limit`` documents (ask one more than may be shown)."""
        ...

    def find(self, nhs_numbers: Sequence[int]) -> dict[int, SearchDocument]:
        """Documents by number, for reconcile; ``keys`` and ``terms`` as indexed where stored."""
        ...

    def key_counts(self, keys: Sequence[str]) -> dict[str, int]:
        """How many documents have each key, exactly; for the end of a full build, never in a search."""
        ...

    def count(self) -> int: ...

    def checksum(self) -> str:
        """``checksum_of`` the fingerprints of all documents."""
        ...

    def close(self) -> None: ...


class IndexWriter(Protocol):
    """An index under construction, in a place of its own, never one that is served."""

    def add(self, documents: Iterable[SearchDocument]) -> int: ...

    def delete(self, nhs_numbers: Sequence[int]) -> None: ...

    def commit(self) -> None: ...


class IndexEngine(Protocol):
    """Makes writers and readers of the indexes of generations."""

    name: str

    def new_location(self, build: str) -> str:
        """The location of an index about to be built; ``build`` is the same each time one build goes on."""
        ...

    def create(self, at: IndexPlace) -> IndexWriter: ...

    def branch(self, base: IndexPlace, at: IndexPlace) -> IndexWriter:
        """A writer on a copy of a published index; the base stays untouched."""
        ...

    def open(self, at: IndexPlace) -> IndexReader: ...

    def uuid(self, at: IndexPlace) -> str:
        """What tells this index from another one of its name; empty where a folder is all there is."""
        ...

    def remove(self, at: IndexPlace) -> None:
        """Let go of what is kept outside the generation's folder; harmless when it is gone already."""
        ...


class BulkWriter(Protocol):
    """A writer of whole frames (``documents.COLUMNS``) that makes the documents itself, side by side."""

    def add_frame(self, frame: People) -> None: ...

    def commit(self) -> int:
        """Finish; how many documents there are."""
        ...

    @property
    def suspects(self) -> frozenset[str] | None:
        """Keys that may be crowded, once it is finished; None where not every document was watched."""
        ...


@runtime_checkable
class BulkEngine(Protocol):
    """An engine that can also build a whole index with several processes."""

    def bulk(
        self, at: IndexPlace, frequencies: Frequencies, *, show_very_restricted: bool, processes: int, floor: int
    ) -> BulkWriter:
        """``floor``: from how many documents on a key is crowded; 0 watches none."""
        ...
