"""Summary care records: the reference to the latest one, and the document.

Belongs here: DocumentReference and Bundle on one generation. Does not belong here: HTTP; permission to
view and legitimate relationship (``access/``, a later issue); sanitising (``schemas/fhir``).
Source: services.md 2.2 to 2.4. What is checked: the activity (the route's policy), the stored
permission, and that the patient is not restricted (``Settings.summary_of_restricted``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from schemas.fhir.bundle import document_reference_searchset
from schemas.fhir.scr import scr_bundle
from search_api import errors
from search_api.answering import Ask, Reply
from search_api.patients.records import record_of
from search_api.patients.redaction import Security
from search_api.records import PatientRecord
from search_api.staleness import require_fresh

Resource = dict[str, Any]

FEED = "scr_summary"
OPTED_OUT = "No"


@dataclass(frozen=True)
class Summary:
    """A stored summary and the number of the patient it is shown for."""

    number: int
    row: Resource

    @property
    def opted_out(self) -> bool:
        """Whether the patient said No: there is then nothing to show."""
        return bool(self.row["permission"] == OPTED_OUT)


def document_references(ask: Ask, number: int) -> Reply:
    """The searchset of the patient's summary: one entry, or total 0 without one.

    The permission is the reference's securityLabel, No included: it says that there is nothing to show.
    """
    summary = summary_of(ask, number)
    row = None if summary is None else {**summary.row, "nhs_number": summary.number}
    bundle = document_reference_searchset(row, str(uuid4()), base=ask.services.settings.scr_public_base)
    return Reply(bundle, patients=(summary.number,)) if summary else Reply(bundle, detail="absent")


def document(ask: Ask, identifier: str, number: int) -> Reply:
    """The document Bundle; an empty searchset when the identifier is not the latest (services.md 2.2)."""
    summary = summary_of(ask, number)
    if summary is None:
        return Reply(_nothing(), detail="absent")
    if summary.opted_out:
        raise errors.scr_forbidden()
    if str(summary.row["scr_uuid"]).upper() != identifier:
        return Reply(_nothing(), detail="out-of-date identifier")
    return Reply(scr_bundle(summary.row), patients=(summary.number,))


def summary_of(ask: Ask, number: int) -> Summary | None:
    """The summary held for a number, or for the number that superseded it; None when there is none.

    Raises SpineError: 403 for a restricted patient, 503 for stale data when the settings refuse it.
    """
    require_fresh(ask.generation.manifest, FEED, ask.services.settings)
    record = _record(ask, number)
    if record is None:
        return None
    if record.security != Security.UNRESTRICTED.value and not ask.services.settings.summary_of_restricted:
        raise errors.scr_withheld()
    return stored_summary(ask, record)


def stored_summary(ask: Ask, record: PatientRecord) -> Summary | None:
    """The summary stored for a record, whatever its permission."""
    row = ask.generation.replica.summary(record.nhs_number)
    return Summary(record.nhs_number, row) if row is not None else None


def _record(ask: Ask, number: int) -> PatientRecord | None:
    """A number without a record, or an invalidated one, has no summary: total 0, as SCR answers."""
    try:
        return record_of(ask.generation, number)
    except errors.SpineError:
        return None


def _nothing() -> Resource:
    return document_reference_searchset(None, str(uuid4()))
