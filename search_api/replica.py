"""Reading one generation's replica: patients, number changes, summaries, by NHS number.

Belongs here: point and batch reads of a generation's folder as plain values. Does not belong here:
building it (``assets/replica``), what a caller may see, FHIR.

A record is found in a file of keys and read from a file of packed records, beside the database and without it: the
database takes longer to understand a question than that takes (docs/decisions/0022). The database answers for the few
numbers that were changed, and for counts. One cursor and one reader of records a thread. An invalidated patient is a
marker without personal data, security REDACTED. A number that was superseded or invalidated by a number change has no
patient of its own: ask ``number_change`` and ``current_number``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import orjson

from schemas.errors import GenerationError
from schemas.feeds import PDS_PATIENT, SCR_SUMMARY, Feed
from schemas.identifiers import format_nhs_number
from search_api import db
from search_api.record_files import DamagedRecord, RecordFiles, RecordReader
from search_api.record_keys import PATIENTS, RELATED, SUMMARIES, Column, KeyFile, keys_path
from search_api.records import NumberChange, PatientRecord, standing_number

_PATIENT_COLUMNS = tuple(name for name in PDS_PATIENT.columns if name != "related_persons")
_CHANGE = 'SELECT "old", "new", change_type FROM replica__pds_number_change WHERE "old" = ?'
_CHANGED = 'SELECT "old" FROM replica__pds_number_change ORDER BY "old"'


class ReplicaReader:
    """A replica opened read only. Safe to use from several threads.

    Raises GenerationError on opening when the file is missing or damaged, and on every later use
    when a damaged block is met or the reader is closed.
    """

    def __init__(self, path: Path, memory_gb: float = 1.0) -> None:
        self._connection = db.open_reader(path, memory_gb, points=True)
        self._name = f"{path.parent.name}/{path.name}"
        self._files = {feed.name: RecordFiles(path.parent, feed.name) for feed in (PDS_PATIENT, SCR_SUMMARY)}
        self._keys, self._changed = self._opened(path.parent)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._cursors: list[db.Connection] = []
        self._closed = False

    def patient(self, nhs_number: int) -> PatientRecord | None:
        """The record held under exactly this number; invalidated ones are markers (REDACTED)."""
        found = self._read(PATIENTS, PDS_PATIENT, nhs_number)
        return None if found is None else _patient(nhs_number, found)

    def patients(self, nhs_numbers: Iterable[int]) -> dict[int, PatientRecord]:
        """Records by number; numbers without one are absent."""
        read = ((number, self.patient(number)) for number in dict.fromkeys(nhs_numbers))
        return {number: record for number, record in read if record is not None}

    def related(self, nhs_number: int) -> list[dict[str, Any]]:
        """The patient's FHIR RelatedPerson resources, as sent."""
        found = self._read(RELATED, PDS_PATIENT, nhs_number)
        return [] if found is None else [orjson.loads(text) for text in found]

    def number_change(self, nhs_number: int) -> NumberChange | None:
        """What became of this number, or None when nothing did."""
        at = int(self._changed.searchsorted(nhs_number))
        if at == len(self._changed) or self._changed[at] != nhs_number:
            return None
        found = self._all(_CHANGE, [nhs_number])
        return NumberChange(*found[0]) if found else None

    def current_number(self, nhs_number: int) -> int | None:
        """The number that stands now, following chains; None when the last link is invalidated.

        A number without a change is its own current number, whether or not a record exists.
        """
        return standing_number(nhs_number, self.number_change)

    def summary(self, nhs_number: int) -> dict[str, Any] | None:
        """The newest summary of this (current) number: nhs_number and the scr_summary columns."""
        found = self._read(SUMMARIES, SCR_SUMMARY, nhs_number)
        if found is None:
            return None
        columns: dict[str, Any] = dict.fromkeys(SCR_SUMMARY.columns)
        return {"nhs_number": format_nhs_number(nhs_number), **columns, **found}

    def count(self, table: str) -> int:
        """Rows of one replica table, by its name in the manifest."""
        found = self._all(f'SELECT count(*) FROM "{table}"', [])  # noqa: S608 - a name of ours
        return int(found[0][0])

    def close(self) -> None:
        """Release the file; a read that runs in another thread ends with GenerationError."""
        with self._lock:
            self._closed = True
            for cursor in self._cursors:
                cursor.close()
            self._cursors.clear()
            self._connection.close()
            for files in self._files.values():
                files.close()

    def __enter__(self) -> ReplicaReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _queries(self) -> db.Queries:
        queries: db.Queries | None = getattr(self._local, "queries", None)
        if queries is not None:
            return queries
        with self._lock:
            if self._closed:
                raise self._gone()
            cursor = self._connection.cursor()
            self._cursors.append(cursor)
        self._local.queries = queries = db.Queries(cursor)
        return queries

    def _opened(self, folder: Path) -> tuple[dict[str, KeyFile], Column]:
        """The files of keys, and the numbers that were changed."""
        try:
            keys = {kind: KeyFile(keys_path(folder, kind)) for kind in (PATIENTS, RELATED, SUMMARIES)}
            changed = [row[0] for row in db.rows(self._connection, _CHANGED)]
        except (DamagedRecord, db.DatabaseError) as error:
            self._connection.close()
            raise self._damaged(error) from None
        return keys, np.array(changed, np.int64)

    def _read(self, kind: str, feed: Feed, nhs_number: int) -> Any:
        """What the record of this kind and number says; None where there is none."""
        place = self._keys[kind].find(nhs_number)
        if self._closed:
            raise self._gone()
        if place is None:
            return None
        readers: dict[str, RecordReader] | None = getattr(self._local, "readers", None)
        if readers is None:
            readers = {name: files.reader() for name, files in self._files.items()}
            self._local.readers = readers
        try:
            return orjson.loads(readers[feed.name].text(place))
        except (DamagedRecord, orjson.JSONDecodeError) as error:
            raise self._damaged(error) from None

    def _gone(self) -> GenerationError:
        return GenerationError(f"The replica {self._name} is closed.", remedy="Pin the generation again.")

    def _all(self, sql: str, values: Sequence[int]) -> list[tuple[Any, ...]]:
        try:
            return self._queries().rows(sql, values)
        except db.DatabaseError as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> GenerationError:
        """The libraries' texts may quote values; only the type goes on."""
        return GenerationError(
            f"The replica {self._name} cannot be read ({type(error).__name__}).",
            remedy="Verify the generation with ncrs verify; roll back if it is damaged.",
        )


def _patient(nhs_number: int, record: dict[str, Any]) -> PatientRecord:
    columns: dict[str, Any] = dict.fromkeys(_PATIENT_COLUMNS)
    row = {"nhs_number": format_nhs_number(nhs_number), **columns, **record}
    return PatientRecord(nhs_number, record["version_id"], record["security"], row)
