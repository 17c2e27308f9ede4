"""Records of one generation by NHS number: what every store of them can be asked.

Belongs here: the interface and its plain values. Does not belong here: a store (``replica.py`` reads
DuckDB, ``cluster/records.py`` OpenSearch), what a caller may see, FHIR.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class PatientRecord:
    """One patient. ``row`` holds nhs_number (ten digits) and the pds_patient columns in row form,
    related_persons left out (``RecordsReader.related``)."""

    nhs_number: int
    version_id: int
    security: str
    row: dict[str, Any]


@dataclass(frozen=True)
class NumberChange:
    """``old`` was superseded by ``new``, or invalidated: then ``new`` is None and nothing links."""

    old: int
    new: int | None
    change_type: str


class RecordsReader(Protocol):
    """The records of one generation, opened read only. Safe to use from several threads.

    Every read raises GenerationError when the store is damaged or closed, PassingFault when it cannot be reached.
    """

    def patient(self, nhs_number: int) -> PatientRecord | None:
        """The record held under exactly this number; invalidated ones are markers (REDACTED)."""
        ...

    def patients(self, nhs_numbers: Iterable[int]) -> dict[int, PatientRecord]:
        """Records by number; numbers without one are absent."""
        ...

    def related(self, nhs_number: int) -> list[dict[str, Any]]:
        """The patient's FHIR RelatedPerson resources, as sent."""
        ...

    def number_change(self, nhs_number: int) -> NumberChange | None:
        """What became of this number, or None when nothing did."""
        ...

    def current_number(self, nhs_number: int) -> int | None:
        """The number that stands now, following chains; None when the last link is invalidated.

        A number without a change is its own current number, whether or not a record exists.
        """
        ...

    def summary(self, nhs_number: int) -> dict[str, Any] | None:
        """The newest summary of this (current) number: nhs_number and the scr_summary columns."""
        ...

    def count(self, table: str) -> int:
        """Rows of one replica table, by its name in the manifest."""
        ...

    def close(self) -> None:
        """Let go of what is held; nothing may be asked afterwards."""
        ...


def standing_number(nhs_number: int, change_of: Callable[[int], NumberChange | None]) -> int | None:
    """The number that stands now, link by link; None when the last one is invalidated, or the links go round."""
    seen = {nhs_number}
    current = nhs_number
    while change := change_of(current):
        if change.new is None or change.new in seen:
            return None
        current = change.new
        seen.add(current)
    return current
