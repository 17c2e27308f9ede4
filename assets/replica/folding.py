"""The files of packed records of a replica: those of the base that are still needed, and few of them.

Belongs here: which files a new generation takes over, and packing small ones together. Does not belong here: the form
of a file (``search_api/record_files.py``), adding records (``apply.py``).

A file is never changed, so generations share it by hard links; each extract adds a file of its own. Once a feed has too
many, all but the largest are packed into one. A record that was replaced stays in its file until nothing of the file is
used or it is packed anew; a build from nothing leaves none.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from assets.replica.tables import PATIENT, PATIENT_TABLE, SUMMARY, SUMMARY_TABLE, WAITING_TABLE, TableSpec
from search_api import db, packed
from search_api.record_files import FOLDER, file_path, first_place

MOST_FILES = 16
_TABLES = {PATIENT.feed: (PATIENT_TABLE,), SUMMARY.feed: (SUMMARY_TABLE, WAITING_TABLE)}
_SPECS = (PATIENT, SUMMARY)


def take_over(connection: db.Connection, base: Path, folder: Path) -> None:
    """Hard-link the base's files that the tables, which are the base's still, speak of."""
    (folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
    for spec in _SPECS:
        for number in _used(connection, spec):
            _link(file_path(base, spec.feed, number), file_path(folder, spec.feed, number))


def fold(connection: db.Connection, folder: Path) -> None:
    """Pack small files together where a feed has too many. Again is harmless."""
    for spec in _SPECS:
        used = _used(connection, spec)
        if len(used) <= MOST_FILES:
            continue
        packed.install(connection, spec.feed)
        largest = max(used, key=lambda number: file_path(folder, spec.feed, number).stat().st_size)
        with (
            packed.storing(connection, spec.feed, packed.last_dictionary(folder, spec.feed)) as writer,
            db.transaction(connection),
        ):
            writer.begin()
            for table, column in _columns(spec):
                _pack_anew(connection, spec, (table, column), largest)
            writer.sync()


def _pack_anew(connection: db.Connection, spec: TableSpec, where: tuple[str, str], largest: int) -> None:
    """Rows whose record is in any file but the largest get a new place."""
    table, column = where
    new = f'{packed.pack_name(spec.feed)}({packed.unpack_name(spec.feed)}("{column}"))'
    connection.execute(
        f'UPDATE "{table}" SET "{column}" = {new} '
        f'WHERE "{column}" < {first_place(largest)} OR "{column}" >= {first_place(largest + 1)}'
    )


def _used(connection: db.Connection, spec: TableSpec) -> list[int]:
    """Numbers of the files that rows speak of."""
    numbers: set[int] = set()
    for table, column in _columns(spec):
        query = f'SELECT DISTINCT "{column}" // {first_place(1)} FROM "{table}" WHERE "{column}" IS NOT NULL'
        numbers |= {int(row[0]) for row in db.rows(connection, query)}
    return sorted(numbers)


def _columns(spec: TableSpec) -> Iterator[tuple[str, str]]:
    for table in _TABLES[spec.feed]:
        for column in spec.packed:
            yield table, column


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)
