"""Minted family names: the long tail of rare spellings that no public list holds.

Belongs here: stems and endings of English place names, and how a number becomes a name.
Does not belong here: how often a minted name is drawn (``family_names.py``).
England has a very long tail below the published 0.003 % floor; that it is 10 to 15 % of people
and of the order of a million spellings is an assumption (reference/anchors.md 7.4 item 1).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from sandbox.population.randomness import I64

_STEMS = (
    "Ash Barn Beck Black Brad Brook Burn Cal Carl Ches Clay Cliff Col Cot Cran Dal Den Dun East Ed El Fair Far Fen "
    "Fern Gar Glen Gold Gran Green Had Hal Ham Har Hart Hay Hazel Heath Hen Hol Horn Hunt Kel Kings Lang Lin Lock "
    "Long Lud Mal Mar Mel Mil Mor Nor North Oak Old Pad Pem Pen Quen Rad Raven Red Rock Row Sand Sel Shel Ship Stan "
    "Stone Sum Swin Tam Thorn Thur Tin Tor Tre Up Wal War Wes West Wet Whit Wick Wil Win Wood Wool Wor Wy Yar "
    "Al An Ast Ayl Bag Bal Ban Bar Bas Bat Bed Bel Ben Ber Bick Bir Bos Bow Box Bram Bren Brin Buck Bul Cam Can Cas "
    "Chad Chal Char Chil Clap Cleve Cold Con Cor Crick Crow Cul Dar Daw Dor Dray Dud Eas Eck Els Ever Fal Fil Fos "
    "Fram Ful Gil Gos Grim Guil Hack Had Hamp Har Hat Haw Hem"
).split()
_LINKS = "- a al am an ar ber bing by e el en er ers es et ick il in ing is le ling on or o sen ter ull un u".split()
_ENDINGS = (
    "beck berry borne bourne brook burgh burn bury by caster combe cote cott court croft dale den dish don down "
    "edge field fold foot ford garth gate grave grove hall ham head hill holme house hurst land lake leigh ley "
    "lock low man mere mond more mouth ner ness over pole pool port ridge royd sall sey shaw side son stead sted "
    "ster stock stone stow thorpe ton tree try wade wall ward water way well wick win wood worth wright yard"
).split()
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
