"""The Patient extensions of PDS, both ways: between ``Patient.extension`` and columns.

Belongs here: one reader and one writer per extension, and their order as PDS sends them.
Does not belong here: extensions inside addresses and telecoms (``datatypes.py``).
Source: pds.md 2.2, second table. Consents carry no code system (none is published).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemas.fhir import codes, urls
from schemas.fhir.datatypes import Row, parts, read_preference, write_preference
from schemas.fhir.values import Json, as_period, boolean, dicts, known, mapping, period, present, struct, text
from schemas.identifiers import ODS_CODE_SYSTEM

COLUMNS = (
    "nominated_pharmacy",
    "preferred_dispenser",
    "appliance_supplier",
    "death_status",
    "death_status_date",
    "language",
    "interpreter_required",
    "contact_preference",
    "birth_place",
    "removal",
    "consents",
)

_PHARMACIES = {
    urls.NOMINATED_PHARMACY: "nominated_pharmacy",
    urls.PREFERRED_DISPENSER: "preferred_dispenser",
    urls.APPLIANCE_SUPPLIER: "appliance_supplier",
}


def _read_pharmacy(item: Json, columns: Json) -> None:
    identifier = mapping(mapping(item.get("valueReference")).get("identifier"))
    columns[_PHARMACIES[item["url"]]] = text(identifier.get("value"))


def _read_death(item: Json, columns: Json) -> None:
    inner = parts(item)
    status = mapping(inner.get("deathNotificationStatus")).get("valueCodeableConcept")
    columns["death_status"] = codes.concept_code(status)
    columns["death_status_date"] = text(mapping(inner.get("systemEffectiveDate")).get("valueDateTime"))


def read_communication(item: Json, columns: Json) -> None:
    """Fill ``language`` and ``interpreter_required`` from the NHSCommunication extension."""
    inner = parts(item)
    columns["language"] = codes.concept_code(mapping(inner.get("language")).get("valueCodeableConcept"))
    columns["interpreter_required"] = boolean(mapping(inner.get("interpreterRequired")).get("valueBoolean"))


def _read_preference(item: Json, columns: Json) -> None:
    columns["contact_preference"] = read_preference(item)


def _read_birth_place(item: Json, columns: Json) -> None:
    address = mapping(item.get("valueAddress"))
    columns["birth_place"] = struct({name: text(address.get(name)) for name in ("city", "district", "country")})


def _read_removal(item: Json, columns: Json) -> None:
    inner = parts(item)
    code = codes.concept_code(mapping(inner.get("removalFromRegistrationCode")).get("valueCodeableConcept"))
    start, end = period(mapping(inner.get("effectiveTime")).get("valuePeriod"))
    columns["removal"] = struct({"code": code, "start": start, "end": end})


def _read_consent(item: Json, columns: Json) -> None:
    inner = parts(item)
    kind = codes.concept_code(mapping(inner.get("consentType")).get("valueCodeableConcept"))
    value = codes.concept_code(mapping(inner.get("consentValue")).get("valueCodeableConcept"))
    if kind is not None or value is not None:
        columns["consents"] = [*(columns["consents"] or ()), {"type": kind, "value": value}]


_READERS: dict[str, Callable[[Json, Json], None]] = {
    **dict.fromkeys(_PHARMACIES, _read_pharmacy),
    urls.DEATH_NOTIFICATION: _read_death,
    urls.COMMUNICATION: read_communication,
    urls.CONTACT_PREFERENCE: _read_preference,
    urls.BIRTH_PLACE: _read_birth_place,
    urls.REMOVAL: _read_removal,
    urls.CONSENT: _read_consent,
}


def read_extensions(value: object) -> Json:
    """All extension columns of ``Patient.extension``; unknown extensions are passed over."""
    columns: Json = dict.fromkeys(COLUMNS)
    for item in dicts(value):
        reader = _READERS.get(text(item.get("url")) or "")
        if reader is not None:
            reader(item, columns)
    return columns


def _write_pharmacy(url: str, code: str | None) -> Json | None:
    if code is None:
        return None
    return {"url": url, "valueReference": {"identifier": {"system": ODS_CODE_SYSTEM, "value": code}}}


def _complex(url: str, inner: list[tuple[str, str, Any]]) -> Json | None:
    """An extension of named parts (url, value field, value); parts without a value are left out."""
    found = [{"url": name, field: value} for name, field, value in inner if value is not None]
    return {"url": url, "extension": found} if found else None


def _write_death(row: Row) -> Json | None:
    status, since = row["death_status"], row["death_status_date"]
    if status is None and since is None:
        return None
    concept = codes.DEATH_NOTIFICATION.concept(status) if status is not None else None
    return _complex(
        urls.DEATH_NOTIFICATION,
        [
            ("deathNotificationStatus", "valueCodeableConcept", concept),
            ("systemEffectiveDate", "valueDateTime", since),
        ],
    )


def write_communication(row: Row) -> Json | None:
    """NHSCommunication extension, or None when neither part is known."""
    language, interpreter = row["language"], row["interpreter_required"]
    if language is None and interpreter is None:
        return None
    concept = codes.LANGUAGE.concept(language) if language is not None else None
    return _complex(
        urls.COMMUNICATION,
        [("language", "valueCodeableConcept", concept), ("interpreterRequired", "valueBoolean", interpreter)],
    )


def _write_birth_place(place: Row | None) -> Json | None:
    if place is None:
        return None
    address = present((name, place[name]) for name in ("city", "district", "country"))
    return {"url": urls.BIRTH_PLACE, "valueAddress": address} if address else None


def _write_removal(removal: Row | None) -> Json | None:
    if removal is None:
        return None
    code = removal["code"]
    concept = codes.REMOVAL_REASON.concept(code) if code is not None else None
    return _complex(
        urls.REMOVAL,
        [
            ("removalFromRegistrationCode", "valueCodeableConcept", concept),
            ("effectiveTime", "valuePeriod", as_period(removal)),
        ],
    )


def _write_consent(consent: Row) -> Json | None:
    kind, value = consent["type"], consent["value"]
    return _complex(
        urls.CONSENT,
        [
            ("consentType", "valueCodeableConcept", codes.CONSENT_TYPE.concept(kind) if kind is not None else None),
            ("consentValue", "valueCodeableConcept", codes.CONSENT_VALUE.concept(value) if value is not None else None),
        ],
    )


def write_extensions(row: Row) -> list[Json] | None:
    """``Patient.extension`` of the columns in PDS's order, or None when there is nothing to say."""
    preference = known(row["contact_preference"])
    found = [
        *(_write_pharmacy(url, row[column]) for url, column in _PHARMACIES.items()),
        _write_death(row),
        write_communication(row),
        write_preference(preference) if preference else None,
        _write_birth_place(row["birth_place"]),
        _write_removal(row["removal"]),
        *(_write_consent(consent) for consent in row["consents"] or ()),
    ]
    return [item for item in found if item is not None] or None
