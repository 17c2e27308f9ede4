"""``metadata``: the CapabilityStatement, which PDS and NRL themselves do not have (promises.md S17).

Belongs here: the statement and the table of interactions it is made from; a test compares the table
with the routes. Does not belong here: OpenAPI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from search_api.access.routes import requires
from search_api.patients.parameters import PARAMETERS
from search_api.responses import fhir, to_bytes
from search_api.services import services
from search_api.summaries.parameters import BUNDLE_VALUES, REFERENCE_VALUES

Resource = dict[str, Any]

router = APIRouter(tags=["Description"])

BUILT = "2026-11-24"
_OPERATIONS = "http://hl7.org/fhir/OperationDefinition/"
_SEARCH_TYPES = {"text": "string", "date": "date", "code": "token", "flag": "token", "count": "number"}


@dataclass(frozen=True)
class Interaction:
    """One route: its resource and what FHIR calls it (an interaction code or ``$operation``)."""

    method: str
    path: str
    resource: str
    code: str


INTERACTIONS: tuple[Interaction, ...] = (
    Interaction("GET", "/Patient", "Patient", "search-type"),
    Interaction("POST", "/Patient/_search", "Patient", "search-type"),
    Interaction("GET", "/Patient/{id}", "Patient", "read"),
    Interaction("POST", "/Patient/$match", "Patient", "$match"),
    Interaction("GET", "/Patient/$postcode-search", "Patient", "$postcode-search"),
    Interaction("POST", "/Patient/$postcode-search", "Patient", "$postcode-search"),
    Interaction("GET", "/Patient/{id}/$everything", "Patient", "$everything"),
    Interaction("GET", "/Patient/{id}/RelatedPerson", "RelatedPerson", "search-type"),
    Interaction("GET", "/DocumentReference", "DocumentReference", "search-type"),
    Interaction("GET", "/Bundle", "Bundle", "search-type"),
    Interaction("GET", "/metadata", "", "capabilities"),
)
_OURS = "urn:ncrs:fhir:OperationDefinition:"
_DEFINITIONS = {
    "$match": f"{_OPERATIONS}Patient-match",
    "$everything": f"{_OPERATIONS}Patient-everything",
    "$postcode-search": f"{_OURS}Patient-postcode-search",
}


def statement(issuer: str) -> Resource:
    """The CapabilityStatement; ``issuer`` is the identity provider whose tokens are accepted."""
    names = dict.fromkeys(item.resource for item in INTERACTIONS if item.resource)
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": BUILT,
        "kind": "instance",
        "software": {"name": "NCRS replica"},
        "implementation": {"description": "Read replica and search index of national patient records"},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "security": {"description": f"Bearer tokens of {issuer}; X-Request-ID is required."},
                "resource": [_resource(name) for name in names],
            }
        ],
    }


def _resource(name: str) -> Resource:
    mine = [item for item in INTERACTIONS if item.resource == name]
    resource: Resource = {"type": name}
    codes = dict.fromkeys(item.code for item in mine if not item.code.startswith("$"))
    resource["interaction"] = [{"code": code} for code in codes]
    if parameters := _parameters(name):
        resource["searchParam"] = parameters
    operations = dict.fromkeys(item.code for item in mine if item.code.startswith("$"))
    if operations:
        resource["operation"] = [
            {"name": code.removeprefix("$"), "definition": _DEFINITIONS[code]} for code in operations
        ]
    return resource


def _parameters(name: str) -> list[Resource]:
    if name == "Patient":
        return [{"name": row.name, "type": _SEARCH_TYPES[row.kind], "documentation": row.meaning} for row in PARAMETERS]
    values = {"DocumentReference": REFERENCE_VALUES, "Bundle": BUNDLE_VALUES}.get(name, {})
    return [{"name": parameter, "type": "token"} for parameter in values]


@router.get("/metadata", summary="Read what the API can do", dependencies=[Depends(requires("metadata"))])
async def read_metadata(request: Request) -> Response:
    """The CapabilityStatement of this API."""
    return fhir(to_bytes(statement(services(request).settings.issuer)))
