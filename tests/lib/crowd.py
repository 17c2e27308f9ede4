"""A seeded crowd of synthetic people as a frame, made column by column: for load, not for realism.

Belongs here: bulk people for benchmarks and large tests. Does not belong here: the realistic
population of the sandbox, which travels through extracts only.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from tests.lib.index import SCHEMA

_ONSETS = ("B", "BR", "C", "CH", "D", "F", "G", "H", "J", "K", "L", "M", "N", "P", "R", "S", "ST", "T", "TH", "W")
_VOWELS = ("A", "E", "I", "O", "U", "EA", "OO", "Y")
_ENDINGS = ("LEY", "TON", "SON", "MAN", "WELL", "TT", "RD", "LL", "N", "S", "FORD", "DALE", "KER", "NER", "SH")


def _vocabulary(rng: np.random.Generator, size: int) -> np.ndarray:
    """``size`` distinct pronounceable words; the shorter ones tend to come first."""
    count = size * 3
    onset, vowel, ending = (np.array(part) for part in (_ONSETS, _VOWELS, _ENDINGS))
    words = np.char.add(rng.choice(onset, count), rng.choice(vowel, count))
    for share in (0.6, 0.25):
        more = np.char.add(rng.choice(onset, count), rng.choice(vowel, count))
        words = np.char.add(words, np.where(rng.random(count) < share, more, ""))
    words = np.char.add(words, rng.choice(ending, count))
    return np.array(list(dict.fromkeys(np.char.capitalize(words).tolist()))[:size])


def _skewed(rng: np.random.Generator, words: np.ndarray, count: int, exponent: float) -> np.ndarray:
    ranks = np.arange(1, len(words) + 1, dtype=float)
    shares = 1.0 / (ranks + 5) ** exponent
    return words[rng.choice(len(words), size=count, p=shares / shares.sum())]


def crowd(count: int, seed: int = 1) -> pl.DataFrame:
    """``count`` people: skewed names, one or two given names, a third moved house, a quarter renamed."""
    rng = np.random.default_rng(seed)
    families, givens = _vocabulary(rng, min(40_000, max(200, count // 20))), _vocabulary(rng, 3_000)
    family, first = _skewed(rng, families, count, 1.0), _skewed(rng, givens, count, 1.0)
    second, former = _skewed(rng, givens, count, 1.0), _skewed(rng, families, count, 1.0)
    days = rng.integers(np.datetime64("1930-01-01").astype(int), np.datetime64("2024-12-31").astype(int), count)
    born = days.astype("datetime64[D]").astype(str)
    codes = np.array([f"{a}{d} {s}{x}{y}" for a in ("LS", "DN", "M", "SW") for d in range(1, 29) for s in range(9)
                      for x in "ABDEFG" for y in "HJLNPQ"])  # fmt: skip
    here, before = codes[rng.integers(0, len(codes), count)], codes[rng.integers(0, len(codes), count)]
    renamed, moved = rng.random(count) < 0.25, rng.random(count) < 0.33
    middle = rng.random(count) < 0.7
    columns = {
        "nhs_number": (9_000_000_000 + np.arange(count)).tolist(),
        "security": np.where(rng.random(count) < 0.002, "R", "U").tolist(),
        "gender": np.where(rng.random(count) < 0.5, "male", "female").tolist(),
        "birth_date": born.tolist(),
        "deceased": [None] * count,
        "gp_code": np.char.add("Y", rng.integers(10000, 17000, count).astype(str)).tolist(),
        "names": [
            [{"state": "current", "use": "usual", "given": [f, s] if m else [f], "family": fam}]
            + ([{"state": "historic", "use": "maiden", "given": [f], "family": old}] if r else [])
            for f, s, m, fam, old, r in zip(first.tolist(), second.tolist(), middle.tolist(), family.tolist(),
                                            former.tolist(), renamed.tolist(), strict=True)
        ],
        "addresses": [
            [{"state": "current", "use": "home", "lines": [f"{i % 200} High Street"], "postcode": pc}]
            + ([{"state": "historic", "use": "home", "lines": [f"{i % 90} Old Road"], "postcode": old}] if m else [])
            for i, (pc, old, m) in enumerate(zip(here.tolist(), before.tolist(), moved.tolist(), strict=True))
        ],
        "telecoms": [
            [{"state": "current", "system": "phone", "use": "home", "value": f"0770{i:07d}"}]
            + ([{"state": "current", "system": "email", "use": "home", "value": f"p{i}@example.com"}] if i % 2 else [])
            for i in range(count)
        ],
    }  # fmt: skip
    return pl.DataFrame(columns, schema=SCHEMA)
