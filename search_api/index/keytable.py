"""Which documents have a key: a table of hashes, written in runs, put together once, and read where it lies.

Belongs here: the form of the table, writing and asking it. Does not belong here: which keys a patient has
(``keying.py``), who is found (``parts.py``), exact terms of a non-fuzzy search (tantivy has them).

Nine of a patient's dozen keys are nobody else's in a run. A dictionary of them is what an engine for texts spends
most of its time on, building as well as asking, and nothing is ever asked of it but who has a key. Here a key is 46
bits of its hash (``hashing.py``). The first of them name a bucket of some eight entries; an entry holds the next ones,
its mark, and the ordinal of a document. The entries of a bucket are in order of mark. Two keys of one bucket and one
mark are taken for one. A table of a few million people keeps all 46 bits. A large one keeps the first 46 but those few
that make an entry two bytes longer: that finds one person too many in some thousands of questions, who is then
compared like any other.

While a run is gathered an entry is one number, the hash above and the document below, so that putting entries in
order is sorting numbers. Runs lie in one file, each in order; at the end a narrow range of hashes at a time is
taken from all of them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from schemas.errors import PermanentFault
from search_api.index import arrays
from search_api.index.hashing import HASH_BITS, Hashes

# Of a run: so many bits of a number count its documents, the others are the hash.
_RUN_BITS = 18
_KEPT_BITS = HASH_BITS - _RUN_BITS
RUN_DOCUMENTS = 1 << _RUN_BITS
# Of a range of hashes that have their first bits in common: these make room for more documents.
_RANGE_BITS, _DOCUMENT_BITS = 9, 27
MOST_DOCUMENTS = 1 << _DOCUMENT_BITS
# A bucket has one entry or two; above this eight or more, for buckets take room as well.
_LEAST_BUCKET_BITS, _MOST_BUCKET_BITS = _RANGE_BITS, 25
_FULL, _FULL_BITS = 1 << 20, 4
# A mark has two bytes or four of its own, and those bits that the number of a document leaves free of four bytes more.
_SHORT_ENTRY = np.dtype([("mark", "<u2"), ("holder", "<u4")])
_ENTRY = np.dtype([("mark", "<u4"), ("holder", "<u4")])
_REST_BITS, _DOCUMENTS = 32 - _DOCUMENT_BITS, MOST_DOCUMENTS - 1
# A table of so many entries has short marks; one of fewer can be put together with others (``parts.py``).
MANY = 1 << 25
# Ranges that are put in order at a time, and by how many threads.
_AT_ONCE, _THREADS = 8, 2
# A longer bucket is searched by halving.
_LONG_BUCKET = 256

STARTS, ENTRIES = "starts", "entries"
# Of a table under construction only.
WAITING, BOUNDS = "waiting", "bounds"
Ordinals = npt.NDArray[np.int64]
Made = TypeVar("Made")


def file_path(folder: Path, number: int, what: str) -> Path:
    """A file of a part of an index."""
    return folder / f"{number:05d}.{what}{arrays.SUFFIX}"


class KeyRuns:
    """A table under construction. Used by one thread."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder, self._number = folder, number
        self._file = arrays.ArrayWriter(file_path(folder, number, WAITING), np.uint64)
        self._gathered: list[Hashes] = []
        self._first = 0
        # Of each run its first document, then where each range of hashes starts in the file.
        self._runs: list[Ordinals] = []

    def add(self, hashes: Hashes, documents: Ordinals) -> None:
        """Keys of documents, by their ordinals, which lie above those of earlier calls and less than a run apart."""
        if not len(documents):
            return
        if int(documents.max()) - self._first >= RUN_DOCUMENTS:
            self._end_run(int(documents.min()))
        kept = hashes >> np.uint64(_RUN_BITS) << np.uint64(_RUN_BITS)
        self._gathered.append(kept | (documents - self._first).astype(np.uint64))

    def pause(self) -> None:
        """Write what is there, for ``put_in_order``."""
        self._end_run(self._first)
        self._file.close()
        bounds = np.concatenate([np.empty(0, np.int64), *self._runs])
        arrays.write(file_path(self._folder, self._number, BOUNDS), bounds)

    def finish(self) -> None:
        """Write the table. Raises PermanentFault when there are more documents or entries than its form can number."""
        self.pause()
        put_in_order(self._folder, {self._number: 0}, self._number)

    def _end_run(self, first: int) -> None:
        """Put the run in order and write it; ``first`` is the first document of the next one."""
        if self._gathered:
            run = np.sort(np.concatenate(self._gathered))
            edges = np.arange(1 << _RANGE_BITS, dtype=np.uint64) << np.uint64(HASH_BITS - _RANGE_BITS)
            bounds = np.append(np.searchsorted(run, edges), len(run)) + self._file.count
            self._runs.append(np.append(self._first, bounds))
            self._file.append(run)
        self._gathered, self._first = [], first


def put_in_order(folder: Path, gathered: Mapping[int, int], number: int) -> None:
    """Make table ``number`` of the runs gathered. ``gathered``: by number, with what is added to ordinals of documents.

    Raises:
        PermanentFault: there are more documents or entries than a table can number.
    """
    runs = [_Runs(folder, each, first) for each, first in gathered.items()]
    form = _Form.of(sum(each.entries for each in runs))
    counts = np.zeros((1 << form.bucket_bits) + 1, np.uint32)
    entries = arrays.ArrayWriter(file_path(folder, number, ENTRIES), form.entry)
    for at, (made, filled) in enumerate(_side_by_side(partial(_range_made, runs, form), 1 << _RANGE_BITS)):
        entries.append(made)
        first = at << form.bucket_bits - _RANGE_BITS
        counts[first + 1 : first + 1 + len(filled)] = filled
    entries.close()
    if max(entries.count >> 32, max(each.last for each in runs) >> _DOCUMENT_BITS):
        raise PermanentFault("A search index cannot hold so many people.", remedy="Use the other engine.")
    arrays.write(file_path(folder, number, STARTS), np.cumsum(counts, dtype=np.uint32))
    for each in gathered:
        file_path(folder, each, WAITING).unlink()
        file_path(folder, each, BOUNDS).unlink()


def _side_by_side(make: Callable[[int], Made], count: int) -> Iterator[Made]:
    """What is made of each number, in order; a few are made at a time, for sorting leaves the interpreter to others."""
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, count, _AT_ONCE):
            yield from pool.map(make, range(start, min(start + _AT_ONCE, count)))


def _range_made(runs: Sequence[_Runs], form: _Form, at: int) -> tuple[arrays.Array, Ordinals]:
    """The entries of a range of hashes, and how many there are in each of its buckets."""
    found = _in_order([part for each in runs for part in each.of_range(at)])
    kept = np.uint64(at << _KEPT_BITS - _RANGE_BITS) | found >> np.uint64(_DOCUMENT_BITS)
    own = form.buckets(kept) - (at << form.bucket_bits - _RANGE_BITS)
    return form.entries(kept, found), np.bincount(own, minlength=1 << form.bucket_bits - _RANGE_BITS)


def _in_order(parts: list[Hashes]) -> Hashes:
    """Entries of a range, each once."""
    found = np.sort(np.concatenate([np.empty(0, np.uint64), *parts]))
    return found[np.append(True, found[1:] != found[:-1])] if len(found) else found


class _Runs:
    """The runs of one writer, as they lie in its file."""

    def __init__(self, folder: Path, number: int, first: int) -> None:
        # Read, not mapped: what is mapped counts as memory, and nobody else needs these pages.
        self._held = arrays.Portions(file_path(folder, number, WAITING))
        bounds = arrays.read(file_path(folder, number, BOUNDS)).reshape(-1, (1 << _RANGE_BITS) + 2)
        self._firsts, self._bounds = bounds[:, 0] + first, bounds[:, 1:]
        self.entries = len(self._held)
        self.last = int(self._firsts.max(initial=0)) + RUN_DOCUMENTS

    def of_range(self, at: int) -> Iterator[Hashes]:
        """The entries of a range, run by run: the hash without its first bits above, below the document."""
        places = zip(self._firsts.tolist(), self._bounds[:, at].tolist(), self._bounds[:, at + 1].tolist(), strict=True)
        for first, start, end in places:
            held = self._held.read(start, end)
            above = held >> np.uint64(_RUN_BITS) << np.uint64(_DOCUMENT_BITS)
            yield above | (held & np.uint64(RUN_DOCUMENTS - 1)) + np.uint64(first)


class _Form(NamedTuple):
    """How a table is laid out. ``mark_bits``: those that follow the bits of the bucket."""

    bucket_bits: int
    mark_bits: int
    entry: np.dtype[np.void]

    @classmethod
    def of(cls, entries: int) -> _Form:
        """That of a table about to be written."""
        bits = entries.bit_length() - (_FULL_BITS if entries > _FULL else 0)
        bits = min(max(bits, _LEAST_BUCKET_BITS), _MOST_BUCKET_BITS)
        return cls.found(bits, _SHORT_ENTRY if entries >= MANY else _ENTRY)

    @classmethod
    def found(cls, bucket_bits: int, entry: np.dtype[np.void]) -> _Form:
        """That of a table that is there."""
        room = 8 * entry["mark"].itemsize + _REST_BITS
        return cls(bucket_bits, min(room, _KEPT_BITS - bucket_bits), entry)

    def buckets(self, kept: Hashes) -> Ordinals:
        """The buckets of hashes."""
        return (kept >> np.uint64(_KEPT_BITS - self.bucket_bits)).astype(np.int64)

    def marks(self, kept: Hashes) -> Hashes:
        """The marks of hashes."""
        beyond = np.uint64(_KEPT_BITS - self.bucket_bits - self.mark_bits)
        return kept >> beyond & np.uint64((1 << self.mark_bits) - 1)

    def entries(self, kept: Hashes, documents: Hashes) -> arrays.Array:
        """Entries as they are written. ``documents``: with anything above them."""
        marks = self.marks(kept)
        made = np.empty(len(kept), self.entry)
        made["mark"] = marks >> np.uint64(_REST_BITS)
        rests = (marks << np.uint64(_DOCUMENT_BITS)).astype(np.uint32)
        made["holder"] = rests | documents.astype(np.uint32) & np.uint32(_DOCUMENTS)
        return made


class KeyTable:
    """A table, open for reading by several threads."""

    def __init__(self, folder: Path, number: int) -> None:
        """Raises GenerationError when a file is missing or not whole."""
        starts = arrays.read(file_path(folder, number, STARTS))
        self._entries = arrays.read(file_path(folder, number, ENTRIES))
        if not len(starts) or int(starts[-1]) != len(self._entries):
            raise arrays.damaged(file_path(folder, number, ENTRIES), "not whole")
        self._form = _Form.found((len(starts) - 1).bit_length() - 1, self._entries.dtype)
        self._size, kind = self._entries.itemsize, self._entries.dtype["mark"]
        self._unpack = struct.Struct("<HI" if kind.itemsize == _SHORT_ENTRY["mark"].itemsize else "<II").iter_unpack
        # Plain Python reads one number of these in a tenth of the time that numpy takes.
        self._starts, self._bytes = starts.data, self._entries.view(np.uint8).data
        self._to_bucket = HASH_BITS - self._form.bucket_bits
        self._to_mark = self._to_bucket - self._form.mark_bits

    def __len__(self) -> int:
        return len(self._entries)

    def holders(self, hashed: int) -> list[int]:
        """The ordinals of documents that have a key, by its hash; ascending within each of its marks."""
        bucket = hashed >> self._to_bucket
        start, end = self._starts[bucket], self._starts[bucket + 1]
        if start == end:
            return []
        mark, rest = divmod(hashed >> self._to_mark & (1 << self._form.mark_bits) - 1, 1 << _REST_BITS)
        if end - start > _LONG_BUCKET:
            start, end = self._narrowed(start, end, mark)
        entries = self._unpack(self._bytes[start * self._size : end * self._size])
        return [holder & _DOCUMENTS for held, holder in entries if held == mark and holder >> _DOCUMENT_BITS == rest]

    def _narrowed(self, start: int, end: int, mark: int) -> tuple[int, int]:
        """Where in a bucket the entries of a mark are, but for its last bits."""
        held = self._entries["mark"][start:end]
        asked = held.dtype.type(mark)
        return start + int(held.searchsorted(asked)), start + int(held.searchsorted(asked, "right"))

    def portions(self) -> Iterator[tuple[Hashes, Ordinals]]:
        """All keys of all documents, a run of documents at a time and in their order, as ``KeyRuns.add`` takes them.
        Of a table of ``MANY`` entries the hashes are not whole."""
        starts = np.asarray(self._starts).astype(np.int64)
        kept = np.repeat(np.arange(len(starts) - 1, dtype=np.uint64), np.diff(starts)) << np.uint64(
            self._form.mark_bits
        )
        marks, holders = self._entries["mark"].astype(np.uint64), self._entries["holder"]
        kept |= marks << np.uint64(_REST_BITS) | (holders >> np.uint32(_DOCUMENT_BITS)).astype(np.uint64)
        documents = (holders & np.uint32(_DOCUMENTS)).astype(np.int64)
        for first in range(0, int(documents.max(initial=-1)) + 1, RUN_DOCUMENTS):
            at = np.flatnonzero((documents >= first) & (documents < first + RUN_DOCUMENTS))
            yield kept[at] << np.uint64(self._to_mark), documents[at]
