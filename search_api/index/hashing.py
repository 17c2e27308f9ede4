"""Numbers for keys: a table of keys holds these instead of their letters (``keytable.py``).

Belongs here: the hash, for a column of words and for one. Does not belong here: what is kept of it, what a key says.

The hashes of polars and DuckDB may change with their releases, and files outlive them; so this one is ours, of steps
that both numpy and plain Python take. It guards against nothing: whoever can choose names may choose two of one
number, and comes to be compared in vain with one person more.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

HASH_BITS = 64
# Words are read eight bytes at a time. Most keys end within two such steps, which are therefore always taken.
_LANE, _SHORT, _LONG = 8, 16, 64
_WHOLE = (1 << HASH_BITS) - 1
# Odd numbers whose bits follow no pattern: fractions of the golden ratio and of the square roots of 2 and 3.
_START, _STEP, _LAST = 0x9E3779B97F4A7C15, 0x6A09E667F3BCC909, 0xBB67AE8584CAA73B
_FOLD, _FOLD_LAST = 29, 32

Hashes = npt.NDArray[np.uint64]


def hashes(words: pl.Series) -> Hashes:
    """The hash of each word; shape (n,). No word is null."""
    lengths = words.str.len_bytes()
    plain = lengths == words.str.len_chars()
    short = plain & (lengths <= _SHORT)
    if short.all():
        return _padded(words, lengths, _SHORT)
    found = np.empty(len(words), np.uint64)
    long = plain & ~short & (lengths <= _LONG)
    for chosen, width in ((short, _SHORT), (long, _LONG)):
        at = chosen.arg_true()
        found[at.to_numpy()] = _padded(words.gather(at), lengths.gather(at), width)
    odd = (~(short | long)).arg_true()
    found[odd.to_numpy()] = np.array(list(map(hash_of, words.gather(odd).to_list())), np.uint64)
    return found


def hash_of(word: str) -> int:
    """The hash of one word, as ``hashes`` has it."""
    held = word.encode()
    found = len(held) * _START & _WHOLE
    lanes = int.from_bytes(held, "little")
    for _ in range(0, max(len(held), _SHORT), _LANE):
        found = (found ^ lanes & _WHOLE) * _STEP & _WHOLE
        found ^= found >> _FOLD
        lanes >>= HASH_BITS
    return (found ^ found >> _FOLD_LAST) * _LAST & _WHOLE


def _padded(words: pl.Series, lengths: pl.Series, width: int) -> Hashes:
    """Of words of ASCII letters that are no longer than ``width``."""
    whole = words.str.pad_end(width, "\0").str.join("").cast(pl.Binary).item() if len(words) else b""
    lanes = np.frombuffer(whole, "<u8").reshape(-1, width // _LANE)
    sizes = lengths.to_numpy()
    found = sizes.astype(np.uint64) * np.uint64(_START)
    for lane in range(lanes.shape[1]):
        if lane * _LANE < _SHORT:
            found = _stepped(found, lanes[:, lane])
        else:
            at = np.flatnonzero(sizes > lane * _LANE)
            found[at] = _stepped(found[at], lanes[at, lane])
    return (found ^ found >> np.uint64(_FOLD_LAST)) * np.uint64(_LAST)


def _stepped(found: Hashes, lane: Hashes) -> Hashes:
    mixed = (found ^ lane) * np.uint64(_STEP)
    stepped: Hashes = mixed ^ mixed >> np.uint64(_FOLD)
    return stepped
