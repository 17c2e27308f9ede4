"""The ways to a token: application with a signed assertion, authorisation code with PKCE, persona.

Belongs here: the rules of each grant. Does not belong here: HTTP (``issuer.py``), claims (``tokens.py``).
Sources: RFC 6749, RFC 7523 (assertions), RFC 7636 (PKCE), services.md 12. The persona grant is the
sandbox's own: it exists so that a test or a command needs no browser, and no real issuer has it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from sandbox.identity.assertions import unverified_subject
from sandbox.identity.keys import client_key
from sandbox.identity.personas import Cast, Client, Persona, as_patient
from sandbox.identity.settings import IdentitySettings
from sandbox.identity.tokens import Grant
from schemas.errors import ConfigurationError, NcrsError

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PERSONA_GRANT = "urn:ncrs:sandbox:persona"
ASSERTION_ALGORITHMS = ["RS512"]
ASSERTION_SECONDS = 300
CODE_SECONDS = 60

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")

Form = Mapping[str, str]


class OAuthError(NcrsError):
    """A request for a token that breaks a rule; ``error`` is the code of RFC 6749."""

    code = "OAUTH"

    def __init__(self, error: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.error = error
        self.status = status


@dataclass(frozen=True)
class Asked:
    """A valid authorisation request."""

    client: Client
    redirect_uri: str
    challenge: str
    state: str
    nonce: str


@dataclass(frozen=True)
class _Code:
    """What a code stands for until it is used or too old."""

    asked: Asked
    grant: Grant
    expires: float


class Grants:
    """Rules and short memory of the token endpoint: codes and assertions are good once."""

    def __init__(self, settings: IdentitySettings, cast: Cast) -> None:
        self._settings = settings
        self._cast = cast
        self._codes: dict[str, _Code] = {}
        self._assertions: dict[str, float] = {}

    def grant(self, form: Form) -> Grant:
        """What the form may have. Raises OAuthError."""
        kinds = {
            "client_credentials": self._application,
            "authorization_code": self._code,
            PERSONA_GRANT: self._persona,
        }
        kind = kinds.get(form.get("grant_type", ""))
        if kind is None:
            raise OAuthError("unsupported_grant_type", f"Use one of: {', '.join(kinds)}.")
        return kind(form)

    def asked(self, query: Form) -> Asked:
        """A request for a code. Raises OAuthError; nothing is redirected before all of it is right."""
        client = self._cast.client(query.get("client_id", ""))
        if client is None or client.kind != "public":
            raise OAuthError("invalid_client", "The client is not known, or may not sign people in.")
        if query.get("redirect_uri") not in client.redirect_uris:
            raise OAuthError("invalid_request", "The redirect address is not registered for this client.")
        if query.get("response_type") != "code" or "openid" not in query.get("scope", "").split():
            raise OAuthError("invalid_request", "response_type must be code, and scope must hold openid.")
        challenge = query.get("code_challenge", "")
        if query.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
            raise OAuthError("invalid_request", "PKCE with S256 is needed.")
        return Asked(client, query["redirect_uri"], challenge, query.get("state", ""), query.get("nonce", ""))

    def issue_code(self, asked: Asked, name: str, role: str | None) -> str:
        """A code for the persona chosen. Raises OAuthError."""
        grant = self._grant_of(asked.client, self._find(name), role, asked.nonce or None)
        now = time.time()
        self._codes = {code: kept for code, kept in self._codes.items() if kept.expires > now}
        code = secrets.token_urlsafe(32)
        self._codes[code] = _Code(asked, grant, now + CODE_SECONDS)
        return code

    def _code(self, form: Form) -> Grant:
        kept = self._codes.pop(form.get("code", ""), None)
        if kept is None or kept.expires <= time.time():
            raise OAuthError("invalid_grant", "The code is not known, was used, or is too old.")
        if (form.get("client_id"), form.get("redirect_uri")) != (kept.asked.client.client_id, kept.asked.redirect_uri):
            raise OAuthError("invalid_grant", "The code was given to another client or address.")
        verifier = form.get("code_verifier", "")
        if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(challenge_of(verifier), kept.asked.challenge):
            raise OAuthError("invalid_grant", "The code verifier does not fit.")
        return kept.grant

    def _application(self, form: Form) -> Grant:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise OAuthError("invalid_client", f"client_assertion_type must be {ASSERTION_TYPE}.", 401)
        client = self._client_of(form.get("client_assertion", ""))
        return Grant(client)

    def _client_of(self, assertion: str) -> Client:
        client = self._cast.client(unverified_subject(assertion))
        if client is None or client.kind != "private_key_jwt":
            raise OAuthError("invalid_client", "The client is not known, or has no key.", 401)
        key = client_key(self._settings.folder, client.client_id)
        try:
            claims = jwt.decode(assertion, key, algorithms=ASSERTION_ALGORITHMS).claims
        except (JoseError, ValueError) as error:
            raise OAuthError(
                "invalid_client", "The assertion's signature does not fit the client's key.", 401
            ) from error
        self._check_assertion(claims, client)
        return client

    def _check_assertion(self, claims: Mapping[str, Any], client: Client) -> None:
        now = time.time()
        expires, identifier = claims.get("exp"), claims.get("jti")
        if claims.get("iss") != client.client_id or claims.get("aud") != f"{self._settings.issuer}/token":
            raise OAuthError("invalid_client", "iss and sub must be the client, aud the token address.", 401)
        if not isinstance(expires, int) or not now < expires <= now + ASSERTION_SECONDS:
            raise OAuthError("invalid_client", f"exp must be within {ASSERTION_SECONDS} seconds from now.", 401)
        if not isinstance(identifier, str) or not identifier:
            raise OAuthError("invalid_client", "jti is needed.", 401)
        self._assertions = {known: until for known, until in self._assertions.items() if until > now}
        if identifier in self._assertions:
            raise OAuthError("invalid_client", "The assertion was used before.", 401)
        self._assertions[identifier] = expires

    def _persona(self, form: Form) -> Grant:
        persona = self._find(form.get("persona", ""), form.get("nhs_number"))
        client_id = persona.client_id if persona.kind == "application" else self._cast.portal
        client = self._cast.client(client_id or "")
        if client is None:
            raise OAuthError("invalid_client", "The persona's client is not known.")
        if persona.kind == "application":
            return Grant(client)
        return self._grant_of(client, persona, form.get("role"), None)

    def _find(self, name: str, nhs_number: str | None = None) -> Persona:
        try:
            return as_patient(self._cast.persona(name), nhs_number)
        except ConfigurationError as error:
            raise OAuthError("invalid_request", f"{error.message} {error.remedy}") from error

    def _grant_of(self, client: Client, persona: Persona, role: str | None, nonce: str | None) -> Grant:
        if persona.kind == "application":
            raise OAuthError("invalid_request", "An application cannot be signed in as a person.")
        if role and role not in {row["person_roleid"] for row in persona.roles}:
            raise OAuthError("invalid_request", "The persona does not have that role.")
        return Grant(client, persona, role, nonce, int(time.time()))


def challenge_of(verifier: str) -> str:
    """S256 challenge of a PKCE verifier."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
