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

from schemas.fhir.scr import scr_bundle, scr_document_reference
from schemas.identifiers import NHS_NUMBER_SYSTEM, format_nhs_number
from search_api import errors
from search_api.answering import Ask, Reply
from search_api.patients.records import record_of
from search_api.patients.redaction import Security
from search_api.replica import PatientRecord
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
    if summary is None:
        return Reply(_searchset([]), detail="absent")
    reference = scr_document_reference(
        {**summary.row, "nhs_number": summary.number}, base=ask.services.settings.scr_public_base
    )
    url = f"{ask.services.settings.scr_public_base}/DocumentReference/{reference['id']}"
    entries: list[Resource] = [
        {"fullUrl": url, "resource": reference, "search": {"mode": "match"}},
        _subject_entry(summary.number),
    ]
    return Reply({**_searchset(entries), "total": 1}, patients=(summary.number,))


def document(ask: Ask, identifier: str, number: int) -> Reply:
    """The document Bundle; an empty searchset when the identifier is not the latest (services.md 2.2)."""
    summary = summary_of(ask, number)
    if summary is None:
        return Reply(_searchset([]), detail="absent")
    if summary.opted_out:
        raise errors.scr_forbidden()
    if str(summary.row["scr_uuid"]).upper() != identifier:
        return Reply(_searchset([]), detail="out-of-date identifier")
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


def _searchset(entries: list[Resource]) -> Resource:
    bundle: Resource = {"resourceType": "Bundle", "id": str(uuid4()), "type": "searchset", "total": len(entries)}
    if entries:
        bundle["entry"] = entries
    return bundle


def _subject_entry(number: int) -> Resource:
    text = format_nhs_number(number)
    identifier = {"system": NHS_NUMBER_SYSTEM, "value": text}
    return {
        "fullUrl": f"Patient/{text}",
        "resource": {"resourceType": "Patient", "id": text, "identifier": [identifier]},
        "search": {"mode": "include"},
    }
