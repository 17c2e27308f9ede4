"""Who is in a part of an index: numbers, letters of names and fingerprints, one after another as they were added.

Belongs here: these columns, finding people by number, where their payloads are. Does not belong here: keys
(``keytable.py``), who was taken out (``parts.py``), payloads.

People are told apart by where they stand in their part, their ordinal. Their payloads stand in the same order in one file
or a few (``payloads.py``): where the first one of each unbroken row of them is tells all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from search_api.index import arrays
from search_api.index.keytable import Ordinals, file_path

PEOPLE, CLOSED, ROWS, ORDER = "people", "closed", "rows", "order"
_PERSON = np.dtype([("number", "<i8"), ("letters", "<i8"), ("fingerprint", "<i8")])


class Some(NamedTuple):
    """People to be added; columns of one length. ``is_open``: False for restricted ones."""

    numbers: Ordinals
    letters: Ordinals
    fingerprints: Ordinals
    is_open: arrays.Array


class PeopleWriter:
    """The columns of a part under construction. Used by one thread."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder, self._number = folder, number
        self._people = arrays.ArrayWriter(file_path(folder, number, PEOPLE), _PERSON)
        self._closed: list[Ordinals] = []
        self._rows: list[tuple[int, int]] = []
        self._next_place = -1
        self._highest, self._in_order = -1, True

    @property
    def count(self) -> int:
        """How many there are so far."""
        return self._people.count

    def add(self, some: Some, places: range) -> None:
        """Add people, whose payloads are at ``places``."""
        if not len(some.numbers):
            return
        if places.start != self._next_place:
            self._rows.append((self.count, places.start))
        self._next_place = places.stop
        self._closed.append(np.flatnonzero(~some.is_open) + self.count)
        joined = np.concatenate(([self._highest], some.numbers))
        self._in_order = self._in_order and bool((joined[1:] > joined[:-1]).all())
        self._highest = int(joined[-1])
        made = np.empty(len(some.numbers), _PERSON)
        made["number"], made["letters"], made["fingerprint"] = some.numbers, some.letters, some.fingerprints
        self._people.append(made)

    def pause(self) -> None:
        """Write what is there; nobody is found by number yet."""
        self._people.close()
        closed = np.concatenate([np.empty(0, np.int64), *self._closed])
        arrays.write(file_path(self._folder, self._number, CLOSED), closed)
        arrays.write(file_path(self._folder, self._number, ROWS), np.array(self._rows, np.int64).reshape(-1))

    def finish(self) -> None:
        """Write the columns. The order of numbers is written where people do not stand in it."""
        self.pause()
        if not self._in_order:
            numbers = arrays.read(file_path(self._folder, self._number, PEOPLE))["number"]
            order = np.argsort(numbers, kind="stable").astype(np.uint32)
            arrays.write(file_path(self._folder, self._number, ORDER), order)


class People:
    """The columns of a part, open for reading by several threads. Each is of shape (n,)."""

    def __init__(self, folder: Path, number: int) -> None:
        """Raises GenerationError when a file is missing or not whole."""
        held = arrays.read(file_path(folder, number, PEOPLE))
        self.numbers, self.letters, self.fingerprints = held["number"], held["letters"], held["fingerprint"]
        self.closed: Ordinals = arrays.read(file_path(folder, number, CLOSED))
        self._rows: Ordinals = arrays.read(file_path(folder, number, ROWS)).reshape(-1, 2)
        self._starts: list[int] = self._rows[:, 0].tolist()
        self._places: list[int] = self._rows[:, 1].tolist()
        order = file_path(folder, number, ORDER)
        self._order = arrays.read(order) if order.exists() else None

    def __len__(self) -> int:
        return len(self.numbers)

    def spans(self) -> list[tuple[int, range]]:
        """Of each unbroken row of payloads the ordinal of the first person, and the places."""
        rows = [*self._rows.tolist(), (len(self), 0)]
        return [(first, range(at, at + end - first)) for (first, at), (end, _) in pairwise(rows)]

    def place(self, ordinal: int) -> int:
        """Where the payload of one of them is."""
        at = bisect_right(self._starts, ordinal) - 1
        return self._places[at] + ordinal - self._starts[at]

    def places(self, ordinals: Ordinals) -> Ordinals:
        """Where the payloads of people are."""
        row = np.searchsorted(self._rows[:, 0], ordinals, "right") - 1
        moved: Ordinals = ordinals - self._rows[row, 0] + self._rows[row, 1]
        return moved

    def standing(self, places: Ordinals) -> Ordinals:
        """The ordinals of those whose payloads are at these places, ascending; places of other parts are left out."""
        found = [np.empty(0, np.int64)]
        for first, at in self.spans():
            found.append(places[(places >= at.start) & (places < at.stop)] - at.start + first)
        return np.sort(np.concatenate(found))

    def named(self, numbers: Sequence[int]) -> Ordinals:
        """The ordinals of everybody who has one of these numbers, by halving for all of them at once."""
        asked = np.unique(np.array(numbers, np.int64))
        lows, highs = self._bound(asked, beyond=False), self._bound(asked, beyond=True)
        at = np.concatenate([np.empty(0, np.int64), *map(np.arange, lows, highs)]) if len(asked) else asked
        return at if self._order is None else self._order[at].astype(np.int64)

    def _bound(self, asked: Ordinals, *, beyond: bool) -> Ordinals:
        """How many numbers are below each of those asked, or with ``beyond`` not above it."""
        lows, highs = np.zeros(len(asked), np.int64), np.full(len(asked), len(self), np.int64)
        while (open_ := lows < highs).any():
            middles = (lows + highs) // 2
            at = np.minimum(middles, len(self) - 1)
            held = self.numbers[at if self._order is None else self._order[at]]
            below = (held <= asked if beyond else held < asked) & open_
            lows, highs = np.where(below, middles + 1, lows), np.where(below | ~open_, highs, middles)
        return lows
