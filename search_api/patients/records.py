"""Which record stands for an NHS number: found, superseded, invalidated or unknown.

Belongs here: following number changes, and the errors of a number that gives no record.
Does not belong here: what of the record is shown (``redaction.py``), HTTP.
Source: pds.md 1.9 and 2.1.
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.identifiers import is_nhs_number
from search_api import errors
from search_api.opened import Generation
from search_api.patients.redaction import Security
from search_api.records import PatientRecord


def number_of(text: str) -> int:
    """The number of a path. Raises INVALID_RESOURCE_ID for a wrong length or check digit."""
    if not is_nhs_number(text):
        raise errors.SpineError(errors.INVALID_RESOURCE_ID)
    return int(text)


def record_of(generation: Generation, number: int) -> PatientRecord:
    """The record to show for a number; that of the superseding number when there is one.

    Raises INVALIDATED_RESOURCE or RESOURCE_NOT_FOUND (pds.md 2.1); who asked for which number is audited.
    """
    replica = generation.replica
    record = replica.patient(number)
    if record is not None and record.security != Security.INVALIDATED.value:
        return record
    current = replica.current_number(number)
    if current is None or (current == number and record is not None):
        raise errors.invalidated(number)
    replacing = replica.patient(current) if current != number else None
    if replacing is None:
        raise errors.not_found(number)
    if replacing.security == Security.INVALIDATED.value:
        raise errors.invalidated(number)
    return replacing


def security_of(generation: Generation, number: int) -> str:
    """Confidentiality that holds for a number: its record's, or that of the superseding one.

    Invalidated without a successor is REDACTED; a number that nothing is known of is U.
    """
    try:
        return record_of(generation, number).security
    except errors.SpineError as error:
        invalidated = error.fault is errors.INVALIDATED_RESOURCE
        return Security.INVALIDATED.value if invalidated else Security.UNRESTRICTED.value


def records_of(generation: Generation, numbers: Iterable[int]) -> dict[int, PatientRecord]:
    """Records to show for matched numbers, by the number matched; who may never be shown is absent.

    A number that was superseded gives the superseding record, an invalidated one none (pds.md 1.9).
    """
    asked = list(numbers)
    found = generation.replica.patients(asked)
    shown: dict[int, PatientRecord] = {}
    for number in asked:
        record = found.get(number)
        if record is None or record.security == Security.INVALIDATED.value:
            current = generation.replica.current_number(number)
            record = None if current in (None, number) else generation.replica.patient(current)
        if record is not None and record.security != Security.INVALIDATED.value:
            shown[number] = record
    return shown
