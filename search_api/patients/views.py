"""A patient's record as one caller may see it, as a FHIR resource.

Belongs here: the joining of the row form, the redaction and the application's attributes.
Does not belong here: each of those rules.
"""

from __future__ import annotations

from typing import Any

from schemas.fhir.patient import patient_resource
from search_api.access.context import Caller
from search_api.patients.attributes import gated
from search_api.patients.redaction import read_view, search_view
from search_api.records import PatientRecord
from search_api.settings import Settings

Resource = dict[str, Any]


def searched(record: PatientRecord, caller: Caller, settings: Settings) -> Resource:
    """The record as a search result (pds.md 1.8 and 1.9)."""
    view = search_view(patient_resource(record.row), record.security, settings.very_restricted_fields)
    return gated(view, caller.attributes)


def read(record: PatientRecord, caller: Caller, settings: Settings) -> Resource:
    """The record as a read by number (pds.md 1.9, 1.10 and 2.2)."""
    view = read_view(patient_resource(record.row), record.security, caller.mode, settings.very_restricted_fields)
    return gated(view, caller.attributes)
