"""Reading one generation's replica: patients, number changes, summaries, by NHS number.

Belongs here: point and batch reads of ``replica.duckdb`` as plain values. Does not belong here:
building it (``assets/replica``), what a caller may see, FHIR.

One connection a reader, one cursor and one unpacker of each kind a thread. The tables are those of ``assets/replica/tables.py``. An invalidated patient is a marker without personal data, security
REDACTED. Records are packed (``packed.py``); one column is read of a record, for every other costs a
point read a tenth more. A number that was superseded or invalidated by a number change has no patient of its own: ask
``number_change`` and ``current_number``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from schemas.errors import GenerationError
from schemas.feeds import PDS_PATIENT, SCR_SUMMARY, Feed
from schemas.identifiers import format_nhs_number
from search_api import db, packed
from search_api.records import NumberChange, PatientRecord, standing_number

_PATIENT_COLUMNS = tuple(name for name in PDS_PATIENT.columns if name != "related_persons")
_PATIENT = "SELECT record FROM replica__pds_patient WHERE nhs_number = ?"
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
        self._connection = db.open_reader(path, memory_gb, points=True)
        self._name = f"{path.parent.name}/{path.name}"
        self._packings = self._read_packings()
        self._local = threading.local()
        self._lock = threading.Lock()
        self._cursors: list[db.Connection] = []
        self._closed = False

    def patient(self, nhs_number: int) -> PatientRecord | None:
        """The record held under exactly this number; invalidated ones are markers (REDACTED)."""
        found = self._one(_PATIENT, nhs_number)
        return _patient(nhs_number, self._unpacked(PDS_PATIENT, found[0])) if found else None

    def patients(self, nhs_numbers: Iterable[int]) -> dict[int, PatientRecord]:
        """Records by number; numbers without one are absent."""
        # One by one: a list of numbers is looked for in every row group, a single one only where it can be.
        read = ((number, self.patient(number)) for number in dict.fromkeys(nhs_numbers))
        return {number: record for number, record in read if record is not None}

    def related(self, nhs_number: int) -> list[dict[str, Any]]:
        """The patient's FHIR RelatedPerson resources, as sent."""
        found = self._one(_RELATED, nhs_number)
        if not found or found[0] is None:
            return []
        return [orjson.loads(text) for text in self._unpacked(PDS_PATIENT, found[0])]

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
        return {"nhs_number": format_nhs_number(nhs_number), **columns, **self._unpacked(SCR_SUMMARY, found[0])}

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

    def _queries(self) -> db.Queries:
        queries: db.Queries | None = getattr(self._local, "queries", None)
        if queries is not None:
            return queries
        with self._lock:
            if self._closed:
                raise GenerationError(f"The replica {self._name} is closed.", remedy="Pin the generation again.")
            cursor = self._connection.cursor()
            self._cursors.append(cursor)
        self._local.queries = queries = db.Queries(cursor)
        return queries

    def _read_packings(self) -> dict[str, packed.Packing]:
        try:
            return {feed.name: packed.packing_of(self._connection, feed.name) for feed in (PDS_PATIENT, SCR_SUMMARY)}
        except db.DatabaseError as error:
            self._connection.close()
            raise self._damaged(error) from None

    def _unpacked(self, feed: Feed, record: bytes) -> Any:
        """What a packed text says."""
        unpackers: dict[str, Any] | None = getattr(self._local, "unpackers", None)
        if unpackers is None:
            unpackers = {name: packing.unpacker() for name, packing in self._packings.items()}
            self._local.unpackers = unpackers
        try:
            return orjson.loads(unpackers[feed.name](record))
        except (packed.PackingError, orjson.JSONDecodeError) as error:
            raise self._damaged(error) from None

    def _one(self, sql: str, nhs_number: int) -> tuple[Any, ...] | None:
        found = self._all(sql, [nhs_number])
        return found[0] if found else None

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
