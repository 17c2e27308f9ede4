"""SCR GP Summary: document Bundle to row form and back, and its DocumentReference.

Belongs here: the document around the sections. Does not belong here: the sections' contents
(``scr_sections.py``), sanitising (``narrative.py``), permission to view (``search_api/summaries``).
The Bundle is kept as sent (``bundle_json``) and the raw sections beside the parsed rows; only
``scr_bundle`` sanitises. Source: services.md 2.2 to 2.4 and 2.7.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.fhir import urls
from schemas.fhir.codes import concept_code
from schemas.fhir.datatypes import Row
from schemas.fhir.narrative import with_sanitised_narratives
from schemas.fhir.scr_sections import SectionReading, read_section
from schemas.fhir.values import Json, dicts, from_json_text, json_text, mapping, text
from schemas.identifiers import NHS_NUMBER_SYSTEM, ODS_CODE_SYSTEM

SUMMARY_TYPE = {"system": urls.SNOMED, "code": "196981000000101", "display": "General Practice Summary"}

# Labels the published sections put before the value they show.
_SENT_LABEL = "Summary Sent:"
_AUTHOR_LABEL = "Created by:"


def _resources(bundle: Json) -> list[Json]:
    return [mapping(entry.get("resource")) for entry in dicts(bundle.get("entry"))]


def _first(resources: list[Json], resource_type: str) -> Json:
    return next((item for item in resources if item.get("resourceType") == resource_type), {})


def _identifier(resource: Json, system: str | None = None) -> str | None:
    """Value of the identifier (one or a list) of this system, or of the first of any."""
    identifiers = resource.get("identifier")
    for item in [identifiers] if isinstance(identifiers, dict) else dicts(identifiers):
        if system is None or item.get("system") == system:
            return text(item.get("value"))
    return None


def _referred(resources: list[Json], reference: object) -> Json:
    """The resource of the Bundle that a Reference names by ``Type/id`` or bare id, or {}."""
    name = text(mapping(reference).get("reference"))
    if name is None:
        return {}
    wanted = name.removeprefix("urn:uuid:").rsplit("/", 1)[-1]
    kind = name.rsplit("/", 2)[-2] if "/" in name else None
    for item in resources:
        if item.get("id") == wanted and kind in (None, item.get("resourceType")):
            return item
    return {}


def bundle_subject(bundle: Json) -> str | None:
    """NHS number of the summary's subject, or None: the Composition's, else the only Patient's."""
    resources = _resources(bundle)
    subject = mapping(_first(resources, "Composition").get("subject"))
    number = _identifier(subject, NHS_NUMBER_SYSTEM)
    patient = _referred(resources, subject) or _first(resources, "Patient")
    return number or _identifier(patient, NHS_NUMBER_SYSTEM)


def bundle_written_at(bundle: Json) -> str | None:
    """When the source wrote the document: Composition.meta.lastUpdated, else its date, as sent."""
    composition = _first(_resources(bundle), "Composition")
    return text(mapping(composition.get("meta")).get("lastUpdated")) or text(composition.get("date"))


def _sections(composition: Json) -> Iterator[Json]:
    """Sections in order, each before the sections inside it."""
    for section in dicts(composition.get("section")):
        yield section
        yield from _sections(section)


def _practice_code(resources: list[Json], composition: Json) -> str | None:
    """ODS code of the author's organisation, else of the custodian."""
    for reference in [*dicts(composition.get("author")), mapping(composition.get("custodian"))]:
        author = _referred(resources, reference)
        if author.get("resourceType") != "Organization":
            author = _referred(resources, author.get("organization"))
        code = _identifier(author, ODS_CODE_SYSTEM)
        if code is not None:
            return code
    return None


def _practitioner_name(resources: list[Json], composition: Json) -> str | None:
    for reference in dicts(composition.get("author")):
        role = _referred(resources, reference)
        person = role if role.get("resourceType") == "Practitioner" else _referred(resources, role.get("practitioner"))
        names = dicts(person.get("name"))
        if names and text(names[0].get("text")):
            return text(names[0].get("text"))
    return None


def _statement(readings: list[SectionReading], name: str, label: str) -> str | None:
    """Text of the last element with this id, without its label (SendTime: last section)."""
    for reading in reversed(readings):
        shown = reading.statements.get(name)
        if shown:
            return shown.removeprefix(label).strip()
    return None


def scr_row(bundle: Json, permission: str) -> Json:
    """The scr_summary columns of a document Bundle; ``permission`` is No, Ask or Yes.

    Never fails on odd content; raises DataFault ``RECORD_TOO_DEEP`` only (values.py).
    """
    resources = _resources(bundle)
    composition = _first(resources, "Composition")
    sections, readings = [], []
    for section in _sections(composition):
        code, html = concept_code(section.get("code")), text(mapping(section.get("text")).get("div"))
        sections.append({"code": code, "title": text(section.get("title")), "html": html})
        readings.append(read_section(code, html or ""))
    rows = [row for reading in readings for row in reading.rows]
    author = _statement(readings, "Author", _AUTHOR_LABEL)
    return {
        "scr_uuid": _identifier(composition) or text(composition.get("id")) or _identifier(bundle),
        "created": text(composition.get("date")),
        "sent": _statement(readings, "SendTime", _SENT_LABEL),
        "practice_code": _practice_code(resources, composition),
        "author_name": author or _practitioner_name(resources, composition),
        "permission": permission,
        "has_additional_information": any(reading.has_content for reading in readings),
        "has_withheld_items": any(reading.has_withheld for reading in readings),
        "sections": sections or None,
        "section_rows": rows or None,
        "bundle_json": json_text(bundle),
    }


def scr_bundle(row: Row) -> Json:
    """The document Bundle for serving: narratives sanitised, everything else as sent."""
    bundle: Json = with_sanitised_narratives(from_json_text(row["bundle_json"]))
    return bundle


def scr_document_reference(row: Row, *, base: str = urls.SCR_BASE) -> Json:
    """DocumentReference of a summary (services.md 2.3); ``row`` has ``nhs_number`` as well.

    ``base`` is the address under which the Bundle is fetched. The permission is the securityLabel.
    """
    number, uuid = _number(row["nhs_number"]), row["scr_uuid"]
    query = f"composition.identifier={uuid}&composition.subject:Patient.identifier={NHS_NUMBER_SYSTEM}|{number}"
    permission = {"system": urls.SCR_PERMISSION_SYSTEM, "code": row["permission"]}
    return {
        "resourceType": "DocumentReference",
        "id": uuid,
        "masterIdentifier": {"system": urls.SCR_UUID_SYSTEM, "value": uuid},
        "status": "current",
        "type": {"coding": [dict(SUMMARY_TYPE)]},
        "subject": {"reference": f"Patient/{number}"},
        "securityLabel": [{"coding": [permission]}],
        "content": [{"attachment": {"url": f"{base}/Bundle?{query}"}}],
        "context": {"event": [{"coding": [dict(SUMMARY_TYPE)]}]},
    }


def _number(value: Any) -> str:
    return f"{value:010d}" if isinstance(value, int) else str(value)
