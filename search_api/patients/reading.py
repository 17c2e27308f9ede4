"""Reading one patient by number: the record, its version tag, and its related people.

Belongs here: GET Patient/{id} and GET Patient/{id}/RelatedPerson on one generation.
Does not belong here: HTTP, redaction rules, number changes (``records.py``).
Source: pds.md 2.1 and 2.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from schemas.fhir.bundle import related_person_searchset
from schemas.fhir.values import dicts, mapping
from schemas.identifiers import NHS_NUMBER_SYSTEM, format_nhs_number, is_nhs_number
from search_api.answering import Ask, Reply
from search_api.headers import etag, matches_etag
from search_api.opened import Generation
from search_api.patients import views
from search_api.patients.records import number_of, record_of, security_of
from search_api.patients.redaction import Security, related_view
from search_api.records import PatientRecord
from search_api.staleness import require_fresh

Resource = dict[str, Any]

FEED = "pds_patient"

# A cached copy is asked about before it is used, and only by whom it was sent to: another role may
# see less of the same version (promises.md section 6, conditional reads).
READ_HEADERS = {"cache-control": "private, no-cache", "vary": "Authorization, NHSD-Session-URID"}


def read_patient(ask: Ask, path_id: str, if_none_match: str | None) -> Reply:
    """The patient, or 304 when the caller holds this version. A superseded number gives another id."""
    record = _record(ask, path_id)
    tag = etag(record.version_id)
    headers = {**READ_HEADERS, "etag": tag}
    if matches_etag(if_none_match, tag):
        return Reply(None, 304, (record.nhs_number,), headers)
    body = views.read(record, ask.caller, ask.services.settings)
    return Reply(body, 200, (record.nhs_number,), headers)


def related_people(ask: Ask, path_id: str) -> Reply:
    """The related people; none are shown of a restricted patient, and the patient is still audited."""
    record = _record(ask, path_id)
    people = related_of(ask.generation, record)
    number = format_nhs_number(record.nhs_number)
    base = ask.services.settings.public_base
    bundle = related_person_searchset(number, [resource for resource, _ in people], datetime.now(UTC), base=base)
    others = (other for _, numbers in people for other in numbers)
    return Reply(bundle, patients=(record.nhs_number, *dict.fromkeys(others)))


def _record(ask: Ask, path_id: str) -> PatientRecord:
    require_fresh(ask.generation.manifest, FEED, ask.services.settings)
    return record_of(ask.generation, number_of(path_id))


def related_of(generation: Generation, record: PatientRecord) -> list[tuple[Resource, tuple[int, ...]]]:
    """Related people as they may be shown, each with the NHS numbers of other patients it names."""
    if record.security != Security.UNRESTRICTED.value:
        return []
    people: list[tuple[Resource, tuple[int, ...]]] = []
    for resource in generation.replica.related(record.nhs_number):
        numbers = tuple(dict.fromkeys(_numbers(resource, record.nhs_number)))
        for other in numbers:
            resource = related_view(resource, security_of(generation, other))
        people.append((resource, numbers))
    return people


def _numbers(resource: Resource, subject: int) -> Iterator[int]:
    """NHS numbers of people other than the subject that a RelatedPerson names."""
    identifiers = [*dicts(resource.get("identifier")), mapping(mapping(resource.get("patient")).get("identifier"))]
    reference = str(mapping(resource.get("patient")).get("reference", "")).rsplit("/", 1)[-1]
    texts = [str(item.get("value", "")) for item in identifiers if item.get("system") == NHS_NUMBER_SYSTEM]
    for text in (*texts, reference):
        if is_nhs_number(text) and int(text) != subject:
            yield int(text)
