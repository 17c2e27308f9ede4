"""The routes of the postcode search.

Belongs here: what of HTTP they read. Does not belong here: the answer (``occupants.py``). They are added before
the routes of a patient, whose path would take the operation's name for a number.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from search_api.access.routes import requires
from search_api.answering import answer, head_of
from search_api.patients import describe
from search_api.patients.bodies import Items, form_fields, query_fields
from search_api.patients.occupants import PARAMETERS, occupants, read_postcode_search
from search_api.services import services

router = APIRouter(tags=["Patient"])

POLICY = "postcode-search"
PATH = "/Patient/$postcode-search"


@router.get(
    PATH,
    summary="List who lives at a postcode",
    dependencies=[Depends(requires(POLICY))],
    openapi_extra=describe.searching(PARAMETERS),
    responses=describe.RESPONSES,
)
@router.head(PATH, include_in_schema=False, dependencies=[Depends(requires(POLICY))])
async def search_postcode(request: Request) -> Response:
    """The occupants of a full postcode, and with `previous=true` who lived there before. Not part of PDS."""
    return await _search(request, query_fields(request))


@router.post(
    PATH,
    summary="List who lives at a postcode, parameters in the body",
    dependencies=[Depends(requires(POLICY))],
    openapi_extra=describe.searching_by_form(PARAMETERS),
    responses=describe.RESPONSES,
)
async def search_postcode_by_form(request: Request) -> Response:
    """As GET, with the parameters as a form: names and dates stay out of addresses and logs."""
    return await _search(request, await form_fields(request))


async def _search(request: Request, items: Items) -> Response:
    head_of(request)
    asked = read_postcode_search(items, services(request).settings.postcode_results)
    return await answer(request, POLICY, lambda ask: occupants(ask, asked))
