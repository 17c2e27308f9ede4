"""PDS Patient, both ways: resource to row form and back.

Belongs here: ``patient_row`` and ``patient_resource``. Does not belong here: envelopes
(``envelope.py``), what a caller may see (``search_api/patients``).

``patient_resource(patient_row(r)) == r`` for every JSON Patient ``r``: the row is rebuilt at once,
and a resource that its columns cannot express is kept whole in ``source_json``. The columns are
filled from it all the same, as well as they can be, so that it can be found.
Source: pds.md 2.2; how values get a state: ``states.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from schemas.errors import PermanentFault
from schemas.feeds import PDS_PATIENT
from schemas.fhir import codes, states, urls
from schemas.fhir.datatypes import (
    Row,
    read_address,
    read_contact,
    read_name,
    read_organisation,
    read_telecom,
    write_address,
    write_contact,
    write_name,
    write_organisation,
    write_telecom,
)
from schemas.fhir.extensions import read_extensions, write_extensions
from schemas.fhir.values import (
    Json,
    dicts,
    digits,
    from_json_text,
    integer,
    json_text,
    known,
    listed,
    mapping,
    present,
    text,
    texts,
)
from schemas.fields import HIDDEN, HISTORIC
from schemas.identifiers import NHS_NUMBER_SYSTEM

COLUMNS = PDS_PATIENT.columns

_Reader = Callable[[Json], Json]
_Kinds = tuple[tuple[str, str, _Reader, Callable[[Json], tuple[str | None, ...]]], ...]
_KINDS: _Kinds = (
    ("names", "name", read_name, states.name_use),
    ("addresses", "address", read_address, states.name_use),
    ("telecoms", "telecom", read_telecom, states.telecom_use),
)


def _read_verification(resource: Json) -> str | None:
    identifiers = dicts(resource.get("identifier"))
    extensions = dicts(identifiers[0].get("extension")) if identifiers else []
    for item in extensions:
        if item.get("url") == urls.NUMBER_VERIFICATION:
            return codes.concept_code(item.get("valueCodeableConcept"))
    return None


def _read_scalars(resource: Json) -> Json:
    meta = mapping(resource.get("meta"))
    security = meta.get("security")
    practitioners = dicts(resource.get("generalPractitioner"))
    contacts = [read_contact(item) for item in dicts(resource.get("contact"))]
    return {
        "nhs_number": text(resource.get("id")),
        "version_id": digits(meta.get("versionId")),
        "security": codes.coding_code(security[0]) if isinstance(security, list) and security else None,
        "verification": _read_verification(resource),
        "gender": text(resource.get("gender")),
        "birth_date": text(resource.get("birthDate")),
        "birth_order": integer(resource.get("multipleBirthInteger")),
        "deceased": text(resource.get("deceasedDateTime")),
        "contacts": contacts or None,
        "general_practitioner": read_organisation(practitioners[0]) if practitioners else None,
        "managing_organisation": read_organisation(resource.get("managingOrganization")),
    }


def _with_state(items: object, read: _Reader, state: str) -> list[Json]:
    values = [read(item) for item in dicts(items)]
    for value in values:
        value["state"] = state
    return values


def patient_row(
    resource: Json,
    *,
    history: Mapping[str, Any] | None = None,
    hidden: Mapping[str, Any] | None = None,
    related: Iterable[Json] = (),
    as_at: str | None = None,
) -> Json:
    """The pds_patient columns of a Patient, and ``nhs_number``, which the resource itself names.

    ``history`` and ``hidden`` hold FHIR items under ``name``, ``address``, ``telecom`` (history
    also ``gender`` and ``birthDate``, lists of text); they are never part of the resource.
    ``related`` are RelatedPerson resources. ``as_at`` is an ISO date or date-time for the state of
    values. Never fails on odd content; raises DataFault ``RECORD_TOO_DEEP`` only (values.py).
    """
    row = _read_scalars(resource)
    row.update(read_extensions(resource.get("extension")))
    for column, field, read, use in _KINDS:
        values = [read(item) for item in dicts(resource.get(field))]
        states.settle(values, as_at, use)
        if history:
            values += _with_state(history.get(field), read, HISTORIC)
        if hidden:
            values += _with_state(hidden.get(field), read, HIDDEN)
        row[column] = values or None
    row["former_genders"] = texts(history.get("gender")) if history else None
    row["former_birth_dates"] = texts(history.get("birthDate")) if history else None
    row["related_persons"] = [json_text(person) for person in related] or None
    # Without an id no key says who this is: such a resource is kept whole as well.
    expressed = row["nhs_number"] is not None and _build(row) == resource
    row["source_json"] = None if expressed else json_text(resource)
    return row


def patient_resource(row: Row) -> Json:
    """The Patient as PDS returns it to a caller who may see everything.

    ``row`` holds the pds_patient columns and ``nhs_number`` (ten digits as text, or the integer
    of the replica's key). Historic values are left out unless they are names of use old or maiden,
    which PDS returns; hidden ones always. Raises PermanentFault when ``nhs_number`` is missing.
    """
    source = row.get("source_json")
    if source is not None:
        resource: Json = from_json_text(source)
        return resource
    if row.get("nhs_number") is None:
        raise PermanentFault(
            "A patient's row has no nhs_number.", remedy="Pass the key of the row along with its columns."
        )
    return _build(row)


def in_resource(value: Row) -> bool:
    """Whether a name, address or telecom of the row is part of the resource (see ``patient_row``)."""
    state = value["state"]
    if state == HISTORIC:
        return value["use"] in states.OLD_NAME_USES
    return bool(state != HIDDEN)


def _write_values(values: Iterable[Row] | None, write: Callable[[Row], Json]) -> list[Json] | None:
    return [write(value) for value in values or () if in_resource(value)] or None


def _write_identifier(number: str, verification: str | None) -> list[Json]:
    identifier: Json = {"system": NHS_NUMBER_SYSTEM, "value": number}
    if verification is not None:
        concept = codes.NUMBER_VERIFICATION.concept(verification)
        identifier["extension"] = [{"url": urls.NUMBER_VERIFICATION, "valueCodeableConcept": concept}]
    return [identifier]


def _write_meta(row: Row) -> Json | None:
    version, security = row["version_id"], row["security"]
    meta: Json = {}
    if version is not None:
        meta["versionId"] = str(version)
    if security is not None:
        meta["security"] = [codes.CONFIDENTIALITY.coding(security)]
    return meta or None


def _build(row: Row) -> Json:
    number = row["nhs_number"]
    if isinstance(number, int):
        number = f"{number:010d}"
    practice, managing = known(row["general_practitioner"]), known(row["managing_organisation"])
    contacts = row["contacts"]
    return present(
        (
            ("resourceType", "Patient"),
            ("id", number),
            ("identifier", _write_identifier(number, row["verification"]) if number is not None else None),
            ("meta", _write_meta(row)),
            ("name", _write_values(row["names"], write_name)),
            ("gender", row["gender"]),
            ("birthDate", row["birth_date"]),
            ("multipleBirthInteger", row["birth_order"]),
            ("deceasedDateTime", row["deceased"]),
            ("generalPractitioner", [write_organisation(practice)] if practice else None),
            ("managingOrganization", write_organisation(managing) if managing else None),
            ("extension", write_extensions(row)),
            ("telecom", _write_values(row["telecoms"], write_telecom)),
            ("contact", listed(write_contact(contact) for contact in contacts or ())),
            ("address", _write_values(row["addresses"], write_address)),
        )
    )
