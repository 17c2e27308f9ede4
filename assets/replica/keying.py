"""What finds a record by its number in a settled replica: a file of keys for each kind of record.

Belongs here: which rows are in it, and in what order. Does not belong here: the form of the file
(``search_api/record_keys.py``).

Made anew for each generation. The database sorts within its memory limit and gives the rows piece by piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from assets.replica.tables import PATIENT_TABLE, SUMMARY_TABLE
from search_api import db
from search_api.record_keys import PATIENTS, RELATED, SUMMARIES, Column, keys_path, write_keys

_ROWS = 500_000


@dataclass(frozen=True)
class _Kind:
    name: str
    rows: str


# Several summaries can belong to one person after a number change; the newest is the one. Only where one of them
# was sent with another number can there be several, so only those few have to be ranked.
_SHARED = f'SELECT nhs_number FROM "{SUMMARY_TABLE}" WHERE nhs_number <> sent_number'
_NEWEST = f"""
    SELECT nhs_number, record FROM "{SUMMARY_TABLE}" WHERE nhs_number NOT IN ({_SHARED})
    UNION ALL
    SELECT nhs_number, arg_max(record, (coalesce(recorded_at, '-infinity'::TIMESTAMPTZ), position, row_no, sent_number))
    FROM "{SUMMARY_TABLE}" WHERE nhs_number IN ({_SHARED}) GROUP BY nhs_number
"""
_KINDS = (
    _Kind(PATIENTS, f'SELECT nhs_number, record FROM "{PATIENT_TABLE}"'),
    _Kind(RELATED, f'SELECT nhs_number, related AS record FROM "{PATIENT_TABLE}" WHERE related IS NOT NULL'),
    _Kind(SUMMARIES, _NEWEST),
)


def write_all(connection: db.Connection, folder: Path) -> None:
    """The files of keys of a generation, from its settled tables."""
    for kind in _KINDS:
        final = keys_path(folder, kind.name)
        final.parent.mkdir(mode=0o700, exist_ok=True)
        made = final.with_name(f".{final.name}.partial")
        count = db.number(connection, f"SELECT count(*) FROM ({kind.rows})")
        write_keys(made, count, _rows(connection, f"SELECT * FROM ({kind.rows}) ORDER BY nhs_number"))
        made.rename(final)


def _rows(connection: db.Connection, query: str) -> Iterator[tuple[Column, Column]]:
    for batch in connection.sql(query).to_arrow_reader(_ROWS):
        numbers, places = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
        yield numbers, places
