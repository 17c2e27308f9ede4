"""``Patient/{id}/$everything``: one Bundle with a section a service, each with as-at time and state.

Belongs here: the sections, their five states and the Composition that lists them. Does not belong
here: what each service holds. Source: architecture 4.5; FHIR R4 Patient/$everything.

The five states are never collapsed. A section without any of them was read and has something to show.

| state | means |
| --- | --- |
| absent | the service was read and holds nothing of this patient |
| refused | the service holds or may hold something that this caller may not see, and why |
| masked | the patient is restricted: fields, or all, are left out |
| failed | the service could not be read; nothing is known |
| stale | the data is older than the feed's hard limit; shown all the same unless the settings refuse |

A section may be both masked and stale. FHIR's ``emptyReason`` is set too, for readers that do not know
our extension; it is coarser: ``withheld`` for refused and masked, ``unavailable`` for the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from schemas.errors import NcrsError
from schemas.fhir.bundle import related_person_searchset
from schemas.fhir.scr import scr_bundle
from schemas.identifiers import format_nhs_number
from search_api import logging
from search_api.answering import Ask, Reply
from search_api.patients import views
from search_api.patients.bundles import EXTENSIONS
from search_api.patients.reading import related_of
from search_api.patients.records import number_of, record_of
from search_api.patients.redaction import Security
from search_api.records import PatientRecord
from search_api.staleness import feed_as_at, is_stale
from search_api.summaries.service import stored_summary

Resource = dict[str, Any]

STATE = f"{EXTENSIONS}service-state"
AS_AT = f"{EXTENSIONS}service-as-at"
REASON = f"{EXTENSIONS}service-refusal"
SERVICES = "urn:ncrs:fhir:CodeSystem:service"
EMPTY_REASONS = "http://terminology.hl7.org/CodeSystem/list-empty-reason"

ABSENT, REFUSED, MASKED, FAILED, STALE = "absent", "refused", "masked", "failed", "stale"
WITHHELD = frozenset({REFUSED, MASKED})

# What reading one service may raise; the others are still answered.
SECTION_FAULTS = (NcrsError, OSError, ValueError, TypeError, KeyError, AttributeError)


@dataclass(frozen=True)
class Part:
    """What one service gives: entries (fullUrl, resource), states, a reason code, who else is shown."""

    entries: tuple[tuple[str, Resource], ...] = ()
    states: tuple[str, ...] = ()
    reason: str | None = None
    patients: tuple[int, ...] = ()


@dataclass(frozen=True)
class Source:
    """One service of the summary: its policy is asked again, and its feed gives the as-at time."""

    key: str
    title: str
    feed: str
    policy: str
    read: Callable[[Ask, PatientRecord], Part]


def _demographics(ask: Ask, record: PatientRecord) -> Part:
    settings = ask.services.settings
    number = format_nhs_number(record.nhs_number)
    people = related_of(ask.generation, record)
    base = settings.public_base
    related = related_person_searchset(number, [person for person, _ in people], datetime.now(UTC), base=base)
    entries = [(f"{base}/Patient/{number}", views.read(record, ask.caller, settings))]
    entries += [(entry["fullUrl"], entry["resource"]) for entry in related.get("entry", ())]
    masked = (MASKED,) if record.security != Security.UNRESTRICTED.value else ()
    return Part(tuple(entries), masked, patients=tuple(other for _, numbers in people for other in numbers))


def _summary(ask: Ask, record: PatientRecord) -> Part:
    settings = ask.services.settings
    if record.security != Security.UNRESTRICTED.value and not settings.summary_of_restricted:
        return Part(states=(MASKED,))
    summary = stored_summary(ask, record)
    if summary is None:
        return Part(states=(ABSENT,))
    if summary.opted_out:
        return Part(states=(REFUSED,), reason="permission-no")
    url = f"{settings.scr_public_base}/Bundle/{summary.row['scr_uuid']}"
    return Part(((url, scr_bundle(summary.row)),))


SOURCES: tuple[Source, ...] = (
    Source("pds", "Personal Demographics Service", "pds_patient", "patient-read", _demographics),
    Source("scr", "Summary Care Record", "scr_summary", "scr-bundle", _summary),
)


def everything(ask: Ask, path_id: str) -> Reply:
    """All that the caller may see of the patient. Raises as a read by number does."""
    record = record_of(ask.generation, number_of(path_id))
    parts = [(source, _part(ask, record, source)) for source in SOURCES]
    subject = format_nhs_number(record.nhs_number)
    composition = _composition(subject, [_section(ask, source, part) for source, part in parts])
    entries: list[Resource] = [{"fullUrl": f"urn:uuid:{composition['id']}", "resource": composition}]
    entries += [{"fullUrl": url, "resource": resource} for _, part in parts for url, resource in part.entries]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}
    shown = dict.fromkeys((record.nhs_number, *(number for _, part in parts for number in part.patients)))
    detail = " ".join(f"{source.key}={'+'.join(part.states) or 'present'}" for source, part in parts)
    return Reply(bundle, patients=tuple(shown), detail=detail)


def _part(ask: Ask, record: PatientRecord, source: Source) -> Part:
    if not ask.services.gate.table.allows(source.policy, ask.caller, format_nhs_number(record.nhs_number)):
        return Part(states=(REFUSED,), reason="activity")
    manifest = ask.generation.manifest
    stale = is_stale(manifest, source.feed)
    if stale and ask.services.settings.hard_limit_refuses:
        return Part(states=(STALE,))
    try:
        part = source.read(ask, record)
    except SECTION_FAULTS as error:
        logging.event("API030", "error", service=source.key, error=type(error).__name__, place=logging.place(error))
        return Part(states=(FAILED,))
    return Part(part.entries, (*part.states, STALE), part.reason, part.patients) if stale else part


def _section(ask: Ask, source: Source, part: Part) -> Resource:
    extensions = [{"url": STATE, "valueCode": state} for state in part.states]
    as_at = feed_as_at(ask.generation.manifest, source.feed)
    if as_at is not None:
        extensions.append({"url": AS_AT, "valueInstant": as_at.isoformat()})
    if part.reason is not None:
        extensions.append({"url": REASON, "valueCode": part.reason})
    section: Resource = {
        "title": source.title,
        "code": {"coding": [{"system": SERVICES, "code": source.key, "display": source.title}]},
    }
    if extensions:
        section["extension"] = extensions
    if part.entries:
        section["entry"] = [{"reference": url} for url, _ in part.entries]
    else:
        code = "withheld" if WITHHELD & set(part.states) else "unavailable"
        section["emptyReason"] = {"coding": [{"system": EMPTY_REASONS, "code": code}], "text": ", ".join(part.states)}
    return section


def _composition(subject: str, sections: list[Resource]) -> Resource:
    return {
        "resourceType": "Composition",
        "id": str(uuid4()),
        "status": "final",
        "type": {"text": "Summary of national records"},
        "subject": {"reference": f"Patient/{subject}"},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "author": [{"display": "NCRS replica"}],
        "title": "Summary of national records",
        "section": sections,
    }
