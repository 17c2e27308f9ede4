"""The dictionary that a table's records are packed with, made once from the first records that come.

Belongs here: which rows it is made from, and when. Does not belong here: packing (``search_api/packed.py``).

It is made from the first extract of enough rows, from the beginnings of up to ten of its parts, and
carried from generation to generation; a build from nothing makes it anew. Records packed before there
was one stay as they are. The content of the replica does not depend on it: checksums are over texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import zstandard

from assets.replica.tables import TableSpec, parquet
from search_api import db, packed

SIZE = 112_640
PARTS, ROWS_OF_PART = 10, 600
# Fewer teach nothing, and would be kept for all that come after.
LEAST_ROWS = 1_000
# The trainer wants many times the size of what it makes.
_SAMPLE_FACTOR = 10
_Text: TypeAlias = bytes | bytearray | memoryview


def ensure(connection: db.Connection, spec: TableSpec, parts: Sequence[Path]) -> None:
    """See to it that this table has a dictionary if these parts are enough for one, and its SQL functions."""
    if not db.number(connection, f'SELECT count(*) FROM "{packed.DICTIONARY_TABLE}" WHERE feed = ?', [spec.feed]):
        made = _made(_sample(connection, spec, parts))
        if made:
            connection.execute(f'INSERT INTO "{packed.DICTIONARY_TABLE}" VALUES (?, ?)', [spec.feed, made])
    packed.install(connection, spec.feed)


def _sample(connection: db.Connection, spec: TableSpec, parts: Sequence[Path]) -> list[_Text]:
    """Texts of every packed column, as they will be packed."""
    step = max(1, len(parts) // PARTS)
    found: list[_Text] = []
    rows = ROWS_OF_PART if len(parts) >= PARTS else PARTS * ROWS_OF_PART // max(1, len(parts))
    for part in parts[::step][:PARTS]:
        texts = ", ".join(spec.made[name] for name in spec.packed)
        query = f"SELECT {texts} FROM (SELECT * FROM {parquet([part])} WHERE action <> 'delete' LIMIT {rows})"
        found += [text.encode() for values in db.rows(connection, query) for text in values if text is not None]
    return found


def _made(sample: list[_Text]) -> bytes:
    if len(sample) < LEAST_ROWS:
        return b""
    size = min(SIZE, sum(map(len, sample)) // _SAMPLE_FACTOR)
    try:
        return zstandard.train_dictionary(size, sample, level=packed.LEVEL).as_bytes()
    except zstandard.ZstdError:
        return b""  # records that have nothing in common
