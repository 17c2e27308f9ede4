"""The frames that search documents are made of, read from a replica.

Belongs here: the query and its translation to nested polars columns, in pieces. Does not belong
here: documents (``search_api/index/documents.py``), writing an index.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import polars as pl

from assets.replica.tables import CHANGED_TABLE, INVALIDATED, PATIENT_TABLE
from schemas.fields import FIELDS
from schemas.types import Kind, ListOf, Scalar, duckdb_type
from search_api import db
from search_api.settings import Settings

PIECE_ROWS = 50_000
# Fewer people than this are done before other processes have started.
_MANY = 50_000
_NESTED = ("names", "addresses", "telecoms")
_FLAT = ("nhs_number", "security", "gender", "birth_date", "deceased", "gp_code")


def _shape(kind: Kind) -> Any:
    if isinstance(kind, Scalar):
        return duckdb_type(kind)
    if isinstance(kind, ListOf):
        return [_shape(kind.item)]
    return {name: _shape(part) for name, part in kind.parts}


_SHAPE = orjson.dumps({name: _shape(FIELDS[name].kind) for name in _NESTED}).decode()
_QUERY = (
    f"SELECT {', '.join(_FLAT)}, from_json(record, {db.literal(_SHAPE)}) AS parts "
    f"FROM \"{PATIENT_TABLE}\" WHERE security <> '{INVALIDATED}'"
)
_CHANGED = f'{_QUERY} AND nhs_number IN (SELECT nhs_number FROM "{CHANGED_TABLE}")'


def document_frames(connection: db.Connection, rows: int = PIECE_ROWS) -> Iterator[pl.DataFrame]:
    """Every patient who is not invalidated, in pieces: the columns of ``documents.COLUMNS``.

    Read to the end before the connection is used again.
    """
    return _frames(connection, _QUERY, rows)


def changed_frames(connection: db.Connection, rows: int = PIECE_ROWS) -> Iterator[pl.DataFrame]:
    """The same of those whose documents have to be made again."""
    return _frames(connection, _CHANGED, rows)


def frame_of(connection: db.Connection, nhs_numbers: list[int]) -> pl.DataFrame:
    """The same of some numbers, as one frame; numbers without a document are absent."""
    listed = ", ".join(str(int(number)) for number in nhs_numbers) or "NULL"
    frames = list(_frames(connection, f"{_QUERY} AND nhs_number IN ({listed})", PIECE_ROWS))
    return pl.concat(frames) if frames else pl.DataFrame()


def count_people(connection: db.Connection) -> int:
    """How many people have a document."""
    return db.number(connection, f"SELECT count(*) FROM \"{PATIENT_TABLE}\" WHERE security <> '{INVALIDATED}'")


def processes_for(connection: db.Connection, settings: Settings) -> int:
    """How many processes are worth it for this replica, ``build_threads`` at most."""
    people = db.number(connection, f'SELECT count(*) FROM "{PATIENT_TABLE}"')
    return settings.build_threads if people >= _MANY else 1


def _frames(connection: db.Connection, query: str, rows: int) -> Iterator[pl.DataFrame]:
    reader = connection.sql(query).to_arrow_reader(rows)
    for batch in reader:
        frame = pl.from_arrow(batch)
        if isinstance(frame, pl.DataFrame) and frame.height:
            yield frame.unnest("parts")
