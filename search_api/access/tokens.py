"""Bearer tokens: from the Authorization header to claims that may be believed, or a 401.

Belongs here: the header of the request, the token's own header, its signature and its registered
claims; the memory of tokens already verified. Does not belong here: what the claims say about a person
(``identity.py``). Sources: promises.md 5.3 and X1, pds.md 4.2, RFC 9068 (access tokens), RFC 8725.

Whatever is wrong with a token, the answer is the same: ``Invalid Access Token``. The reason is a code
for the log and the audit; it holds no claim.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from search_api.access.keys import Key, KeyStore
from search_api.errors import ACCESS_DENIED_401, SpineError, access_denied_401
from search_api.settings import Settings

TOKEN_LIMIT = 32 * 1024
TOKEN_TYPES = frozenset({"at+jwt", "jwt"})
FORBIDDEN_HEADERS = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "enc", "zip"})
INVALID = "Invalid Access Token"

_KID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_SUBJECT = re.compile(r"[\x21-\x7e]{1,255}")


class InvalidToken(SpineError):
    """401 for a token that may not be believed; ``reason`` is a code for ops, never for the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(ACCESS_DENIED_401, INVALID)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Claims:
    """What a verified token says. ``raw`` is the whole claim set; ``expires`` is in epoch seconds.

    Equal to itself alone: what is made of these claims may be kept by them, and goes when they are forgotten.
    """

    subject: str
    client_id: str
    expires: float
    raw: Mapping[str, Any]


def bearer_token(values: list[str]) -> str:
    """The token of the Authorization header(s). Raises SpineError with PDS's wording (pds.md 4.2)."""
    if not values:
        raise access_denied_401("Missing Authorization header")
    if len(values) > 1:
        raise InvalidToken("several_headers")
    scheme, _, token = values[0].strip().partition(" ")
    if not scheme:
        raise access_denied_401("Empty Authorization header")
    if scheme.lower() != "bearer":
        raise access_denied_401("Invalid token type")
    if not token.strip():
        raise access_denied_401("Missing access token")
    return token.strip()


class TokenVerifier:
    """Checks tokens against the settings and the issuer's keys.

    ``now`` gives epoch seconds. A token that passed is remembered by its SHA-256 until it expires, so
    that no signature is computed twice; a change of the key set empties the memory.
    """

    def __init__(self, settings: Settings, keys: KeyStore, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._keys = keys
        self._now = now
        self._memory: OrderedDict[bytes, Claims] = OrderedDict()
        self._memory_version = keys.version

    async def verify(self, token: str) -> Claims:
        """Claims of the token. Raises InvalidToken."""
        if self._keys.stale:
            await self._refresh_old_keys()
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._remembered(digest)
        if known is not None:
            return known
        header = self._header(token)
        key = self._keys.get(header["kid"])
        if key is None and (self._keys.may_fetch or self._keys.fetching):
            await asyncio.to_thread(self._keys.refresh)
            key = self._keys.get(header["kid"])
        claims = self._claims(token, header, key)
        self._remember(digest, claims)
        return claims

    async def _refresh_old_keys(self) -> None:
        """While keys are held nobody waits for the issuer: it may be slow or gone, and they stay valid."""
        if self._keys.empty:
            await asyncio.to_thread(self._keys.refresh)
        else:
            asyncio.get_running_loop().run_in_executor(None, self._keys.refresh)

    def _remembered(self, digest: bytes) -> Claims | None:
        if self._memory_version != self._keys.version:
            self._memory.clear()
            self._memory_version = self._keys.version
        claims = self._memory.get(digest)
        if claims is None:
            return None
        if self._now() >= claims.expires + self._settings.token_leeway:
            del self._memory[digest]
            raise InvalidToken("expired")
        self._memory.move_to_end(digest)
        return claims

    def _remember(self, digest: bytes, claims: Claims) -> None:
        self._memory[digest] = claims
        while len(self._memory) > self._settings.token_cache:
            self._memory.popitem(last=False)

    def _header(self, token: str) -> dict[str, Any]:
        if len(token) > TOKEN_LIMIT or not _COMPACT.fullmatch(token):
            raise InvalidToken("not_a_token")
        header = _json(token.split(".", 1)[0])
        if FORBIDDEN_HEADERS & header.keys():
            raise InvalidToken("forbidden_header")
        if header.get("alg") not in self._settings.token_algorithms:
            raise InvalidToken("algorithm")
        if not isinstance(header.get("typ"), str) or header["typ"].lower() not in TOKEN_TYPES:
            raise InvalidToken("type")
        if not isinstance(header.get("kid"), str) or not _KID.fullmatch(header["kid"]):
            raise InvalidToken("key_id")
        return header

    def _claims(self, token: str, header: dict[str, Any], key: Key | None) -> Claims:
        if key is None:
            raise InvalidToken("unknown_key")
        if key.alg not in (None, header["alg"]):
            raise InvalidToken("algorithm_of_key")
        try:
            raw = jwt.decode(token, key, algorithms=[header["alg"]]).claims
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise InvalidToken("signature") from error
        self._check_target(raw)
        self._check_times(raw)
        return Claims(_subject(raw), _client(raw), float(raw["exp"]), raw)

    def _check_target(self, raw: Mapping[str, Any]) -> None:
        if raw.get("iss") != self._settings.issuer:
            raise InvalidToken("issuer")
        if raw.get("aud") not in (self._settings.audience, [self._settings.audience]):
            raise InvalidToken("audience")

    def _check_times(self, raw: Mapping[str, Any]) -> None:
        now, leeway = self._now(), self._settings.token_leeway
        expires, issued = _seconds(raw, "exp"), _seconds(raw, "iat")
        if now >= expires + leeway:
            raise InvalidToken("expired")
        if issued > now + leeway:
            raise InvalidToken("issued_in_future")
        if "nbf" in raw and _seconds(raw, "nbf") > now + leeway:
            raise InvalidToken("not_yet_valid")
        if not 0 < expires - issued <= self._settings.token_max_age:
            raise InvalidToken("life_too_long")


def _json(part: str) -> dict[str, Any]:
    try:
        header = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError) as error:
        raise InvalidToken("header") from error
    if not isinstance(header, dict):
        raise InvalidToken("header")
    return header


def _seconds(raw: Mapping[str, Any], name: str) -> float:
    value = raw.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e11:
        raise InvalidToken(f"claim_{name}")
    return float(value)


def _subject(raw: Mapping[str, Any]) -> str:
    subject = raw.get("sub")
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise InvalidToken("claim_sub")
    return subject


def _client(raw: Mapping[str, Any]) -> str:
    named = [raw[name] for name in ("azp", "client_id") if name in raw]
    if not named or any(not isinstance(name, str) or name != named[0] for name in named):
        raise InvalidToken("claim_client")
    return str(named[0])
