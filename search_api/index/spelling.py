"""Spelling neighbours of a name among the names of the population (symmetric delete).

Belongs here: the neighbour table and its lookup. Does not belong here: counting names
(``frequencies.py``), what a neighbour is asked for (``matching/blocking.py``).

Every name is filed under itself and under itself less one letter; two names one edit or one
exchange of letters apart share an entry. The table is two sorted integer columns: eight bytes an
entry, no start-up beyond building it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import OSA

MIN_LENGTH, MAX_LENGTH = 3, 24
MULTIPLIER = 0x9E3779B97F4A7C15
_WORD = 2**64 - 1
_edits = OSA.distance
# Words whose neighbours are kept: the same names are asked for again and again.
_KEPT = 20_000


class SpellingIndex:
    """Names of letters only, 3 to 24 long, with the number of people who bear each."""

    def __init__(self, names: Sequence[str], counts: Sequence[int]) -> None:
        usable = [i for i, name in enumerate(names) if MIN_LENGTH <= len(name) <= MAX_LENGTH and _plain(name)]
        self._names = [names[i] for i in usable]
        self._counts = [counts[i] for i in usable]
        # One sort of both as one number: finding the order of the hashes and then following it takes three times as long.
        hashes, owners = _table(self._names)
        both = hashes.astype(np.uint64) << np.uint64(32) | owners
        both.sort()
        self._hashes = (both >> np.uint64(32)).astype(np.uint32)
        self._owners = both.astype(np.uint32)
        self._kept = lru_cache(_KEPT)(self._near)

    def neighbours(self, word: str, limit: int) -> list[tuple[str, int]]:
        """Names one edit or exchange away, with counts; most borne first, then by spelling."""
        if not (MIN_LENGTH <= len(word) <= MAX_LENGTH) or not _plain(word) or not len(self._hashes):
            return []
        return list(self._kept(word, limit))

    def _near(self, word: str, limit: int) -> list[tuple[str, int]]:
        hashes, owners = self._hashes, self._owners
        wanted = np.array(list(set(_hashes_of(word))), dtype=np.uint32)
        low, high = hashes.searchsorted(wanted), hashes.searchsorted(wanted, "right")
        places = zip(low.tolist(), high.tolist(), strict=True)
        near = {owner for start, end in places if start < end for owner in owners[start:end].tolist()}
        names = [(self._names[owner], self._counts[owner]) for owner in near]
        found = [pair for pair in names if pair[0] != word and _edits(pair[0], word, score_cutoff=1) <= 1]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:limit]


def _plain(word: str) -> bool:
    return word.isascii() and word.isalpha()


def _hashes_of(word: str) -> list[int]:
    """The same hashes as ``_columns``, for one word: plain integers are faster than arrays of one.

    The words less one letter are of one length, so each goes on from the state of the letters before its gap.
    """
    letters = word.encode("ascii")
    hashes = [_digest_one(len(letters), letters)]
    before = len(letters) - 1
    for gap, letter in enumerate(letters):
        hashes.append(_digest_one(before, letters[gap + 1 :]))
        before = _stirred(before, letter)
    return hashes


def _digest_one(state: int, letters: bytes) -> int:
    for letter in letters:
        state = (state ^ letter) * MULTIPLIER & _WORD
        state ^= state >> 29
    return state >> 32


def _stirred(state: int, letter: int) -> int:
    state = (state ^ letter) * MULTIPLIER & _WORD
    return state ^ state >> 29


def _columns(letters: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.uint32]]:
    """Hash of each row, then of each row less its i-th letter."""
    length = letters.shape[1]
    wide = letters.astype(np.uint64)
    found = [_digest(wide)]
    for gap in range(length):
        found.append(_digest(np.delete(wide, gap, axis=1)))
    return found


def _digest(rows: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    state = np.full(rows.shape[0], rows.shape[1], dtype=np.uint64)
    for column in range(rows.shape[1]):
        state = (state ^ rows[:, column]) * np.uint64(MULTIPLIER)
        state ^= state >> np.uint64(29)
    return (state >> np.uint64(32)).astype(np.uint32)


def _table(names: list[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    by_length: dict[int, list[int]] = {}
    for owner, name in enumerate(names):
        by_length.setdefault(len(name), []).append(owner)
    hashes: list[npt.NDArray[np.uint32]] = [np.empty(0, np.uint32)]
    owners: list[npt.NDArray[np.uint32]] = [np.empty(0, np.uint32)]
    for length, members in sorted(by_length.items()):
        joined = "".join(names[owner] for owner in members).encode("ascii")
        letters = np.frombuffer(joined, dtype=np.uint8).reshape(-1, length)
        ids = np.array(members, dtype=np.uint32)
        for column in _columns(letters):
            hashes.append(column)
            owners.append(ids)
    return np.concatenate(hashes), np.concatenate(owners)
