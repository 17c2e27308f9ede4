"""Client assertions: how an application of the sandbox proves itself to the issuer (RFC 7523).

Belongs here: making one, and reading whom it claims to be from. Does not belong here: believing it.
"""

from __future__ import annotations

import json
import time
import uuid
from base64 import urlsafe_b64decode

from joserfc import jwt

from sandbox.identity.keys import client_key
from sandbox.identity.settings import IdentitySettings

LIFE_SECONDS = 240


def client_assertion(settings: IdentitySettings, client_id: str) -> str:
    """A signed assertion of the client, good once, for the issuer's token address."""
    key = client_key(settings.folder, client_id)
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": f"{settings.issuer}/token",
        "exp": int(time.time()) + LIFE_SECONDS,
        "jti": str(uuid.uuid4()),
    }
    return jwt.encode({"alg": "RS512", "typ": "JWT", "kid": str(key.kid)}, claims, key, algorithms=["RS512"])


def unverified_subject(assertion: str) -> str:
    """The ``sub`` of an assertion whose signature is still to be checked; empty when there is none."""
    try:
        payload = assertion.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        subject = claims["sub"]
    except (IndexError, KeyError, ValueError, TypeError, RecursionError):
        return ""
    return subject if isinstance(subject, str) else ""
