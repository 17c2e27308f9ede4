"""What may go wrong in an answer: every fault a caller can be told of, as PDS words it.

Belongs here: the table of faults (Spine code, status, issue code, severity, display) and one small
function per wording. Does not belong here: how a fault becomes a response (``headers.py``,
``faults.py``), or faults of building (``schemas/errors.py``).
Source: pds.md sections 4.1 and 4.2; services.md 2.2 for SCR.

A diagnostics text may quote what the caller itself sent (PDS does: ``Invalid value - 'x'``), as far as
``QUOTED`` characters. It is for the caller's eyes only: nothing logs, counts or traces a ``diagnostics``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.errors import NcrsError

Severity = Literal["error", "information"]

QUOTED, MOST_QUOTED = 200, 20  # ours: characters of a value, and values of a list, that an answer quotes


@dataclass(frozen=True)
class Fault:
    """One row of PDS's table of codes: everything that is fixed about an answer of this kind."""

    spine_code: str
    status: int
    issue_code: str
    display: str
    severity: Severity = "error"


ACCESS_DENIED_401 = Fault("ACCESS_DENIED", 401, "forbidden", "Access Denied - Unauthorised")
ACCESS_DENIED_403 = Fault("ACCESS_DENIED", 403, "forbidden", "Access Denied - Unauthorised")
MORE_THAN_ONE_RESULT = Fault("INVALID_VALUE", 403, "token", "Cannot retrieve more than one result")
INVALID_METHOD = Fault("INVALID_METHOD", 403, "forbidden", "Cannot update resource")
ADDITIONAL_PROPERTIES = Fault("ADDITIONAL_PROPERTIES", 400, "invariant", "Additional properties should not be included")
INVALID_SEARCH_DATA = Fault("INVALID_SEARCH_DATA", 400, "value", "Search data is invalid")
INVALID_VALUE = Fault("INVALID_VALUE", 400, "value", "Provided value is invalid")
MISSING_VALUE = Fault("MISSING_VALUE", 400, "required", "Required value is missing")
TOO_MANY_VALUES = Fault("TOO_MANY_VALUES_SUBMITTED", 400, "value", "Too many values submitted")
UNSUPPORTED_SERVICE = Fault("UNSUPPORTED_SERVICE", 400, "processing", "Unsupported Service")
UNSUPPORTED_REQUEST = Fault("UNSUPPORTED_REQUEST", 400, "value", "The request is not one that is supported.")
INVALID_RESOURCE_ID = Fault("INVALID_RESOURCE_ID", 400, "value", "Resource Id is invalid")
RESOURCE_NOT_FOUND = Fault("RESOURCE_NOT_FOUND", 404, "not-found", "Resource not found", "information")
INVALIDATED_RESOURCE = Fault(
    "INVALIDATED_RESOURCE",
    404,
    "processing",
    "Resource that has been marked as invalid was requested - invalid resources cannot be retrieved",
)
PAYLOAD_TOO_LARGE = Fault("UNSUPPORTED_REQUEST", 413, "too-long", "The request is not one that is supported.")
UNSUPPORTED_MEDIA = Fault("UNSUPPORTED_REQUEST", 415, "value", "The request is not one that is supported.")
TOO_MANY_REQUESTS = Fault("TOO_MANY_REQUESTS", 429, "value", "Too many requests")
UNKNOWN_ERROR = Fault("UNKNOWN_ERROR", 500, "unknown", "Unknown Error")
BAD_GATEWAY = Fault("UNKNOWN_ERROR", 502, "unknown", "Unknown Error")
SERVICE_UNAVAILABLE = Fault("SERVICE_UNAVAILABLE", 503, "timeout", "Service unavailable")
TOO_MANY_MATCHES = Fault("TOO_MANY_MATCHES", 200, "multiple-matches", "Too Many Matches", "information")
SCR_FORBIDDEN = Fault("ACCESS_DENIED", 403, "forbidden", "ACF does not permit access to resource")


class SpineError(NcrsError):
    """A request ends with an OperationOutcome; ``fault`` fixes the rest.

    ``status``, ``issue_code``, ``severity``, ``spine_code``, ``display`` and ``diagnostics`` are what
    the answer holds; ``text`` becomes details.text. ``headers`` are added to it. The exception's own text holds the code only.
    ``about`` are the NHS numbers that were asked for by number: for the audit, never for the answer.
    """

    remedy = "See docs/reference for the code."

    def __init__(
        self,
        fault: Fault,
        diagnostics: str | None = None,
        *,
        display: str | None = None,
        text: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"The request ended with status {fault.status}.", code=fault.spine_code)
        self.fault = fault
        self.spine_code = fault.spine_code
        self.status = fault.status
        self.issue_code = fault.issue_code
        self.severity: Severity = fault.severity
        self.display = display or fault.display
        self.diagnostics = diagnostics
        self.text = text
        self.headers: dict[str, str] = dict(headers or {})
        self.about: tuple[int, ...] = ()


INSUFFICIENT_APP = "Your app has insufficient permissions to use this operation. Please contact support."
INSUFFICIENT_SEARCH = "Your app has insufficient permissions to perform this search. Please contact support."
INSUFFICIENT_METHOD = "Your app has insufficient permissions to use this method. Please contact support."
INSUFFICIENT_TOKEN = (
    "Your access token has insufficient permissions. "  # noqa: S105 - a sentence, not a secret
    "See documentation regarding Patient access restrictions "
    "https://digital.nhs.uk/developer/api-catalogue/personal-demographics-service-fhir"
)
NO_SEARCH = "No searches were performed as the search criteria did not meet the minimum requirements"
NO_FUZZY = "A fuzzy search was requested however the data given did not meet the fuzzy search criteria"
SCR_OPTED_OUT = (
    "Code: 420, Display: Business condition related to access control which prevents the action being performed;"
    "Code: 30418, Display: ACF does not permit access to resource"
)
DOWNSTREAM = "The downstream domain processing has not completed within the configured timeout period. Using the same 'X-Request-ID' header, please try again later."


def access_denied_401(diagnostics: str) -> SpineError:
    """401: 'Missing Authorization header', 'Empty Authorization header', 'Missing access token',
    'Invalid Access Token' or 'Invalid token type'."""
    return SpineError(ACCESS_DENIED_401, diagnostics)


def patient_refused() -> SpineError:
    """403: a patient asks for what only others may do (search, another's record)."""
    return SpineError(ACCESS_DENIED_403, INSUFFICIENT_TOKEN, display="Patient cannot perform this action")


def operation_refused(mode: str, method: str = "GET") -> SpineError:
    """403: this access mode, or this user's activities, may not use the operation."""
    display = f"Cannot {method} resource with {mode} access token"
    return SpineError(ACCESS_DENIED_403, INSUFFICIENT_APP, display=display)


def more_than_one_refused(mode: str) -> SpineError:
    """403: an application asks for more than the one unique match it may have."""
    display = f"Cannot retrieve more than one result with {mode} access token"
    return SpineError(MORE_THAN_ONE_RESULT, INSUFFICIENT_SEARCH, display=display)


def method_refused(mode: str, verb: str = "update") -> SpineError:
    """403: an application or patient tries to update or create."""
    display = f"Cannot {verb} resource with {mode} access token"
    return SpineError(INVALID_METHOD, INSUFFICIENT_METHOD, display=display)


def invalid_value(value: str, where: str, kind: Literal["field", "header"] = "field") -> SpineError:
    """400: ``Invalid value - 'x' in field 'y'``."""
    return SpineError(INVALID_VALUE, f"Invalid value - '{_quoted(value)}' in {kind} '{where}'")


def missing_value(name: str) -> SpineError:
    """400: ``Missing value - 'x'``."""
    return SpineError(MISSING_VALUE, f"Missing value - '{name}'")


def missing_request_id() -> SpineError:
    """400: no X-Request-ID."""
    text = "Invalid request with error - X-Request-ID header must be supplied to access this resource"
    return SpineError(MISSING_VALUE, text)


def invalid_role(value: str) -> SpineError:
    """400: NHSD-Session-URID is not one of the user's roles."""
    text = (
        f"Invalid value - '{_quoted(value)}' in header 'NHSD-Session-URID'. Refer to the guidance for this header in our "
        "API Specification https://digital.nhs.uk/developer/api-catalogue/personal-demographics-service-fhir"
    )
    return SpineError(INVALID_VALUE, text)


def additional_properties(names: Sequence[str]) -> SpineError:
    """400: parameters that nobody knows; one 'was', several 'were', in the order sent."""
    quoted = _listed(names)
    verb = "was" if len(names) == 1 else "were"
    text = f"Invalid request with error - Additional properties are not allowed ({quoted} {verb} unexpected)"
    return SpineError(ADDITIONAL_PROPERTIES, text)


def invalid_search(reason: str) -> SpineError:
    """400: ``Invalid search data provided - 'reason'``."""
    return SpineError(INVALID_SEARCH_DATA, f"Invalid search data provided - '{reason}'")


def too_many_values(values: Sequence[str], where: str) -> SpineError:
    """400: ``Too many values submitted - ['a', 'b'] in field 'y'``."""
    quoted = _listed(values)
    return SpineError(TOO_MANY_VALUES, f"Too many values submitted - [{quoted}] in field '{where}'")


def _quoted(value: str) -> str:
    """A value as an answer quotes it: a caller gets no more back than it needs to see which one it was."""
    return value if len(value) <= QUOTED else value[:QUOTED] + "..."


def _listed(values: Sequence[str]) -> str:
    more = ", ..." if len(values) > MOST_QUOTED else ""
    return ", ".join(f"'{_quoted(value)}'" for value in values[:MOST_QUOTED]) + more


def unsupported_path(path: str) -> SpineError:
    """400: ``Unsupported path - '/HelloWorld'``."""
    return SpineError(UNSUPPORTED_REQUEST, f"Unsupported path - '{path}'")


def service_unavailable(retry_after: int = 5) -> SpineError:
    """503 with Retry-After: the answer cannot be given safely now (audit, generation)."""
    return SpineError(SERVICE_UNAVAILABLE, DOWNSTREAM, headers={"Retry-After": str(retry_after)})


def not_found(number: int) -> SpineError:
    """404: nothing is held under the number asked for."""
    return _about(SpineError(RESOURCE_NOT_FOUND), number)


def invalidated(number: int) -> SpineError:
    """404: the number asked for is not to be used any more."""
    return _about(SpineError(INVALIDATED_RESOURCE), number)


def _about(error: SpineError, number: int) -> SpineError:
    error.about = (number,)
    return error


def too_many_requests(retry_after: int) -> SpineError:
    """429 with Retry-After: the caller asks more often than it may."""
    return SpineError(TOO_MANY_REQUESTS, headers={"Retry-After": str(retry_after)})


def unknown_error(message_id: str) -> SpineError:
    """500: nothing is said but an id that ops find in the log."""
    text = (
        "An unknown error occurred while processing the request. "
        f"Please contact support and quote the message id (Message ID: {message_id})"
    )
    return SpineError(UNKNOWN_ERROR, text)


def scr_forbidden() -> SpineError:
    """403: the patient said No; the text carries Spine's codes 420 and 30418 (services.md 2.2)."""
    return SpineError(SCR_FORBIDDEN, text=SCR_OPTED_OUT)


def scr_withheld() -> SpineError:
    """403: no summary is answered for a restricted patient (pds.md 1.9, a weak source: a setting)."""
    return SpineError(SCR_FORBIDDEN, "The summary of a restricted patient is not available here")
