"""The frames that search documents are made of, read from a replica.

Belongs here: the query and its translation to nested polars columns, in pieces. Does not belong
here: documents (``search_api/index/documents.py``), writing an index.

``fingerprint`` is the hash of the replica's row (``print``, assets/replica/tables.py): the document made of
the row carries it, and so shows which row it was made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import polars as pl

from assets.replica.tables import CHANGED_TABLE, INVALIDATED, PATIENT, PATIENT_TABLE
from schemas.fields import FIELDS
from schemas.types import Kind, ListOf, Scalar, duckdb_type
from search_api import db, packed
from search_api.index.provider import checksum_of
from search_api.settings import Settings

PIECE_ROWS = 50_000
# Fewer people than this are done before other processes have started.
_MANY = 50_000
VERY_RESTRICTED = "V"
EVERYBODY = "true"
_NESTED = ("names", "addresses", "telecoms")
FLAT = ("nhs_number", "security", "gender", "birth_date", "deceased", "gp_code")


def _shape(kind: Kind) -> Any:
    if isinstance(kind, Scalar):
        return duckdb_type(kind)
    if isinstance(kind, ListOf):
        return [_shape(kind.item)]
    return {name: _shape(part) for name, part in kind.parts}


def _query(columns: str, shape: Any) -> str:
    parts = f"from_json({PATIENT.told('record')}, {db.literal(orjson.dumps(shape).decode())}) AS parts"
    return f'SELECT {columns}{parts} FROM "{PATIENT_TABLE}" WHERE {FOUND}'


FOUND = f"security <> '{INVALIDATED}'"
_QUERY = _query(f"{', '.join(FLAT)}, print AS fingerprint, ", {name: _shape(FIELDS[name].kind) for name in _NESTED})
# What is counted of names; the rest of a record is not even read.
_NAMES = _query("", {"names": [{"state": "VARCHAR", "given": ["VARCHAR"], "family": "VARCHAR"}]})
_CHANGED = f'{_QUERY} AND nhs_number IN (SELECT nhs_number FROM "{CHANGED_TABLE}")'


def document_frames(
    connection: db.Connection, rows: int = PIECE_ROWS, where: str = EVERYBODY
) -> Iterator[pl.DataFrame]:
    """Every patient who is not invalidated, of those ``where`` names, in pieces: the columns of ``documents.COLUMNS``.

    Read to the end before the connection is used again.
    """
    return _frames(connection, f"{_QUERY} AND ({where})", rows)


def name_frames(connection: db.Connection, where: str = EVERYBODY) -> Iterator[pl.DataFrame]:
    """The names alone of the same people, as far as they are counted."""
    return _frames(connection, f"{_NAMES} AND ({where})", PIECE_ROWS)


def changed_frames(connection: db.Connection, rows: int = PIECE_ROWS) -> Iterator[pl.DataFrame]:
    """The same of those whose documents have to be made again."""
    return _frames(connection, _CHANGED, rows)


def frame_of(connection: db.Connection, nhs_numbers: list[int]) -> pl.DataFrame:
    """The same of some numbers, as one frame; numbers without a document are absent."""
    listed = ", ".join(str(int(number)) for number in nhs_numbers) or "NULL"
    frames = list(_frames(connection, f"{_QUERY} AND nhs_number IN ({listed})", PIECE_ROWS))
    return pl.concat(frames) if frames else pl.DataFrame()


def count_people(connection: db.Connection) -> int:
    """How many people are in the frames."""
    return db.number(connection, f'SELECT count(*) FROM "{PATIENT_TABLE}" WHERE {FOUND}')


def expected(connection: db.Connection, *, show_very_restricted: bool) -> tuple[int, str]:
    """How many documents there ought to be, and the checksum of the rows that they ought to be made of."""
    shown = FOUND if show_very_restricted else f"{FOUND} AND security <> '{VERY_RESTRICTED}'"
    found = db.rows(connection, f'SELECT count(*), sum(print) FROM "{PATIENT_TABLE}" WHERE {shown}')[0]
    return int(found[0]), checksum_of([int(found[1] or 0)])


def processes_for(connection: db.Connection, settings: Settings) -> int:
    """How many processes are worth it for this replica, ``build_threads`` at most."""
    people = db.number(connection, f'SELECT count(*) FROM "{PATIENT_TABLE}"')
    return settings.build_threads if people >= _MANY else 1


def _frames(connection: db.Connection, query: str, rows: int) -> Iterator[pl.DataFrame]:
    packed.install(connection, PATIENT.feed)
    reader = connection.sql(query).to_arrow_reader(rows)
    for batch in reader:
        frame = pl.from_arrow(batch)
        if isinstance(frame, pl.DataFrame) and frame.height:
            yield frame.unnest("parts")
