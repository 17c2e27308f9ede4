"""Minted family names: the long tail of rare spellings that no public list holds.

Belongs here: how a number becomes a name, from stems and endings of English place names.
Does not belong here: how often a minted name is drawn (``family_names.py``).
England has a very long tail below the published 0.003 % floor; that it is 10 to 15 % of people
and of the order of a million spellings is an assumption (reference/anchors.md 7.4 item 1).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from sandbox.population.randomness import I64
from sandbox.population.vocabulary import vocabulary

_STEMS, _LINKS, _ENDINGS = (vocabulary()[part] for part in ("stems", "links", "endings"))
_FINALS = ("", "s")

_ROOT_COUNT = len(_STEMS) * len(_LINKS)
_SUFFIX_COUNT = len(_ENDINGS) * len(_FINALS)
SPELLINGS = _ROOT_COUNT * _SUFFIX_COUNT

_ROOTS = pl.Series("root", [stem + link.strip("-") for link in _LINKS for stem in _STEMS], dtype=pl.String)
_SUFFIXES = pl.Series("suffix", [end + final for final in _FINALS for end in _ENDINGS], dtype=pl.String)


def minted(ranks: I64) -> pl.Series:
    """The minted name of each rank in [0, SPELLINGS); neighbouring ranks share neither part."""
    root = ranks % _ROOT_COUNT
    suffix = (ranks // _ROOT_COUNT + root * 7) % _SUFFIX_COUNT
    parts = pl.DataFrame([_ROOTS.gather(root), _SUFFIXES.gather(suffix)])
    return parts.select(pl.concat_str("root", "suffix"))["root"]


def minted_list(count: int) -> list[str]:
    """The first ``count`` minted names."""
    return [str(name) for name in minted(np.arange(count, dtype=np.int64))]
