"""How the patient routes describe themselves in the OpenAPI page, made from the parameter catalogue.

Belongs here: descriptions. Does not belong here: checks; they read the same catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from search_api.patients.bodies import FORM
from search_api.patients.parameters import PARAMETERS, Parameter

Document = dict[str, Any]

_OUTCOME = {"description": "An OperationOutcome with PDS's code.", "content": {"application/fhir+json": {}}}
RESPONSES: dict[int | str, Document] = {
    200: {"description": "A FHIR resource.", "content": {"application/fhir+json": {}}},
    "4XX": _OUTCOME,
    "5XX": _OUTCOME,
}

_HEADERS = (
    ("X-Request-ID", True, "A UUID of this request; mirrored."),
    ("X-Correlation-ID", False, "Any value; mirrored."),
    ("NHSD-Session-URID", False, "The role to use, when the user has several."),
    ("NHSD-End-User-Organisation-ODS", False, "ODS code of the organisation the user acts for."),
)
HEADERS: list[Document] = [
    {"name": name, "in": "header", "required": required, "description": text, "schema": {"type": "string"}}
    for name, required, text in _HEADERS
]

_TYPES: dict[str, Document] = {
    "text": {"type": "string"},
    "date": {"type": "string", "pattern": "^(eq|ge|le)?[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    "code": {"type": "string"},
    "flag": {"type": "boolean", "default": False},
    "count": {"type": "integer", "minimum": 1, "maximum": 50},
}


def _schema(parameter: Parameter) -> Document:
    schema = dict(_TYPES[parameter.kind])
    if parameter.codes:
        schema["enum"] = list(parameter.codes)
    if parameter.kind == "text":
        schema["maxLength"] = parameter.length
    return {"type": "array", "items": schema, "maxItems": parameter.most} if parameter.most > 1 else schema


def _query(parameter: Parameter) -> Document:
    text = parameter.meaning + (" Not part of PDS." if parameter.ours else "")
    return {"name": parameter.name, "in": "query", "description": text, "schema": _schema(parameter)}


_PATIENT: Document = {"type": "object", "required": ["resourceType"]}


def searching(rows: Sequence[Parameter]) -> Document:
    """A search with its parameters in the address."""
    return {"parameters": [*HEADERS, *map(_query, rows)]}


def searching_by_form(rows: Sequence[Parameter]) -> Document:
    """A search with its parameters in the body."""
    properties = {row.name: _schema(row) for row in rows}
    content = {FORM: {"schema": {"type": "object", "properties": properties}}}
    return {"parameters": HEADERS, "requestBody": {"required": True, "content": content}}


SEARCH: Document = searching(PARAMETERS)
READ: Document = {"parameters": HEADERS}
SEARCH_FORM: Document = searching_by_form(PARAMETERS)
MATCH: Document = {
    "parameters": HEADERS,
    "requestBody": {
        "required": True,
        "description": "Parameters with resource, onlyCertainMatches and count; or a Patient alone.",
        "content": {"application/fhir+json": {"schema": _PATIENT}},
    },
}
