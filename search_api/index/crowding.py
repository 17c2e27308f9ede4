"""Which blocking keys so many documents have that asking for them costs too much.

Belongs here: finding those keys among the documents of a build without holding all keys. Does not belong
here: what a crowded key is worth and the cap (``matching/rarity.py``), the file (``frequencies.py``).

Sixty million people have a thousand million keys, nearly all of them rare; only names of keys that may be
crowded are kept. Two rows of counters, each indexed by other bits of a hash, let a key pass when its
counter is high in both; so a key with ``floor`` documents always passes, and a rare one nearly never does.
Who passes besides depends on the hash and on which process saw which document. The exact number of
documents is therefore asked of the finished index, which is new and holds each document once: every
engine gives the same, and nothing depends on processes, on order, or on where a killed build went on.

Documents are watched while an index is filled, their keys being at hand there. A filling that goes on after a
kill may see only the rest, and an engine need not watch: then everybody's keys are made anew (assets/index/fold.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt
import polars as pl

from search_api.index.frequencies import Frequencies
from search_api.index.provider import IndexReader, SearchDocument

MOST_FLOOR = 1_000
# 16 MB and 4 MB of counters in each process.
FIRST_BITS, SECOND_BITS = 22, 20
BATCH = 500
ASKED_AT_ONCE = 10_000


def floor_of(key_cap: int) -> int:
    """From how many documents on a key's true number is kept: it is needed above the cap, and below it
    tells more than an estimate."""
    return min(key_cap, MOST_FLOOR)


class CrowdCounter:
    """Watches the documents of one process, of ``parts`` that share the work in any way.

    A key with ``floor`` documents has ``share`` in some part. There its first counter is high at the latest
    when half of them have come; the others count in the second row.
    """

    def __init__(self, floor: int, parts: int = 1) -> None:
        share = max(1, -(-floor // parts))
        self._high_first = (share + 1) // 2
        self._high_second = share - self._high_first + 1
        self._first = np.zeros(1 << FIRST_BITS, np.uint32)
        self._second = np.zeros(1 << SECOND_BITS, np.uint32)
        self._known: set[str] = set()
        self._new: list[str] = []

    def watch(self, documents: Iterable[SearchDocument]) -> Iterator[list[SearchDocument]]:
        """The same documents in batches, their keys counted."""
        for batch in batches(documents):
            self.count(pl.Series(values=[key for document in batch for key in document.keys], dtype=pl.String))
            yield batch

    def take(self) -> list[str]:
        """Keys that may be crowded, each told once: those found since this was last asked."""
        new, self._new = self._new, []
        return new

    def count(self, words: pl.Series) -> None:
        """Count the keys of documents that have not been counted before."""
        hashes = words.hash().to_numpy()
        high = _high(self._first, hashes & np.uint64((1 << FIRST_BITS) - 1), self._high_first)
        passed = np.flatnonzero(high)
        if not len(passed):
            return
        second = hashes[passed] >> np.uint64(64 - SECOND_BITS)
        found = passed[_high(self._second, second, self._high_second)]
        new = set(words.gather(found).to_list()) - self._known
        self._known |= new
        self._new += sorted(new)


@dataclass(frozen=True)
class Watch:
    """What a process is to watch: keys with ``floor`` documents, ``parts`` processes sharing them; 0 watches none."""

    floor: int = 0
    parts: int = 1

    def counter(self) -> CrowdCounter | None:
        """A counter for this process, if it is to watch."""
        return CrowdCounter(self.floor, self.parts) if self.floor else None


NO_WATCH = Watch()


def batches(documents: Iterable[SearchDocument]) -> Iterator[list[SearchDocument]]:
    """The documents a few at a time."""
    stream = iter(documents)
    while batch := list(islice(stream, BATCH)):
        yield batch


def _high(counters: npt.NDArray[np.uint32], places: npt.NDArray[np.uint64], least: int) -> npt.NDArray[np.bool_]:
    """Count one at each place, then say which places have reached ``least``."""
    at = places.astype(np.intp)
    np.add.at(counters, at, np.uint32(1))
    high: npt.NDArray[np.bool_] = counters[at] >= least
    return high


def counted(frequencies: Frequencies, suspects: Iterable[str], reader: IndexReader, floor: int) -> Frequencies:
    """The frequencies with the crowded keys among the suspects, counted in the new index."""
    asked = sorted(set(suspects))
    crowded: dict[str, int] = {}
    for start in range(0, len(asked), ASKED_AT_ONCE):
        crowded |= _crowded(reader.key_counts(asked[start : start + ASKED_AT_ONCE]), floor)
    return replace(frequencies, crowded=crowded)


def _crowded(counts: Mapping[str, int], floor: int) -> dict[str, int]:
    return {key: count for key, count in counts.items() if count >= floor}
