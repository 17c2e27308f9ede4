"""Numbers for keys: one word and a column give the same, in every release."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from search_api.index.hashing import hash_of, hashes


@given(st.lists(st.text(max_size=90), max_size=40))
def test_a_column_has_the_hash_of_each_word(words: list[str]) -> None:
    assert hashes(pl.Series(values=words, dtype=pl.String)).tolist() == [hash_of(word) for word in words]


def test_hashes_are_the_same_in_every_release() -> None:
    """Files hold them: another hash needs another form of file."""
    known = {
        "": 0,
        "a19540609C450": 10358732330937560423,
        "@james.6610001@example.com": 14052651849220674833,
        "lÉ1": 16407027269259847081,
    }
    assert {word: hash_of(word) for word in known} == known


def test_the_first_bits_tell_words_apart_that_are_alike() -> None:
    """They name buckets: as full as chance would have it, to within five of its own deviations."""
    days = pl.Series([f"a{day:08d}{letter}{sound}" for day in range(19400100, 19400131) for letter in "ABCDEFGHIJ"
                      for sound in range(100, 1000)])  # fmt: skip
    filled = np.bincount((hashes(days) >> np.uint64(54)).astype(np.int64), minlength=1024)
    mean = len(days) / 1024
    assert abs(filled - mean).max() < 5 * mean**0.5
