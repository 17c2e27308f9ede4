"""Reading $match: a FHIR Parameters resource, or a bare Patient, into a question.

Belongs here: the checks of the body, and which parts of a Patient are asked about.
Does not belong here: answering (``searching.py``), the rules of PDS's own search.
Source: FHIR R4 Patient/$match (resource, onlyCertainMatches, count). Ours where FHIR is silent: the
mode is WIDE, at least two fields that find someone are needed, and partial birth dates are allowed.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from schemas.fhir.values import dicts, mapping, texts
from search_api import errors
from search_api.matching.questions import DateRange, Mode, Question
from search_api.patients.identified import sent_number
from search_api.patients.minimum import NO_WIDE, WIDE_MINIMUM
from search_api.patients.parameters import GENDERS, OTHER_LENGTH
from search_api.patients.searching import MatchRequest

Resource = dict[str, Any]

MOST_NAMES = 20

_PARTIAL_DATE = re.compile(r"[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?")


def read_match(body: bytes, most: int) -> MatchRequest:
    """The request. ``most`` is the highest count this caller may have. Raises SpineError."""
    document = _document(body)
    if document.get("resourceType") == "Patient":
        return MatchRequest(_question(document, most), only_certain=False, count=most, number=sent_number(document))
    if document.get("resourceType") != "Parameters":
        raise errors.invalid_value(str(document.get("resourceType", ""))[:OTHER_LENGTH], "resourceType")
    parts = {str(part.get("name")): part for part in dicts(document.get("parameter"))}
    unknown = sorted(parts.keys() - {"resource", "onlyCertainMatches", "count"})
    if unknown:
        raise errors.additional_properties(unknown)
    patient = mapping(mapping(parts.get("resource")).get("resource"))
    if patient.get("resourceType") != "Patient":
        raise errors.missing_value("resource")
    only_certain = _boolean(parts.get("onlyCertainMatches"))
    count = _count(parts.get("count"), most)
    return MatchRequest(_question(patient, most), only_certain, count, sent_number(patient))


def _document(body: bytes) -> Resource:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise errors.SpineError(errors.INVALID_VALUE, "The body is not JSON") from None
    if not isinstance(document, dict):
        raise errors.SpineError(errors.INVALID_VALUE, "The body is not a FHIR resource")
    return document


def _boolean(part: Resource | None) -> bool:
    value = mapping(part).get("valueBoolean", False)
    if not isinstance(value, bool):
        raise errors.invalid_value(str(value)[:OTHER_LENGTH], "onlyCertainMatches")
    return value


def _count(part: Resource | None, most: int) -> int:
    value = mapping(part).get("valueInteger", most)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise errors.invalid_value(str(value)[:OTHER_LENGTH], "count")
    return min(value, most)


def _question(patient: Resource, most: int) -> Question:
    names = dicts(patient.get("name"))
    address = next(iter(dicts(patient.get("address"))), {})
    question = Question(
        mode=Mode.WIDE,
        family=next((name for name in (_text(item.get("family"), "name.family") for item in names) if name), None),
        given=tuple(_texts([given for item in names[:1] for given in texts(item.get("given")) or ()], "name.given")),
        gender=_gender(patient.get("gender")),
        birth=_birth(patient.get("birthDate")),
        postcode=_text(address.get("postalCode"), "address.postalCode"),
        address_lines=tuple(_texts(texts(address.get("line")) or [], "address.line")),
        phones=tuple(_telecom(patient, "phone")),
        emails=tuple(_telecom(patient, "email")),
        history=True,
        limit=most,
    )
    fields = (question.family, question.given, question.birth, question.postcode, question.phones, question.emails)
    if sum(map(bool, fields)) < WIDE_MINIMUM:
        raise errors.invalid_search(NO_WIDE)
    return question


def _text(value: Any, where: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > OTHER_LENGTH:
        raise errors.invalid_value(str(value)[:OTHER_LENGTH], where)
    return value.strip() or None


def _texts(values: list[str], where: str) -> list[str]:
    if len(values) > MOST_NAMES:
        raise errors.too_many_values(values, where)
    return [text for text in (_text(value, where) for value in values) if text]


def _telecom(patient: Resource, system: str) -> list[str]:
    values = [item.get("value") for item in dicts(patient.get("telecom")) if item.get("system") == system]
    return _texts([value for value in values if isinstance(value, str)], "telecom.value")


def _gender(value: Any) -> str | None:
    if value is not None and value not in GENDERS:
        raise errors.invalid_value(str(value)[:OTHER_LENGTH], "gender")
    return value if isinstance(value, str) else None


def _birth(value: Any) -> DateRange | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _PARTIAL_DATE.fullmatch(value):
        raise errors.invalid_value(str(value)[:OTHER_LENGTH], "birthDate")
    return DateRange(value, value)
