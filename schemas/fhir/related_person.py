"""PDS RelatedPerson, both ways: resource to row form and back.

Belongs here: ``related_person_row`` and ``related_person_resource``. Does not belong here: whose
related persons a caller may see. The replica keeps the resource whole, as JSON text, in
``related_persons`` of the patient; the row form is for pages and for making resources.
Source: pds.md 2.4. The same guarantee as for Patient: what the row cannot express is kept whole in
``source_json``.

Row: ``id, patient_number, active, start, end, names[NAME], addresses[ADDRESS], telecoms[TELECOM],
relationships[code], rank, copy_correspondence, contact_preference, language,
interpreter_required, source_json``.
"""

from __future__ import annotations

from schemas.fhir import codes, urls
from schemas.fhir.datatypes import (
    Row,
    read_address,
    read_name,
    read_preference,
    read_rank,
    read_telecom,
    write_address,
    write_name,
    write_preference,
    write_telecom,
)
from schemas.fhir.extensions import read_communication, write_communication
from schemas.fhir.values import (
    Json,
    as_period,
    boolean,
    dicts,
    from_json_text,
    json_text,
    known,
    listed,
    mapping,
    period,
    present,
    text,
)
from schemas.identifiers import NHS_NUMBER_SYSTEM

_RANKS = (urls.CONTACT_RANK, urls.OLD_CONTACT_RANK)
_COPIES = (urls.COPY_CORRESPONDENCE, urls.OLD_COPY_CORRESPONDENCE)


def _read_extensions(value: object) -> Json:
    names = ("rank", "copy_correspondence", "contact_preference", "language", "interpreter_required")
    columns: Json = dict.fromkeys(names)
    for item in dicts(value):
        url = item.get("url")
        if url in _RANKS:
            columns["rank"] = read_rank(item)
        elif url in _COPIES:
            columns["copy_correspondence"] = boolean(item.get("valueBoolean"))
        elif url == urls.CONTACT_PREFERENCE:
            columns["contact_preference"] = read_preference(item)
        elif url == urls.COMMUNICATION:
            read_communication(item, columns)
    return columns


def _read_relationships(value: object) -> list[str] | None:
    concepts = dicts(value)
    found = [codes.coding_code(coding) for coding in dicts(concepts[0].get("coding"))] if concepts else []
    return [code for code in found if code is not None] or None


def related_person_row(resource: Json) -> Json:
    """The row form of a RelatedPerson. Never fails on odd content; RECORD_TOO_DEEP only."""
    start, end = period(resource.get("period"))
    patient = mapping(mapping(resource.get("patient")).get("identifier"))
    row: Json = {
        "id": text(resource.get("id")),
        "patient_number": text(patient.get("value")),
        "active": boolean(resource.get("active")),
        "start": start,
        "end": end,
        "names": listed(read_name(item) for item in dicts(resource.get("name"))),
        "addresses": listed(read_address(item) for item in dicts(resource.get("address"))),
        "telecoms": listed(read_telecom(item) for item in dicts(resource.get("telecom"))),
        "relationships": _read_relationships(resource.get("relationship")),
        **_read_extensions(resource.get("extension")),
    }
    row["source_json"] = None if _build(row) == resource else json_text(resource)
    return row


def related_person_resource(row: Row) -> Json:
    """The RelatedPerson of a row, in PDS's shape."""
    source = row.get("source_json")
    if source is not None:
        resource: Json = from_json_text(source)
        return resource
    return _build(row)


def _relationship_coding(code: str) -> Json:
    table = codes.RELATED_TYPE if code in codes.RELATED_TYPE.displays else codes.RELATED_ROLE
    return table.coding(code)


def _write_extensions(row: Row) -> list[Json] | None:
    rank, copy, preference = row["rank"], row["copy_correspondence"], known(row["contact_preference"])
    found = [
        {"url": urls.COPY_CORRESPONDENCE, "valueBoolean": copy} if copy is not None else None,
        {"url": urls.CONTACT_RANK, "valuePositiveInt": rank} if rank is not None else None,
        write_preference(preference) if preference else None,
        write_communication(row),
    ]
    return [item for item in found if item is not None] or None


def _build(row: Row) -> Json:
    number, relationships = row["patient_number"], row["relationships"]
    patient = {"identifier": {"system": NHS_NUMBER_SYSTEM, "value": number}} if number is not None else None
    coding = [_relationship_coding(code) for code in relationships or ()]
    return present(
        (
            ("resourceType", "RelatedPerson"),
            ("id", row["id"]),
            ("patient", patient),
            ("active", row["active"]),
            ("period", as_period(row)),
            ("name", listed(write_name(name) for name in row["names"] or ())),
            ("relationship", [{"coding": coding}] if coding else None),
            ("extension", _write_extensions(row)),
            ("telecom", listed(write_telecom(telecom) for telecom in row["telecoms"] or ())),
            ("address", listed(write_address(address) for address in row["addresses"] or ())),
        )
    )
