"""The parts of an embedded index: its people with the keys they have, who was taken out, and who is found by keys.

Belongs here: asking all parts as one, writing a part, putting small ones together. Does not belong here: the columns
(``people.py``), the table (``keytable.py``), exact terms and dates (tantivy has them), payloads.

Each process of a full build makes a part, and each delta one more. No part is ever changed: who is replaced is
told by the place of their payload in one small file, written anew by each delta. Every question asks every part, so a
delta that would leave many small parts puts them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from search_api.index import arrays, keytable
from search_api.index.hashing import Hashes, hash_of
from search_api.index.keytable import KeyRuns, KeyTable, Ordinals
from search_api.index.people import PEOPLE, People, PeopleWriter, Some
from search_api.matching.lettering import UNKNOWN
from search_api.matching.rarity import PARTS, WeighedKey

GONE = f"gone{arrays.SUFFIX}"
# So many small parts of deltas are put together.
MOST_SMALL = 2
COPIED_AT_ONCE = 1_000_000
_ORDINAL_BITS = 32
_ORDINALS = (1 << _ORDINAL_BITS) - 1


class Keyed(NamedTuple):
    """Keys of the people of a slice: hashes, and the row each belongs to."""

    hashes: Hashes
    rows: Ordinals


class Found(NamedTuple):
    """Somebody found: they come in the order of these. ``worth``: the sum of rarities of their keys, negative, in parts of
    a bit. ``address``: which part they are in, and where (``Parts.place``)."""

    worth: int
    number: int
    letters: int
    address: int


# Half the time of calling the class.
_found = partial(tuple.__new__, Found)


class Entry(NamedTuple):
    """One person of an index."""

    place: int
    letters: int
    fingerprint: int
    is_open: bool


class PartWriter:
    """A part under construction. Used by one thread."""

    def __init__(self, folder: Path, number: int) -> None:
        self._people, self._keys = PeopleWriter(folder, number), KeyRuns(folder, number)

    def add(self, some: Some, keyed: Keyed, places: range) -> None:
        """Add the people of a slice, fewer than make a run."""
        first = self._people.count
        self._people.add(some, places)
        self._keys.add(keyed.hashes, keyed.rows + first)

    def pause(self) -> None:
        """Write what is there, for ``joined``."""
        self._people.pause()
        self._keys.pause()

    def finish(self) -> None:
        """Write all of it. Raises PermanentFault when there are too many people for one part."""
        self._people.finish()
        self._keys.finish()


class Part:
    """A part, open for reading by several threads."""

    def __init__(self, folder: Path, number: int, gone: Ordinals, position: int = 0) -> None:
        self._first_address = position << _ORDINAL_BITS
        self.people, self.table = People(folder, number), KeyTable(folder, number)
        self.gone = self.people.standing(gone)

    def weighed(self, keys: Weighed, beside: Weighed, *, open_only: bool) -> list[Found]:
        """Everybody with one of the keys, and what their keys and those beside are worth."""
        worths: dict[int, int] = {}
        holders = self.table.holders
        for key, worth in keys:
            for each in holders(key):
                worths[each] = worths.get(each, 0) - worth
        if not worths:
            return []
        for key, worth in beside:
            for each in holders(key):
                if each in worths:
                    worths[each] -= worth
        at = self.present(np.fromiter(worths, np.int64, len(worths)), open_only=open_only)
        ordinals, first = at.tolist(), self._first_address
        columns = self.people.numbers[at].tolist(), self.people.letters[at].tolist()
        return [
            _found((worths[ordinal], number, letters, first + ordinal))
            for ordinal, number, letters in zip(ordinals, *columns, strict=True)
        ]

    def having(self, keys: Sequence[int], *, open_only: bool) -> Ordinals:
        """The ordinals of everybody with one of the keys, ascending."""
        found = np.unique([each for key in keys for each in self.table.holders(key)]).astype(np.int64)
        return self.present(found, open_only=open_only)

    def count(self, key: int) -> int:
        """How many people have a key."""
        return len(self.present(np.array(self.table.holders(key), np.int64), open_only=False))

    def present(self, ordinals: Ordinals, *, open_only: bool) -> Ordinals:
        """Those of them who were not taken out, nor are restricted where that matters."""
        for barred in (self.gone, self.people.closed if open_only else self.gone[:0]):
            if len(barred):
                ordinals = ordinals[~_among(barred, ordinals)]
        return ordinals


# Keys asked for: hashes, and what each is worth in parts of a bit.
Weighed = list[tuple[int, int]]


def weighed(keys: Sequence[WeighedKey]) -> Weighed:
    """Keys as the matcher asks for them."""
    return [(hash_of(key.key), int(key.rarity * PARTS)) for key in keys]


class Parts:
    """All parts of a finished index, open for reading by several threads."""

    def __init__(self, folder: Path) -> None:
        """Raises GenerationError when a file is missing or not whole."""
        self.gone: Ordinals = read_gone(folder)
        self._parts = [Part(folder, number, self.gone, at) for at, number in enumerate(numbers_of(folder))]

    def candidates(self, keys: Weighed, beside: Weighed, *, open_only: bool) -> list[Found]:
        """Everybody with one of the keys, part by part."""
        return [each for part in self._parts for each in part.weighed(keys, beside, open_only=open_only)]

    def place(self, address: int) -> int:
        """Where the payload of somebody found is."""
        return self._parts[address >> _ORDINAL_BITS].people.place(address & _ORDINALS)

    def having(self, words: Sequence[str], *, open_only: bool) -> tuple[Ordinals, Ordinals]:
        """The numbers of everybody with one of the keys, ascending, and the places of their payloads."""
        numbers, places = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for part in self._parts:
            at = part.having([hash_of(word) for word in words], open_only=open_only)
            numbers.append(part.people.numbers[at])
            places.append(part.people.places(at))
        whole = np.concatenate(numbers)
        order = np.argsort(whole, kind="stable")
        return whole[order], np.concatenate(places)[order]

    def key_counts(self, words: Sequence[str]) -> dict[str, int]:
        """How many people have each key."""
        return {word: sum(part.count(hash_of(word)) for part in self._parts) for word in words}

    def named(self, number: int) -> Entry | None:
        """The person of a number."""
        for part in self._parts:
            at = part.present(part.people.named([number]), open_only=False)
            if len(at):
                people, ordinal = part.people, int(at[0])
                place, marks = people.places(at), (people.letters[ordinal], people.fingerprints[ordinal])
                return Entry(int(place[0]), int(marks[0]), int(marks[1]), not _among(people.closed, at)[0])
        return None

    def places_of(self, numbers: Sequence[int]) -> Ordinals:
        """Where the payloads of these people are, those taken out included; numbers that are not there are left out."""
        return np.concatenate(
            [np.empty(0, np.int64), *(part.people.places(part.people.named(numbers)) for part in self._parts)]
        )

    def letters_at(self, places: Ordinals) -> Ordinals:
        """The letters of the names of people whose payloads are at these places."""
        letters = np.full(len(places), UNKNOWN, np.int64)
        for part in self._parts:
            for first, own in part.people.spans():
                at = np.flatnonzero((places >= own.start) & (places < own.stop))
                letters[at] = part.people.letters[places[at] - own.start + first]
        return letters

    def present(self, places: Ordinals) -> arrays.Array:
        """Whether the people whose payloads are at these places were not taken out."""
        return ~_among(self.gone, places)

    def count(self) -> int:
        """How many people there are."""
        return self.added() - len(self.gone)

    def added(self) -> int:
        """How many there are with those who were taken out."""
        return sum(len(part.people) for part in self._parts)

    def checksum(self) -> int:
        """The sum of all fingerprints."""
        return sum(_sum(part.people.fingerprints) - _sum(part.people.fingerprints[part.gone]) for part in self._parts)


def numbers_of(folder: Path) -> list[int]:
    """The parts of an index that are there, or under construction."""
    return sorted(int(path.name.split(".")[0]) for path in folder.glob(f"*.{PEOPLE}{arrays.SUFFIX}"))


def next_number(folder: Path) -> int:
    """The number of the next part."""
    return max(numbers_of(folder), default=-1) + 1


def read_gone(folder: Path) -> Ordinals:
    """The places of those who were taken out, ascending."""
    return np.array(arrays.read(folder / GONE)) if (folder / GONE).exists() else np.empty(0, np.int64)


def write_gone(folder: Path, places: Ordinals) -> None:
    """Say who was taken out. The file of a base is only linked, and stays as it is."""
    (folder / GONE).unlink(missing_ok=True)
    arrays.write(folder / GONE, np.unique(places))


def joined(folder: Path, paused: Sequence[int]) -> None:
    """Make one part of those that several processes paused: the people of the first, then those of the next."""
    firsts = np.cumsum([0, *(len(People(folder, each)) for each in paused)]).tolist()
    number = next_number(folder)
    people = PeopleWriter(folder, number)
    for each in paused:
        _copied(People(folder, each), people)
    people.finish()
    keytable.put_in_order(folder, dict(zip(paused, firsts, strict=False)), number)
    _removed(folder, paused)


def put_together(folder: Path) -> None:
    """Make one part of small ones where they are many; the files of a base are only linked, and stay."""
    small = [number for number in numbers_of(folder) if len(KeyTable(folder, number)) < keytable.MANY // MOST_SMALL]
    if len(small) <= MOST_SMALL:
        return
    number = next_number(folder)
    people, keys = PeopleWriter(folder, number), KeyRuns(folder, number)
    for part in (Part(folder, each, np.empty(0, np.int64)) for each in small):
        first = people.count
        for hashes, documents in part.table.portions():
            keys.add(hashes, documents + first)
        _copied(part.people, people)
    people.finish()
    keys.finish()
    _removed(folder, small)


def _copied(people: People, writer: PeopleWriter) -> None:
    """Add the people of one part to another, some at a time."""
    for first, places in people.spans():
        for start in range(0, len(places), COPIED_AT_ONCE):
            at = places[start : start + COPIED_AT_ONCE]
            row = slice(first + start, first + start + len(at))
            is_open = ~_among(people.closed, np.arange(row.start, row.stop))
            writer.add(Some(people.numbers[row], people.letters[row], people.fingerprints[row], is_open), at)


def _removed(folder: Path, numbers: Iterable[int]) -> None:
    for number in numbers:
        for path in folder.glob(f"{number:05d}.*{arrays.SUFFIX}"):
            path.unlink()


def _among(ascending: Ordinals, values: Ordinals) -> arrays.Array:
    """Which values are among others."""
    if not len(ascending):
        return np.zeros(len(values), bool)
    at = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    found: arrays.Array = ascending[at] == values
    return found


def _sum(fingerprints: Ordinals) -> int:
    """Their exact sum: halves of them do not overflow."""
    low, high = fingerprints & 0xFFFFFFFF, fingerprints >> 32
    return int(low.sum()) + (int(high.sum()) << 32)
