"""The parameters of the summary care record routes: few, and only with the published values.

Belongs here: reading and checking them. Does not belong here: answering.
Source: services.md 2.2 (only those values for type, _sort and _count, else 400).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.identifiers import NHS_NUMBER_SYSTEM, is_nhs_number
from search_api import errors

PATIENT = "patient"
IDENTIFIER = "composition.identifier"
SUBJECT = "composition.subject:Patient.identifier"

REFERENCE_VALUES: dict[str, str | None] = {
    PATIENT: None,
    "type": "http://snomed.info/sct|196981000000101",
    "_sort": "date",
    "_count": "1",
}
BUNDLE_VALUES: dict[str, str | None] = {IDENTIFIER: None, SUBJECT: None}

_IDENTIFIER_LENGTH = 64


def reference_number(items: Sequence[tuple[str, str]]) -> int:
    """The NHS number a DocumentReference search asks for. Raises 400."""
    return _number(_checked(items, REFERENCE_VALUES), PATIENT)


def bundle_key(items: Sequence[tuple[str, str]]) -> tuple[str, int]:
    """The document id (upper case) and NHS number a Bundle search asks for. Raises 400."""
    values = _checked(items, BUNDLE_VALUES)
    identifier = values.get(IDENTIFIER)
    if identifier is None:
        raise errors.missing_value(IDENTIFIER)
    if not identifier or len(identifier) > _IDENTIFIER_LENGTH:
        raise errors.invalid_value(identifier, IDENTIFIER)
    return identifier.upper(), _number(values, SUBJECT)


def _checked(items: Sequence[tuple[str, str]], allowed: Mapping[str, str | None]) -> dict[str, str]:
    unknown = [name for name, _ in items if name not in allowed]
    if unknown:
        raise errors.additional_properties(list(dict.fromkeys(unknown)))
    values: dict[str, str] = {}
    for name, value in items:
        if name in values:
            raise errors.too_many_values([values[name], value], name)
        if allowed[name] not in (None, value):
            raise errors.invalid_value(value, name)
        values[name] = value
    return values


def _number(values: Mapping[str, str], name: str) -> int:
    value = values.get(name)
    if value is None:
        raise errors.missing_value(name)
    system, _, number = value.partition("|")
    if system != NHS_NUMBER_SYSTEM or not is_nhs_number(number):
        raise errors.invalid_value(value, name)
    return int(number)
