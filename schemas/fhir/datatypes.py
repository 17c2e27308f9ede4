"""The data types PDS resources share, both ways: HumanName, Address, ContactPoint, contact, reference.

Belongs here: one ``read_*`` (FHIR to row struct, never fails) and one ``write_*`` (row struct to
FHIR, PDS's own shape) each. Does not belong here: which field holds them, or their state.
Shapes: schemas/fields.py; source: pds.md 2.2. Lists are None when empty, on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.fhir import codes, urls
from schemas.fhir.values import (
    Json,
    as_period,
    dicts,
    integer,
    listed,
    mapping,
    period,
    present,
    struct,
    text,
    texts,
)
from schemas.fields import CURRENT
from schemas.identifiers import ODS_CODE_SYSTEM

Row = Mapping[str, Any]

# Blank lines kept by callers with return-empty-address-lines: null with this beside it.
_BLANK_LINE = {"extension": [{"url": urls.DATA_ABSENT_REASON, "valueCode": "unknown"}]}


def parts(extension: Mapping[str, Any]) -> dict[str, Json]:
    """The parts of a complex extension by their url; of two alike the first counts."""
    found: dict[str, Json] = {}
    for part in dicts(extension.get("extension")):
        found.setdefault(text(part.get("url")) or "", part)
    return found


def read_name(item: Json) -> Json:
    """NAME struct of a HumanName, state current."""
    start, end = period(item.get("period"))
    return {
        "state": CURRENT,
        "id": text(item.get("id")),
        "use": text(item.get("use")),
        "start": start,
        "end": end,
        "prefix": texts(item.get("prefix")),
        "given": texts(item.get("given")),
        "family": text(item.get("family")),
        "suffix": texts(item.get("suffix")),
    }


def write_name(row: Row) -> Json:
    """HumanName of a NAME struct."""
    return present(
        (
            ("id", row["id"]),
            ("use", row["use"]),
            ("period", as_period(row)),
            ("given", listed(row["given"])),
            ("family", row["family"]),
            ("prefix", listed(row["prefix"])),
            ("suffix", listed(row["suffix"])),
        )
    )


def _read_lines(value: object) -> list[str | None] | None:
    # A null keeps its place: PDS sends blank lines so to callers who ask for them.
    if not isinstance(value, list):
        return None
    return [text(line) for line in value if line is None or text(line) is not None] or None


def _read_keys(value: object) -> list[Json] | None:
    keys = [item for item in dicts(value) if item.get("url") == urls.ADDRESS_KEY]
    if not keys:
        return None
    found = []
    for item in keys:
        inner = parts(item)
        kind = codes.coding_code(mapping(inner.get("type")).get("valueCoding"))
        found.append({"type": kind, "value": text(mapping(inner.get("value")).get("valueString"))})
    return found


def read_address(item: Json) -> Json:
    """ADDRESS struct of an Address, state current; a blank line is None in ``lines``."""
    start, end = period(item.get("period"))
    return {
        "state": CURRENT,
        "id": text(item.get("id")),
        "use": text(item.get("use")),
        "text": text(item.get("text")),
        "start": start,
        "end": end,
        "lines": _read_lines(item.get("line")),
        "postcode": text(item.get("postalCode")),
        "keys": _read_keys(item.get("extension")),
    }


def _write_key(key: Row) -> Json:
    inner: list[Json] = []
    if key["type"] is not None:
        inner.append({"url": "type", "valueCoding": codes.ADDRESS_KEY.coding(key["type"])})
    if key["value"] is not None:
        inner.append({"url": "value", "valueString": key["value"]})
    return {"url": urls.ADDRESS_KEY, "extension": inner}


def write_address(row: Row) -> Json:
    """Address of an ADDRESS struct."""
    lines = listed(row["lines"])
    blanks = None
    if lines is not None and None in lines:
        blanks = [_BLANK_LINE if line is None else None for line in lines]
    keys = row["keys"]
    return present(
        (
            ("id", row["id"]),
            ("period", as_period(row)),
            ("use", row["use"]),
            ("text", row["text"]),
            ("line", lines),
            ("_line", blanks),
            ("postalCode", row["postcode"]),
            ("extension", [_write_key(key) for key in keys] if keys else None),
        )
    )


def _read_other_system(value: object) -> str | None:
    for item in dicts(value):
        if item.get("url") == urls.OTHER_CONTACT_SYSTEM:
            return codes.coding_code(item.get("valueCoding"))
    return None


def read_telecom(item: Json) -> Json:
    """TELECOM struct of a ContactPoint, state current; textphones have ``other_system``."""
    start, end = period(item.get("period"))
    return {
        "state": CURRENT,
        "id": text(item.get("id")),
        "system": text(item.get("system")),
        "use": text(item.get("use")),
        "value": text(item.get("value")),
        "other_system": _read_other_system(item.get("extension")),
        "start": start,
        "end": end,
    }


def write_telecom(row: Row) -> Json:
    """ContactPoint of a TELECOM struct."""
    other, extension = row["other_system"], None
    if other is not None:
        coding = codes.OTHER_CONTACT_SYSTEM.coding(other)
        extension = [{"url": urls.OTHER_CONTACT_SYSTEM, "valueCoding": coding}]
    return present(
        (
            ("id", row["id"]),
            ("period", as_period(row)),
            ("system", row["system"]),
            ("value", row["value"]),
            ("use", row["use"]),
            ("extension", extension),
        )
    )


def read_contact(item: Json) -> Json:
    """CONTACT struct of an emergency contact; ``relationship`` is the first code."""
    start, end = period(item.get("period"))
    relationships = dicts(item.get("relationship"))
    telecoms = [read_telecom(telecom) for telecom in dicts(item.get("telecom"))]
    return {
        "id": text(item.get("id")),
        "relationship": codes.concept_code(relationships[0]) if relationships else None,
        "start": start,
        "end": end,
        "telecoms": telecoms or None,
    }


def write_contact(row: Row) -> Json:
    """Patient.contact of a CONTACT struct."""
    code, telecoms = row["relationship"], row["telecoms"]
    return present(
        (
            ("id", row["id"]),
            ("period", as_period(row)),
            ("relationship", [codes.CONTACT_RELATIONSHIP.concept(code)] if code is not None else None),
            ("telecom", [write_telecom(telecom) for telecom in telecoms] if telecoms else None),
        )
    )


def read_organisation(reference: object) -> Json | None:
    """ORGANISATION struct of a reference by ODS code, or None when it names nothing."""
    item = mapping(reference)
    identifier = mapping(item.get("identifier"))
    start, end = period(identifier.get("period"))
    code = text(identifier.get("value"))
    return struct({"id": text(item.get("id")), "code": code, "start": start, "end": end})


def write_organisation(row: Row) -> Json:
    """Reference to an organisation by ODS code, as in generalPractitioner."""
    identifier = present((("system", ODS_CODE_SYSTEM), ("value", row["code"]), ("period", as_period(row))))
    return present((("id", row["id"]), ("type", "Organization"), ("identifier", identifier)))


def read_preference(extension: Json) -> Json | None:
    """CONTACT_PREFERENCE struct of the ContactPreference extension."""
    inner = parts(extension)
    written = mapping(inner.get("PreferredWrittenCommunicationFormat")).get("valueCodeableConcept")
    method = mapping(inner.get("PreferredContactMethod")).get("valueCodeableConcept")
    times = text(mapping(inner.get("PreferredContactTimes")).get("valueString"))
    return struct({"written_format": codes.concept_code(written), "method": codes.concept_code(method), "times": times})


def write_preference(row: Row) -> Json:
    """ContactPreference extension of a CONTACT_PREFERENCE struct."""
    inner: list[Json] = []
    if row["written_format"] is not None:
        written = codes.WRITTEN_FORMAT.concept(row["written_format"])
        inner.append({"url": "PreferredWrittenCommunicationFormat", "valueCodeableConcept": written})
    if row["method"] is not None:
        method = codes.CONTACT_METHOD.concept(row["method"])
        inner.append({"url": "PreferredContactMethod", "valueCodeableConcept": method})
    if row["times"] is not None:
        inner.append({"url": "PreferredContactTimes", "valueString": row["times"]})
    return {"url": urls.CONTACT_PREFERENCE, "extension": inner}


def read_rank(extension: Json) -> int | None:
    """Value of the ContactRank extension, 1 the first to try."""
    return integer(extension.get("valuePositiveInt"))
