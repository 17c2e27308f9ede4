"""The payload of one NDJSON line, both ways, feed by feed.

Belongs here: what an envelope carries for each feed. Does not belong here: the envelope's own
fields (``envelope.py``), what a resource looks like (its own file).
Source: services.md 19.3; pds.md 2.3 for values behind the API.
"""

from __future__ import annotations

from collections.abc import Callable

from schemas.feeds import PDS_NUMBER_CHANGE, PDS_PATIENT, SCR_SUMMARY
from schemas.fhir.datatypes import Row, write_address, write_name, write_telecom
from schemas.fhir.faults import NO_PAYLOAD, NO_SUBJECT, WRONG_RESOURCE, fault, lists_field, objects_field, text_field
from schemas.fhir.patient import in_resource, patient_resource, patient_row
from schemas.fhir.scr import bundle_subject, scr_row
from schemas.fhir.values import Json, dicts, from_json_text, text
from schemas.fields import HIDDEN

# A bare SCR Bundle says nothing of permission; asking is what every view does anyway.
DEFAULT_PERMISSION = "Ask"

_HISTORY_KEYS = frozenset({"name", "address", "telecom", "gender", "birthDate"})
_HIDDEN_KEYS = frozenset({"name", "address", "telecom"})


def _payload(envelope: Json, resource_type: str | None) -> Json:
    payload = envelope.get("payload")
    if not isinstance(payload, dict):
        raise fault(NO_PAYLOAD, "The envelope has no payload object, and its action is not delete.")
    if resource_type is not None and payload.get("resourceType") != resource_type:
        raise fault(WRONG_RESOURCE, f"The payload is not a {resource_type} resource.")
    return payload


def _read_patient(envelope: Json, as_at: str) -> tuple[str | None, Json]:
    payload = _payload(envelope, "Patient")
    row = patient_row(
        payload,
        history=lists_field(envelope, "history", _HISTORY_KEYS),
        hidden=lists_field(envelope, "hidden", _HIDDEN_KEYS),
        related=objects_field(envelope, "related"),
        as_at=as_at,
    )
    number: str | None = row.pop("nhs_number")
    if not number:
        raise fault(NO_SUBJECT, "The Patient resource has no id.")
    return number, row


def _read_summary(envelope: Json, _as_at: str) -> tuple[str | None, Json]:
    payload = _payload(envelope, "Bundle")
    permission = text_field(envelope, "permission")
    return bundle_subject(payload), scr_row(payload, permission or DEFAULT_PERMISSION)


def _read_number_change(envelope: Json, _as_at: str) -> tuple[str | None, Json]:
    payload = _payload(envelope, None)
    return None, {name: text(payload.get(name)) for name in PDS_NUMBER_CHANGE.columns}


READERS: dict[str, Callable[[Json, str], tuple[str | None, Json]]] = {
    PDS_PATIENT.name: _read_patient,
    SCR_SUMMARY.name: _read_summary,
    PDS_NUMBER_CHANGE.name: _read_number_change,
}


_VALUES: tuple[tuple[str, str, Callable[[Row], Json]], ...] = (
    ("names", "name", write_name),
    ("addresses", "address", write_address),
    ("telecoms", "telecom", write_telecom),
)


def _beyond_resource(row: Row, column: str, field: str) -> list[Row]:
    """Values of a column that are not part of the resource: history, then hidden."""
    values = row[column] or ()
    if row["source_json"] is None:
        return [value for value in values if not in_resource(value)]
    # The resource's own values come first in the column (patient_row).
    return list(values)[len(dicts(from_json_text(row["source_json"]).get(field))) :]


def _behind(row: Row) -> tuple[Json, Json]:
    history: Json = {}
    hidden: Json = {}
    for column, field, write in _VALUES:
        for value in _beyond_resource(row, column, field):
            target = hidden if value["state"] == HIDDEN else history
            target.setdefault(field, []).append(write(value))
    for column, field in (("former_genders", "gender"), ("former_birth_dates", "birthDate")):
        if row[column]:
            history[field] = list(row[column])
    return history, hidden


def _write_patient(row: Row) -> Json:
    history, hidden = _behind(row)
    related = [from_json_text(person) for person in row["related_persons"] or ()]
    return {
        "payload": patient_resource(row),
        "history": history or None,
        "hidden": hidden or None,
        "related": related or None,
    }


def _write_summary(row: Row) -> Json:
    return {"permission": row["permission"], "payload": from_json_text(row["bundle_json"])}


def _write_number_change(row: Row) -> Json:
    return {"payload": {name: row[name] for name in PDS_NUMBER_CHANGE.columns if row[name] is not None}}


WRITERS: dict[str, Callable[[Row], Json]] = {
    PDS_PATIENT.name: _write_patient,
    SCR_SUMMARY.name: _write_summary,
    PDS_NUMBER_CHANGE.name: _write_number_change,
}
