"""PDS's table of codes, one row each: pds.md 4.1 and 4.2; services.md 2.2 for SCR.

Belongs here: status, issue code, severity, display and diagnostics of every error that can be told.
"""

from __future__ import annotations

import pytest

from search_api import errors
from search_api.errors import SpineError
from search_api.responses import outcome

APP = "application-restricted"
CONTACT = "Please contact support."

ROWS: list[tuple[SpineError, int, str, str, str, str, str | None]] = [
    (errors.access_denied_401("Missing access token"), 401, "ACCESS_DENIED", "forbidden", "error", "Access Denied - Unauthorised", "Missing access token"),
    (errors.patient_refused(), 403, "ACCESS_DENIED", "forbidden", "error", "Patient cannot perform this action", "Your access token has insufficient permissions. See documentation regarding Patient access restrictions https://digital.nhs.uk/developer/api-catalogue/personal-demographics-service-fhir"),
    (errors.operation_refused(APP), 403, "ACCESS_DENIED", "forbidden", "error", f"Cannot GET resource with {APP} access token", f"Your app has insufficient permissions to use this operation. {CONTACT}"),
    (errors.more_than_one_refused(APP), 403, "INVALID_VALUE", "token", "error", f"Cannot retrieve more than one result with {APP} access token", f"Your app has insufficient permissions to perform this search. {CONTACT}"),
    (errors.method_refused(APP), 403, "INVALID_METHOD", "forbidden", "error", f"Cannot update resource with {APP} access token", f"Your app has insufficient permissions to use this method. {CONTACT}"),
    (errors.method_refused(APP, "create"), 403, "INVALID_METHOD", "forbidden", "error", f"Cannot create resource with {APP} access token", f"Your app has insufficient permissions to use this method. {CONTACT}"),
    (errors.additional_properties(["a"]), 400, "ADDITIONAL_PROPERTIES", "invariant", "error", "Additional properties should not be included", "Invalid request with error - Additional properties are not allowed ('a' was unexpected)"),
    (errors.invalid_search("x"), 400, "INVALID_SEARCH_DATA", "value", "error", "Search data is invalid", "Invalid search data provided - 'x'"),
    (errors.invalid_value("x", "y"), 400, "INVALID_VALUE", "value", "error", "Provided value is invalid", "Invalid value - 'x' in field 'y'"),
    (errors.invalid_value("x", "y", "header"), 400, "INVALID_VALUE", "value", "error", "Provided value is invalid", "Invalid value - 'x' in header 'y'"),
    (errors.missing_value("x"), 400, "MISSING_VALUE", "required", "error", "Required value is missing", "Missing value - 'x'"),
    (errors.missing_request_id(), 400, "MISSING_VALUE", "required", "error", "Required value is missing", "Invalid request with error - X-Request-ID header must be supplied to access this resource"),
    (SpineError(errors.UNSUPPORTED_SERVICE), 400, "UNSUPPORTED_SERVICE", "processing", "error", "Unsupported Service", None),
    (errors.unsupported_path("/HelloWorld"), 400, "UNSUPPORTED_REQUEST", "value", "error", "The request is not one that is supported.", "Unsupported path - '/HelloWorld'"),
    (SpineError(errors.INVALID_RESOURCE_ID), 400, "INVALID_RESOURCE_ID", "value", "error", "Resource Id is invalid", None),
    (SpineError(errors.RESOURCE_NOT_FOUND), 404, "RESOURCE_NOT_FOUND", "not-found", "information", "Resource not found", None),
    (SpineError(errors.INVALIDATED_RESOURCE), 404, "INVALIDATED_RESOURCE", "processing", "error", "Resource that has been marked as invalid was requested - invalid resources cannot be retrieved", None),
    (errors.too_many_values(["a", "b"], "y"), 400, "TOO_MANY_VALUES_SUBMITTED", "value", "error", "Too many values submitted", "Too many values submitted - ['a', 'b'] in field 'y'"),
    (SpineError(errors.TOO_MANY_REQUESTS), 429, "TOO_MANY_REQUESTS", "value", "error", "Too many requests", None),
    (SpineError(errors.BAD_GATEWAY), 502, "UNKNOWN_ERROR", "unknown", "error", "Unknown Error", None),
    (SpineError(errors.TOO_MANY_MATCHES), 200, "TOO_MANY_MATCHES", "multiple-matches", "information", "Too Many Matches", None),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0].spine_code}-{row[1]}-{index}" for index, row in enumerate(ROWS)])
def test_code(row: tuple[SpineError, int, str, str, str, str, str | None]) -> None:
    error, status, code, issue_code, severity, display, diagnostics = row
    body = outcome(error)
    assert error.status == status
    assert body["resourceType"] == "OperationOutcome"
    assert len(body["issue"]) == 1
    issue = body["issue"][0]
    assert (issue["severity"], issue["code"]) == (severity, issue_code)
    assert issue["details"]["coding"] == [
        {
            "system": "https://fhir.nhs.uk/R4/CodeSystem/Spine-ErrorOrWarningCode",
            "version": "1",
            "code": code,
            "display": display,
        }
    ]
    assert issue.get("diagnostics") == diagnostics
    assert ("diagnostics" in issue) is (diagnostics is not None)


def test_unavailable_says_when_to_come_back() -> None:
    error = errors.service_unavailable()
    assert (error.status, error.issue_code, error.display) == (503, "timeout", "Service unavailable")
    assert error.headers == {"Retry-After": "5"}
    assert str(error.diagnostics).startswith("The downstream domain processing has not completed")


def test_unknown_error_holds_only_its_id() -> None:
    error = errors.unknown_error("0b7e")
    assert (error.status, error.issue_code, error.display) == (500, "unknown", "Unknown Error")
    assert "(Message ID: 0b7e)" in str(error.diagnostics)


def test_scr_refusal_carries_the_spine_codes_in_its_text() -> None:
    """services.md 2.2: test on the text code, not the status."""
    body = outcome(errors.scr_forbidden())
    assert errors.scr_forbidden().status == 403
    assert body["issue"][0]["code"] == "forbidden"
    assert "420" in body["issue"][0]["details"]["text"]
    assert "30418" in body["issue"][0]["details"]["text"]


def test_an_error_never_prints_what_the_caller_sent() -> None:
    """The exception's text may reach a log; the answer's diagnostics may not."""
    error = errors.invalid_value("SECRETNAME", "family")
    assert "SECRETNAME" not in str(error)
    assert "SECRETNAME" not in repr(error)
