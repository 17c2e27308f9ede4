"""The national export: an access event as FHIR AuditEvent in the shape of PARS, one JSON object a line.

Belongs here: the mapping. Does not belong here: reading the log (``audit_report.py``).
Source: services.md 15.3. ``agent`` holds the organisation, the person or patient, and the application;
the organisation of the headers is an entity of its own, apart from the token's. The chain's sequence
and hash travel in ``entity`` so that an export can be checked against the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from sqlalchemy import Engine

from schemas.identifiers import NHS_NUMBER_SYSTEM, ODS_CODE_SYSTEM, format_nhs_number
from search_api.access.audit_report import events
from search_api.access.policy import PolicyTable

USER_SYSTEM = "https://fhir.nhs.uk/Id/sds-user-id"
ROLE_PROFILE_SYSTEM = "https://fhir.nhs.uk/Id/sds-role-profile-id"
ROLE_SYSTEM = "https://fhir.nhs.uk/STU3/CodeSystem/CareConnect-SDSJobRoleName-1"
TYPE_SYSTEM = "http://terminology.hl7.org/CodeSystem/audit-event-type"
ENTITY_SYSTEM = "http://terminology.hl7.org/CodeSystem/audit-entity-type"

_FIRST_SERVER_ERROR = 500
_FIRST_CLIENT_ERROR = 400


def export(engine: Engine, table: PolicyTable, *, after: int = 0, until: int | None = None) -> Iterator[bytes]:
    """NDJSON lines, each with its line end, in the order of the chain: ``after`` < sequence <= ``until``."""
    for row in events(engine, after=after, until=until):
        yield orjson.dumps(audit_event(row, table), option=orjson.OPT_APPEND_NEWLINE)


def audit_event(row: Mapping[str, Any], table: PolicyTable) -> dict[str, Any]:
    """One event as FHIR AuditEvent. A policy that is no longer known counts as execute."""
    policy = table.policies.get(row["policy"])
    return {
        "resourceType": "AuditEvent",
        "type": {"system": TYPE_SYSTEM, "code": "rest", "display": "RESTful Operation"},
        "subtype": [{"code": row["policy"]}],
        "action": policy.action if policy else "E",
        "recorded": row["at"],
        "outcome": _outcome(row["status"]),
        "agent": [agent for agent in (_person(row), _organisation(row), _application(row)) if agent],
        "source": {"site": row["organisation"] or "unknown", "observer": {"display": "ncrs"}},
        "entity": [*_patients(row), *_transaction(row)],
    }


def _outcome(status: int) -> str:
    if status >= _FIRST_SERVER_ERROR:
        return "8"
    return "4" if status >= _FIRST_CLIENT_ERROR else "0"


def _person(row: Mapping[str, Any]) -> dict[str, Any] | None:
    if row["user_id"] is None:
        return None
    roles = [(ROLE_PROFILE_SYSTEM, row["role_profile_id"]), (ROLE_SYSTEM, row["role_code"])]
    return {
        "role": [{"coding": [{"system": system, "code": code}]} for system, code in roles if code],
        "who": {"identifier": {"system": USER_SYSTEM, "value": row["user_id"]}},
        "requestor": True,
    }


def _organisation(row: Mapping[str, Any]) -> dict[str, Any] | None:
    if row["organisation"] is None:
        return None
    return {"who": {"identifier": {"system": ODS_CODE_SYSTEM, "value": row["organisation"]}}, "requestor": False}


def _application(row: Mapping[str, Any]) -> dict[str, Any]:
    agent: dict[str, Any] = {"requestor": row["user_id"] is None, "name": row["mode"] or "unknown"}
    if row["client_id"] is not None:
        agent["altId"] = row["client_id"]
    return agent


def _patients(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    numbers = orjson.loads(row["patients"])
    return [
        {
            "what": {"identifier": {"system": NHS_NUMBER_SYSTEM, "value": format_nhs_number(number)}},
            "type": {"system": ENTITY_SYSTEM, "code": "1", "display": "Person"},
        }
        for number in numbers
    ]


def _transaction(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    details = [
        ("productIdentifier", "ncrs"),
        ("interactionIdentifier", row["policy"]),
        ("correlationId", row["correlation_id"]),
        ("generation", row["generation"]),
        ("status", str(row["status"])),
        ("reason", row["detail"]),
        ("chainSequence", str(row["sequence"])),
        ("chainHash", row["hash"]),
    ]
    endpoint = {
        "type": {"system": ENTITY_SYSTEM, "code": "2", "display": "System Object"},
        "detail": [{"type": name, "valueString": value} for name, value in details if value],
    }
    found = [endpoint]
    if row["request_id"]:
        found.insert(0, {"name": "XrequestId", "what": {"identifier": {"value": row["request_id"]}}})
    if row["end_user_organisation"]:
        value = {"system": ODS_CODE_SYSTEM, "value": row["end_user_organisation"]}
        found.append({"name": "submittedOrganisation", "what": {"identifier": value}})
    return found
