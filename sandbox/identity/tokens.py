"""What the sandbox's issuer says about a persona, and its signature.

Belongs here: claims in the shapes of CIS2, NHS login and application-restricted access; signing.
Does not belong here: who may ask for a token (``grants.py``).
Sources: services.md 12 (access token 599 s; claims of ID token and userinfo), pds.md 1.10.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from sandbox.identity.keys import issuer_key
from sandbox.identity.personas import Client, Persona
from sandbox.identity.settings import IdentitySettings

ALGORITHM = "RS512"
ACCESS_SECONDS = 599
MOST_SECONDS = 3600
LEVEL = {"authentication_assurance_level": "3", "id_assurance_level": "3", "acr": "AAL3_ANY"}
TRUST = {"identity_proofing_level": "P9", "vot": "P9.Cp.Cd"}


@dataclass(frozen=True)
class Grant:
    """What a token is for: a client, perhaps with a persona who selected a role."""

    client: Client
    persona: Persona | None = None
    role: str | None = None
    nonce: str | None = None
    signed_in: int = 0


class Issuer:
    """Signs with the kept key."""

    def __init__(self, settings: IdentitySettings) -> None:
        self.settings = settings
        self.key: RSAKey = issuer_key(settings.folder)

    def jwks(self) -> dict[str, Any]:
        """The public key set."""
        public = {**self.key.as_dict(private=False), "use": "sig", "alg": ALGORITHM}
        return {"keys": [public]}

    def access_token(self, grant: Grant, seconds: int = ACCESS_SECONDS) -> str:
        """Access token in the shape of RFC 9068 with the national claims; at most an hour."""
        claims = {
            **self._registered(grant, self.settings.audience, min(seconds, MOST_SECONDS)),
            "azp": grant.client.client_id,
            "scope": grant.client.scope,
            **person_claims(grant),
        }
        return self._sign(claims, "at+jwt")

    def id_token(self, grant: Grant) -> str:
        """ID token for the client (audience: the client)."""
        claims = {
            **self._registered(grant, grant.client.client_id, ACCESS_SECONDS),
            "auth_time": grant.signed_in,
            "amr": ["SANDBOX_PERSONA"],
            **({"nonce": grant.nonce} if grant.nonce else {}),
            **person_claims(grant, roles=False),
        }
        return self._sign(claims, "JWT")

    def grantee(self, token: str) -> dict[str, Any] | None:
        """Claims of one of our own access tokens that is still valid, or None."""
        try:
            decoded = jwt.decode(token, self.key, algorithms=[ALGORITHM])
        except (JoseError, ValueError):
            return None
        fresh = decoded.claims.get("exp", 0) > time.time() and decoded.header.get("typ") == "at+jwt"
        return dict(decoded.claims) if fresh else None

    def _registered(self, grant: Grant, audience: str, seconds: int) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self.settings.issuer,
            "aud": audience,
            "sub": subject(grant),
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "jti": str(uuid.uuid4()),
        }

    def _sign(self, claims: dict[str, Any], kind: str) -> str:
        header = {"alg": ALGORITHM, "typ": kind, "kid": str(self.key.kid)}
        return jwt.encode(header, claims, self.key, algorithms=[ALGORITHM])


def subject(grant: Grant) -> str:
    """User id; for a patient an opaque id; for an application its client id."""
    persona = grant.persona
    if persona is None:
        return grant.client.client_id
    if persona.kind == "patient":
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"patient {persona.nhs_number}"))
    return str(persona.user_id)


def person_claims(grant: Grant, *, roles: bool = True) -> dict[str, Any]:
    """Claims about the user or patient; none for an application."""
    persona = grant.persona
    if persona is None or persona.kind == "application":
        return {}
    if persona.kind == "patient":
        return {"nhs_number": persona.nhs_number, **TRUST}
    claims: dict[str, Any] = {"nhsid_useruid": persona.user_id, **LEVEL}
    if grant.role:
        claims["selected_roleid"] = grant.role
    if roles:
        claims["nhsid_nrbac_roles"] = role_rows(persona)
    return claims


def role_rows(persona: Persona) -> list[dict[str, Any]]:
    """Roles as CIS2 gives them (without the organisation's name, which has its own list)."""
    return [{name: value for name, value in role.items() if name != "org_name"} for role in persona.roles]


def userinfo(persona: Persona) -> dict[str, Any]:
    """Userinfo in the shape of CIS2 or NHS login."""
    if persona.kind == "patient":
        return {"nhs_number": persona.nhs_number, **TRUST}
    organisations = {role["org_code"]: role["org_name"] for role in persona.roles}
    return {
        "nhsid_useruid": persona.user_id,
        "uid": persona.user_id,
        "name": persona.full_name,
        "nhsid_nrbac_roles": role_rows(persona),
        "nhsid_user_orgs": [{"org_code": code, "org_name": name} for code, name in organisations.items()],
        **LEVEL,
    }
