"""The page that describes the API: OpenAPI and Swagger UI, with nothing from another address.

Belongs here: the page, its two assets from the ``fastapi-offline`` package, its policy for browsers.
Does not belong here: what the routes say of themselves. Source: promises.md S15, X10.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from search_api.access.routes import open_to_all
from search_api.responses import to_bytes

router = APIRouter(prefix="/docs", include_in_schema=False, dependencies=[Depends(open_to_all("docs"))])

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>NCRS replica API</title><link rel="stylesheet" href="/docs/swagger-ui.css"></head>
<body><main id="swagger-ui"></main>
<script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body>
</html>
"""
START = 'SwaggerUIBundle({url: "/docs/openapi.json", dom_id: "#swagger-ui", validatorUrl: null});\n'

_HEADERS = {"content-security-policy": POLICY, "cache-control": "public, max-age=3600"}


@router.get("")
async def page() -> Response:
    """The page."""
    return Response(PAGE, media_type="text/html", headers=_HEADERS)


@router.get("/start.js")
async def start() -> Response:
    """What starts the page; a file of its own, so that the page needs no inline script."""
    return Response(START, media_type="text/javascript", headers=_HEADERS)


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """The description itself."""
    return Response(to_bytes(request.app.openapi()), media_type="application/json", headers=_HEADERS)


@router.get("/swagger-ui.css")
async def styles() -> Response:
    """The styles of Swagger UI."""
    return _asset("swagger-ui.css")


@router.get("/swagger-ui-bundle.js")
async def scripts() -> Response:
    """The script of Swagger UI."""
    return _asset("swagger-ui-bundle.js")


def _asset(name: str) -> Response:
    return Response(_content(name), media_type=ASSETS[name], headers=_HEADERS)


@cache
def _content(name: str) -> bytes:
    return files("fastapi_offline").joinpath("static", name).read_bytes()
