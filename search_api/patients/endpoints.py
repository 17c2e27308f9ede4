"""The patient routes: search, $match, read, related people.

Belongs here: what of HTTP each of them reads, and the order of its checks after the gate.
Does not belong here: the answers themselves. The gate (``requires``) has done token, access mode,
X-Request-ID's format, role and policy; then come the rules of the mode, a missing X-Request-ID, and
the parameters: the live order of pds.md 4.3.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from search_api import errors
from search_api.access.context import Caller
from search_api.access.routes import requires
from search_api.answering import answer, head_of
from search_api.patients import describe
from search_api.patients.asked import check_mode, read_search
from search_api.patients.bodies import JSON_TYPES, Items, form_fields, media_type, query_fields, read_body
from search_api.patients.match_input import read_match
from search_api.patients.reading import read_patient, related_people
from search_api.patients.searching import match, search
from search_api.services import services

router = APIRouter(tags=["Patient"])


@router.get(
    "/Patient",
    summary="Search for patients",
    dependencies=[Depends(requires("patient-search"))],
    openapi_extra=describe.SEARCH,
    responses=describe.RESPONSES,
)
@router.head("/Patient", include_in_schema=False, dependencies=[Depends(requires("patient-search"))])
async def search_patients(request: Request) -> Response:
    """PDS's search, and with `_ncrs-mode=wide` a more tolerant one."""
    return await _search(request, query_fields(request))


@router.post(
    "/Patient/_search",
    summary="Search for patients, parameters in the body",
    dependencies=[Depends(requires("patient-search"))],
    openapi_extra=describe.SEARCH_FORM,
    responses=describe.RESPONSES,
)
async def search_patients_by_form(request: Request) -> Response:
    """As GET, with the parameters as a form: names and dates stay out of addresses and logs."""
    return await _search(request, await form_fields(request))


async def _search(request: Request, items: Items) -> Response:
    caller: Caller = request.state.caller
    check_mode(items, caller.mode)
    head_of(request)
    asked = read_search(items, caller.mode, services(request).settings)
    return await answer(request, "patient-search", lambda ask: search(ask, asked))


@router.post(
    "/Patient/$match",
    summary="Match one person's demographics",
    dependencies=[Depends(requires("patient-match"))],
    openapi_extra=describe.MATCH,
    responses=describe.RESPONSES,
)
async def match_patient(request: Request) -> Response:
    """FHIR's $match: a Patient in, graded candidates out, each with its explanation."""
    head_of(request)
    settings = services(request).settings
    if media_type(request) not in JSON_TYPES:
        raise errors.SpineError(errors.UNSUPPORTED_MEDIA, "The body must be application/fhir+json")
    body = await read_body(request, settings.body_limit)
    asked = read_match(body, settings.max_results)
    return await answer(request, "patient-match", lambda ask: match(ask, asked))


@router.get(
    "/Patient/{id}",
    summary="Read a patient by NHS number",
    dependencies=[Depends(requires("patient-read"))],
    openapi_extra=describe.READ,
    responses=describe.RESPONSES,
)
@router.head("/Patient/{id}", include_in_schema=False, dependencies=[Depends(requires("patient-read"))])
async def get_patient(request: Request) -> Response:
    """The record, with its version as ETag; a superseded number answers with the record that replaced it."""
    path_id, tag = str(request.path_params["id"]), request.headers.get("if-none-match")
    refuse_parameters(request)
    return await answer(request, "patient-read", lambda ask: read_patient(ask, path_id, tag))


@router.get(
    "/Patient/{id}/RelatedPerson",
    summary="Read a patient's related people",
    dependencies=[Depends(requires("related-persons"))],
    openapi_extra=describe.READ,
    responses=describe.RESPONSES,
)
@router.head(
    "/Patient/{id}/RelatedPerson", include_in_schema=False, dependencies=[Depends(requires("related-persons"))]
)
async def get_related_people(request: Request) -> Response:
    """A searchset of RelatedPerson without scores; empty for a restricted patient."""
    path_id = str(request.path_params["id"])
    refuse_parameters(request)
    return await answer(request, "related-persons", lambda ask: related_people(ask, path_id))


def refuse_parameters(request: Request) -> None:
    """A read takes no parameters: PDS answers UNSUPPORTED_SERVICE (its official tests)."""
    head_of(request)
    if request.scope["query_string"]:
        raise errors.SpineError(errors.UNSUPPORTED_SERVICE)
