"""The routes of the summary care record and of ``$everything``.

Belongs here: what of HTTP each of them reads. Does not belong here: the answers.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from search_api.access.routes import requires
from search_api.answering import answer, head_of
from search_api.patients import describe
from search_api.patients.bodies import query_fields
from search_api.patients.endpoints import refuse_parameters
from search_api.summaries import parameters
from search_api.summaries.everything import everything
from search_api.summaries.service import document, document_references

router = APIRouter(tags=["Summary"])


def _described(values: dict[str, str | None], required: tuple[str, ...]) -> describe.Document:
    query = [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": {"type": "string", **({"enum": [value]} if value else {})},
        }
        for name, value in values.items()
    ]
    return {"parameters": [*describe.HEADERS, *query]}


@router.get(
    "/DocumentReference",
    summary="Find a patient's summary care record",
    dependencies=[Depends(requires("scr-document-reference"))],
    openapi_extra=_described(parameters.REFERENCE_VALUES, (parameters.PATIENT,)),
    responses=describe.RESPONSES,
)
async def find_summary(request: Request) -> Response:
    """A searchset with the reference to the latest summary, or total 0."""
    head_of(request)
    number = parameters.reference_number(query_fields(request))
    return await answer(request, "scr-document-reference", lambda ask: document_references(ask, number))


@router.get(
    "/Bundle",
    summary="Read a summary care record",
    dependencies=[Depends(requires("scr-bundle"))],
    openapi_extra=_described(parameters.BUNDLE_VALUES, (parameters.IDENTIFIER, parameters.SUBJECT)),
    responses=describe.RESPONSES,
)
async def read_summary(request: Request) -> Response:
    """The document Bundle; empty for an identifier that is not the latest."""
    head_of(request)
    identifier, number = parameters.bundle_key(query_fields(request))
    return await answer(request, "scr-bundle", lambda ask: document(ask, identifier, number))


@router.get(
    "/Patient/{id}/$everything",
    summary="Read all that the caller may see of a patient",
    dependencies=[Depends(requires("everything"))],
    openapi_extra=describe.READ,
    responses=describe.RESPONSES,
)
async def read_everything(request: Request) -> Response:
    """One Bundle: a Composition with a section a service, each with its as-at time and state."""
    path_id = str(request.path_params["id"])
    refuse_parameters(request)
    return await answer(request, "everything", lambda ask: everything(ask, path_id))
