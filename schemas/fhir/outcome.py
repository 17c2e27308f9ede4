"""OperationOutcome, in the one shape PDS uses for every error and for some successes.

Belongs here: the builder. Does not belong here: which code goes with which status
(``search_api/errors.py``). Source: pds.md 4.1.
"""

from __future__ import annotations

from schemas.fhir.urls import SPINE_ERROR_SYSTEM
from schemas.fhir.values import Json


def operation_outcome(severity: str, code: str, spine_code: str, display: str, diagnostics: str | None = None) -> Json:
    """An OperationOutcome of one issue; ``diagnostics`` is absent when None (pds.md 4.2)."""
    coding = {"system": SPINE_ERROR_SYSTEM, "version": "1", "code": spine_code, "display": display}
    issue: Json = {"severity": severity, "code": code, "details": {"coding": [coding]}}
    if diagnostics is not None:
        issue["diagnostics"] = diagnostics
    return {"resourceType": "OperationOutcome", "issue": [issue]}
