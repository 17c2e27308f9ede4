"""Searchset Bundles as PDS and SCR return them.

Belongs here: the shells around resources. Does not belong here: which resources, in which order.
Shape (pds.md 1.7): ``resourceType, type, timestamp, total, entry[]``; no link, no paging, no
``search.mode``; ``entry`` is absent when there is none. SCR's DocumentReference searchset has an
``id`` and ``search.mode``, no timestamp, and the Patient beside the pointer (services.md 2.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from schemas.fhir import urls
from schemas.fhir.datatypes import Row
from schemas.fhir.scr import scr_document_reference
from schemas.fhir.values import Json
from schemas.identifiers import NHS_NUMBER_SYSTEM

# PDS shows scores with at most four places (0.8827), and 1 for an exact match.
_SCORE_PLACES = 4
_CLOSEST_BELOW_ONE = 0.9999


def _timestamp(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="seconds")


def searchset(entries: Sequence[Json], now: datetime) -> Json:
    """A searchset of ready entries; ``now`` is the time of the answer, aware, shown in UTC."""
    bundle: Json = {
        "resourceType": "Bundle",
        "type": "searchset",
        "timestamp": _timestamp(now),
        "total": len(entries),
    }
    if entries:
        bundle["entry"] = list(entries)
    return bundle


def shown_score(score: float) -> float | int:
    """A score as PDS shows it: four places, 1 when exact; a match that is not exact never shows 1."""
    if score >= 1:
        return 1
    return max(0.0, min(round(score, _SCORE_PLACES), _CLOSEST_BELOW_ONE))


def patient_searchset(matches: Sequence[tuple[Json, float]], now: datetime, *, base: str = urls.PDS_BASE) -> Json:
    """Searchset of Patients with their scores (0 to 1), in the order given, best first."""
    entries = [
        {
            "fullUrl": f"{base}/Patient/{patient['id']}",
            "search": {"score": shown_score(score)},
            "resource": patient,
        }
        for patient, score in matches
    ]
    return searchset(entries, now)


def related_person_searchset(
    nhs_number: str, people: Sequence[Json], now: datetime, *, base: str = urls.PDS_BASE
) -> Json:
    """Searchset of one patient's RelatedPersons; without scores (pds.md 2.4)."""
    entries: list[Json] = []
    for person in people:
        # RelatedPerson.id is optional in the published schema.
        tail = f"/{person['id']}" if "id" in person else ""
        entries.append({"fullUrl": f"{base}/Patient/{nhs_number}/RelatedPerson{tail}", "resource": person})
    return searchset(entries, now)


def document_reference_searchset(summary: Row | None, bundle_id: str, *, base: str = urls.SCR_BASE) -> Json:
    """Searchset of the pointer to a summary, or of nothing (total 0, services.md 2.2).

    ``summary`` is the scr_summary row with ``nhs_number``; ``bundle_id`` a UUID of the answer.
    """
    bundle: Json = {"resourceType": "Bundle", "id": bundle_id, "type": "searchset", "total": 0}
    if summary is None:
        return bundle
    pointer = scr_document_reference(summary, base=base)
    number = pointer["subject"]["reference"].removeprefix("Patient/")
    patient = {
        "resourceType": "Patient",
        "id": number,
        "identifier": [{"system": NHS_NUMBER_SYSTEM, "value": number}],
    }
    bundle["total"] = 1
    bundle["entry"] = [
        {"fullUrl": f"{base}/DocumentReference/{pointer['id']}", "resource": pointer, "search": {"mode": "match"}},
        {"fullUrl": f"{base}/Patient/{number}", "resource": patient},
    ]
    return bundle
