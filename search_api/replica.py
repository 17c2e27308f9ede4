"""Reading one generation's replica: patients, number changes, summaries, by NHS number.

Belongs here: point and batch reads of ``replica.duckdb`` as plain values. Does not belong here:
building it (``assets/replica``), what a caller may see, FHIR.

One connection a reader, one cursor a thread. The tables are those of ``assets/replica/tables.py``. An invalidated patient is a marker without personal data, security
REDACTED. A number that was superseded or invalidated by a number change has no patient of its own: ask
``number_change`` and ``current_number``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from schemas.errors import GenerationError
from schemas.feeds import PDS_PATIENT, SCR_SUMMARY
from schemas.identifiers import format_nhs_number
from search_api import db
from search_api.records import NumberChange, PatientRecord, standing_number

_BATCH = 64
_PATIENT_COLUMNS = tuple(name for name in PDS_PATIENT.columns if name != "related_persons")
_PATIENT = "SELECT nhs_number, version_id, security, record FROM replica__pds_patient WHERE nhs_number"
_RELATED = "SELECT related FROM replica__pds_patient WHERE nhs_number = ?"
_CHANGE = 'SELECT "old", "new", change_type FROM replica__pds_number_change WHERE "old" = ?'
# Several summaries can belong to one person after a number change; the newest is the one.
_SUMMARY = (
    "SELECT record FROM replica__scr_summary WHERE nhs_number = ? "
    "ORDER BY recorded_at DESC NULLS LAST, position DESC, row_no DESC LIMIT 1"
)


class ReplicaReader:
    """A replica opened read only. Safe to use from several threads.

    Raises GenerationError on opening when the file is missing or damaged, and on every later use
    when a damaged block is met or the reader is closed.
    """

    def __init__(self, path: Path, memory_gb: float = 1.0) -> None:
        self._connection = db.open_reader(path, memory_gb)
        self._name = f"{path.parent.name}/{path.name}"
        self._local = threading.local()
        self._lock = threading.Lock()
        self._cursors: list[db.Connection] = []
        self._closed = False

    def patient(self, nhs_number: int) -> PatientRecord | None:
        """The record held under exactly this number; invalidated ones are markers (REDACTED)."""
        found = self._one(f"{_PATIENT} = ?", nhs_number)
        return _patient(found) if found else None

    def patients(self, nhs_numbers: Iterable[int]) -> dict[int, PatientRecord]:
        """Records by number; numbers without one are absent."""
        wanted = iter(dict.fromkeys(nhs_numbers))
        found: dict[int, PatientRecord] = {}
        while batch := list(islice(wanted, _BATCH)):
            marks = ", ".join("?" * len(batch))
            for values in self._all(f"{_PATIENT} IN ({marks})", batch):
                record = _patient(values)
                found[record.nhs_number] = record
        return found

    def related(self, nhs_number: int) -> list[dict[str, Any]]:
        """The patient's FHIR RelatedPerson resources, as sent."""
        found = self._one(_RELATED, nhs_number)
        if not found or found[0] is None:
            return []
        return [orjson.loads(text) for text in orjson.loads(found[0])]

    def number_change(self, nhs_number: int) -> NumberChange | None:
        """What became of this number, or None when nothing did."""
        found = self._one(_CHANGE, nhs_number)
        return NumberChange(*found) if found else None

    def current_number(self, nhs_number: int) -> int | None:
        """The number that stands now, following chains; None when the last link is invalidated.

        A number without a change is its own current number, whether or not a record exists.
        """
        return standing_number(nhs_number, self.number_change)

    def summary(self, nhs_number: int) -> dict[str, Any] | None:
        """The newest summary of this (current) number: nhs_number and the scr_summary columns."""
        found = self._one(_SUMMARY, nhs_number)
        if not found:
            return None
        columns: dict[str, Any] = dict.fromkeys(SCR_SUMMARY.columns)
        return {"nhs_number": format_nhs_number(nhs_number), **columns, **orjson.loads(found[0])}

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

    def __enter__(self) -> ReplicaReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _cursor(self) -> db.Connection:
        cursor: db.Connection | None = getattr(self._local, "cursor", None)
        if cursor is not None:
            return cursor
        with self._lock:
            if self._closed:
                raise GenerationError(f"The replica {self._name} is closed.", remedy="Pin the generation again.")
            cursor = self._connection.cursor()
            self._cursors.append(cursor)
        self._local.cursor = cursor
        return cursor

    def _one(self, sql: str, nhs_number: int) -> tuple[Any, ...] | None:
        found = self._all(sql, [nhs_number])
        return found[0] if found else None

    def _all(self, sql: str, values: Sequence[int]) -> list[tuple[Any, ...]]:
        try:
            return db.rows(self._cursor(), sql, values)
        except db.DatabaseError as error:
            # The library's text may quote values; only its type goes on.
            raise GenerationError(
                f"The replica {self._name} cannot be read ({type(error).__name__}).",
                remedy="Verify the generation with ncrs verify; roll back if it is damaged.",
            ) from None


def _patient(values: tuple[Any, ...]) -> PatientRecord:
    nhs_number, version_id, security, record = values
    columns: dict[str, Any] = dict.fromkeys(_PATIENT_COLUMNS)
    row = {"nhs_number": format_nhs_number(nhs_number), **columns, **orjson.loads(record)}
    return PatientRecord(nhs_number, version_id, security, row)
