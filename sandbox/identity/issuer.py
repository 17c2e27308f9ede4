"""The sandbox's OIDC issuer as a web service: discovery, keys, tokens, sign-in, userinfo.

Belongs here: HTTP. Does not belong here: the rules of a grant (``grants.py``), claims (``tokens.py``).
For the loopback only: whoever reaches it may be anybody. It plays CIS2 and NHS login to the product,
which knows it by its address alone.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from sandbox.identity import pages
from sandbox.identity.grants import PERSONA_GRANT, Asked, Grants, OAuthError
from sandbox.identity.personas import Cast, as_patient, cast
from sandbox.identity.settings import IdentitySettings
from sandbox.identity.tokens import ACCESS_SECONDS, ALGORITHM, MOST_SECONDS, Issuer, userinfo

FORM_LIMIT = 64 * 1024
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def create_issuer(settings: IdentitySettings) -> FastAPI:
    """The issuer; its keys are made at first start under ``{home}/sandbox/identity``."""
    app = FastAPI(
        title="Sandbox issuer", openapi_url=None, telemetry={"tracing": False, "logs": False, "metrics": False}
    )
    service = _Service(settings, cast())
    app.add_api_route("/.well-known/openid-configuration", service.discovery, methods=["GET"])
    app.add_api_route("/jwks", service.keys, methods=["GET"])
    app.add_api_route("/personas", service.personas, methods=["GET"])
    app.add_api_route("/token", service.token, methods=["POST"])
    app.add_api_route("/authorize", service.choose, methods=["GET"])
    app.add_api_route("/authorize", service.chosen, methods=["POST"])
    app.add_api_route("/userinfo", service.userinfo, methods=["GET"])
    app.add_exception_handler(OAuthError, _error)
    return app


class _Service:
    """The end points; each is a few lines over the rules."""

    def __init__(self, settings: IdentitySettings, personas: Cast) -> None:
        self._settings = settings
        self._cast = personas
        self._issuer = Issuer(settings)
        self._grants = Grants(settings, personas)

    async def discovery(self) -> JSONResponse:
        """OpenID Provider metadata."""
        issuer = self._settings.issuer
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "userinfo_endpoint": f"{issuer}/userinfo",
                "jwks_uri": f"{issuer}/jwks",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "client_credentials", PERSONA_GRANT],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
                "token_endpoint_auth_methods_supported": ["private_key_jwt", "none"],
                "token_endpoint_auth_signing_alg_values_supported": [ALGORITHM],
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": sorted({scope for client in self._cast.clients for scope in client.scope.split()}),
            }
        )

    async def keys(self) -> JSONResponse:
        """The public keys."""
        return JSONResponse(self._issuer.jwks())

    async def personas(self) -> JSONResponse:
        """Whom one may play: name, title, kind."""
        return JSONResponse(
            [{"name": each.name, "title": each.title, "kind": each.kind} for each in self._cast.personas]
        )

    async def token(self, request: Request) -> JSONResponse:
        """A token for a grant (RFC 6749 section 5.1)."""
        form = await _form(request)
        grant = self._grants.grant(form)
        seconds = _seconds(form.get("expires_in"))
        answer: dict[str, Any] = {
            "access_token": self._issuer.access_token(grant, seconds),
            "token_type": "Bearer",
            "expires_in": seconds,
            "scope": grant.client.scope,
        }
        if grant.persona is not None and form.get("grant_type") == "authorization_code":
            answer["id_token"] = self._issuer.id_token(grant)
        return JSONResponse(answer, headers=NO_STORE)

    async def choose(self, request: Request) -> HTMLResponse:
        """The page on which to choose a persona."""
        query = _single(list(request.query_params.multi_items()))
        self._grants.asked(query)
        return HTMLResponse(pages.chooser(self._cast, query), headers=pages.HEADERS)

    async def chosen(self, request: Request) -> Response:
        """Back to the client with a code."""
        form = await _form(request)
        asked = self._grants.asked(form)
        code = self._grants.issue_code(asked, form.get("persona", ""), form.get("role"))
        return RedirectResponse(_back(asked, code, self._settings.issuer), status_code=303, headers=NO_STORE)

    async def userinfo(self, request: Request) -> JSONResponse:
        """Who the access token is about, in the shape of CIS2 or NHS login."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        claims = self._issuer.grantee(token) if scheme.lower() == "bearer" else None
        if claims is None:
            raise OAuthError("invalid_token", "A valid access token is needed.", 401)
        for persona in self._cast.personas:
            if persona.kind == "user" and persona.user_id == claims.get("nhsid_useruid"):
                return JSONResponse({"sub": claims["sub"], **userinfo(persona)})
            if persona.kind == "patient" and "nhs_number" in claims:
                patient = as_patient(persona, claims["nhs_number"])
                return JSONResponse({"sub": claims["sub"], **userinfo(patient)})
        raise OAuthError("insufficient_scope", "The token is about no person.", 403)


def _back(asked: Asked, code: str, issuer: str) -> str:
    query = {"code": code, "iss": issuer, **({"state": asked.state} if asked.state else {})}
    return f"{asked.redirect_uri}?{urlencode(query)}"


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > FORM_LIMIT:
            raise OAuthError("invalid_request", "The form is too large.", 413)
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise OAuthError("invalid_request", "Send a form (application/x-www-form-urlencoded).", 415)
    try:
        return _single(parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body)))
    except ValueError as error:
        raise OAuthError("invalid_request", "The form cannot be read.") from error


def _single(pairs: list[tuple[str, str]]) -> dict[str, str]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise OAuthError("invalid_request", "A field is given twice.")
    return fields


def _seconds(asked: str | None) -> int:
    if asked is None:
        return ACCESS_SECONDS
    if not asked.isdecimal() or not 1 <= int(asked) <= MOST_SECONDS:
        raise OAuthError("invalid_request", f"expires_in must be 1 to {MOST_SECONDS} seconds.")
    return int(asked)


async def _error(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 - the framework's shape
    if not isinstance(error, OAuthError):
        raise error
    headers = {**NO_STORE, **({"WWW-Authenticate": "Bearer"} if error.status == 401 else {})}
    return JSONResponse({"error": error.error, "error_description": error.message}, error.status, headers)
