"""The dictionary that a feed's records are packed with, made once from the first records that come.

Belongs here: which rows it is made from, and when. Does not belong here: packing (``search_api/packed.py``).

It is made from the first extract of enough rows, from the beginnings of up to ten of its parts, and
carried from file to file and generation to generation; a build from nothing makes it anew. Records packed
before there was one stay as they are. The content of the replica does not depend on it: checksums are over texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import zstandard

from assets.replica import told
from assets.replica.tables import TableSpec
from search_api import db, packed

SIZE = 112_640
PARTS, ROWS_OF_PART = 10, 600
# Fewer teach nothing, and would be kept for all that come after.
LEAST_ROWS = 1_000
# The trainer wants many times the size of what it makes.
_SAMPLE_FACTOR = 10
_LEVEL = 3
_Text: TypeAlias = bytes | bytearray | memoryview


def of(connection: db.Connection, spec: TableSpec, parts: Sequence[Path]) -> bytes:
    """The dictionary that this table's records are packed with now; empty when too few have come yet."""
    return packed.last_dictionary(packed.folder_of(connection), spec.feed) or _made(_sample(spec, parts))


def _sample(spec: TableSpec, parts: Sequence[Path]) -> list[_Text]:
    """Texts of every packed column, as they will be packed."""
    step = max(1, len(parts) // PARTS)
    found: list[_Text] = []
    rows = ROWS_OF_PART if len(parts) >= PARTS else PARTS * ROWS_OF_PART // max(1, len(parts))
    for part in parts[::step][:PARTS]:
        frame = told.first_rows(spec.feed, part, rows)
        for name in spec.packed:
            found += [text.encode() for text in frame[told.text_name(name)].drop_nulls()]
    return found


def _made(sample: list[_Text]) -> bytes:
    if len(sample) < LEAST_ROWS:
        return b""
    size = min(SIZE, sum(map(len, sample)) // _SAMPLE_FACTOR)
    try:
        return zstandard.train_dictionary(size, sample, level=_LEVEL).as_bytes()
    except zstandard.ZstdError:
        return b""  # records that have nothing in common
