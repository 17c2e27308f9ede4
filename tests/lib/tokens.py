"""Tokens for tests: real key pairs, and a signature over any header and any claims.

Belongs here: an issuer's hand. Does not belong here: the issuer's server (``sandbox/identity``).
Use: ``signer = Signer()``; ``gate = AccessGate(settings, audit=audit, keys=signer.key_store())``;
``headers = bearer(signer.clinician())``.
"""

from __future__ import annotations

import json
import time
import uuid
from base64 import urlsafe_b64encode
from functools import cache
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from search_api.access.keys import KeyStore
from search_api.settings import Settings

ISSUER = "http://127.0.0.1:8010"
AUDIENCE = "ncrs"
PRIVILEGED = "urn:nhsd:apim:app:level3:privileged-personal-demographics-service"
PORTAL, APP, PRIVILEGED_APP, MONITOR = "ncrs-portal", "sandbox-app", "sandbox-privileged-app", "sandbox-monitor"

USER_ID = "910000000001"
ROLE_ID = "920000000001"
ORGANISATION = "RX898"


@cache
def rsa_key(name: str) -> RSAKey:
    """A key pair that lives as long as the test process (making one costs 0.1 s)."""
    return RSAKey.generate_key(2048, parameters={"kid": name})


@cache
def ec_key(name: str) -> ECKey:
    """A P-256 key pair."""
    return ECKey.generate_key("P-256", parameters={"kid": name})


def role(
    code: str | None = "S8000:G8000:R8000",
    *,
    profile: str = ROLE_ID,
    organisation: str | None = ORGANISATION,
    activities: list[str] | None = None,
) -> dict[str, Any]:
    """One entry of ``nhsid_nrbac_roles``; without ``activities`` the member is missing, as CIS2 may have it."""
    row: dict[str, Any] = {"person_roleid": profile, "person_orgid": "930000000001", "role_name": "test"}
    if code is not None:
        row["role_code"] = code
    if organisation is not None:
        row["org_code"] = organisation
    if activities is not None:
        row["activity_codes"] = activities
    return row


def encode(raw: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


class Signer:
    """Signs tokens as the issuer of the settings does; every claim can be replaced or left out (None)."""

    def __init__(self, kid: str = "test-key", issuer: str = ISSUER, audience: str = AUDIENCE) -> None:
        self.key = rsa_key(kid)
        self.kid = kid
        self.issuer = issuer
        self.audience = audience

    def jwks(self) -> bytes:
        """The public key set."""
        public = {**self.key.as_dict(private=False), "use": "sig", "alg": "RS512"}
        return json.dumps({"keys": [public]}).encode()

    def key_store(self, settings: Settings | None = None) -> KeyStore:
        """A key store that holds this signer's key set."""
        chosen = settings or Settings()
        return KeyStore(self.jwks, min_refetch=chosen.jwks_min_refetch, max_age=chosen.jwks_max_age)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Registered claims of a good token, then the changes."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": USER_ID,
            "azp": PORTAL,
            "iat": now,
            "exp": now + 600,
            "jti": str(uuid.uuid4()),
        }
        claims.update(changes)
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, claims: dict[str, Any] | bytes, key: Any = None, **header: Any) -> str:
        """A compact token over any claims; header members given replace ours, None leaves one out."""
        full = {"alg": "RS512", "typ": "at+jwt", "kid": self.kid, **header}
        full = {name: value for name, value in full.items() if value is not None}
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        # Signed below the library's own checks: a hostile issuer does not make them.
        text = f"{encode(json.dumps(full).encode())}.{encode(payload)}"
        signature = jws.JWSRegistry.algorithms[full["alg"]].sign(text.encode(), key or self.key)
        return f"{text}.{encode(signature)}"

    def worker(self, *roles: dict[str, Any], **changes: Any) -> str:
        """A healthcare worker's token with these roles."""
        person = {
            "nhsid_useruid": USER_ID,
            "nhsid_nrbac_roles": list(roles),
            "authentication_assurance_level": "3",
        }
        return self.sign(self.claims(**{**person, **changes}))

    def clinician(self, **changes: Any) -> str:
        """R8000: may search, read, and view summaries."""
        return self.worker(role("S8000:G8000:R8000"), **changes)

    def receptionist(self, **changes: Any) -> str:
        """R8009: may search and read demographics only."""
        return self.worker(role("S8000:G8000:R8009"), **changes)

    def privacy_officer(self, **changes: Any) -> str:
        """R0001: alerts only."""
        return self.worker(role("S0000:G0000:R0001"), **changes)

    def ops(self, **changes: Any) -> str:
        """R8015: system logs and reports."""
        return self.worker(role("S8000:G8000:R8015"), **changes)

    def service_owner(self, **changes: Any) -> str:
        """R8012: usage reports and freshness."""
        return self.worker(role("S8000:G8000:R8012"), **changes)

    def application(self, client: str = APP, **changes: Any) -> str:
        """A registered application without a user."""
        return self.sign(self.claims(**{"azp": client, "sub": client, **changes}))

    def privileged_application(self, **changes: Any) -> str:
        """A registered privileged application with its scope."""
        return self.application(PRIVILEGED_APP, **{"scope": PRIVILEGED, **changes})

    def patient(self, number: int, **changes: Any) -> str:
        """A patient signed in with NHS login at P9."""
        person = {"nhs_number": f"{number:010d}", "vot": "P9.Cp.Cd", "identity_proofing_level": "P9"}
        return self.sign(self.claims(**{**person, **changes}))


def bearer(token: str, **headers: str) -> dict[str, str]:
    """Request headers of a good request with this token."""
    return {"Authorization": f"Bearer {token}", "X-Request-ID": str(uuid.uuid4()), **headers}
