"""The issuer's public keys: fetched from one pinned address, kept, fetched again when it makes sense.

Belongs here: the key set and when it is fetched. Does not belong here: tokens (``tokens.py``).
Rules (promises.md 5.3, X9): no redirect is followed, no proxy is taken from the environment, an answer
is limited in time and size, a spray of unknown key ids causes one fetch a minute, keys already held
stay valid while the issuer is down. Plain http is for the loopback only.
"""

from __future__ import annotations

import json
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from schemas.errors import ConfigurationError, PassingFault
from search_api import logging

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
KEY_SET_LIMIT = 256 * 1024
MIN_RSA_BITS = 2048

Key = RSAKey | ECKey
Fetch = Callable[[], bytes]


class KeySetUnavailable(PassingFault):
    """The issuer did not give a key set that can be used."""

    code = "KEY_SET_UNAVAILABLE"
    remedy = "Check the issuer and NCRS_JWKS_URL; keys already held stay in use."


def check_address(url: str) -> str:
    """The address, if it may be used: https anywhere, http on the loopback. Raises ConfigurationError."""
    parts = urlsplit(url)
    plain = parts.scheme == "http" and parts.hostname in LOOPBACK
    if not parts.hostname or (parts.scheme != "https" and not plain):
        raise ConfigurationError(
            "The key set's address must be https, or http on the loopback.", remedy="Set NCRS_JWKS_URL or NCRS_ISSUER."
        )
    return url


def http_fetch(url: str, timeout: float) -> Fetch:
    """A function that fetches the address once. It raises KeySetUnavailable."""
    check_address(url)

    def fetch() -> bytes:
        try:
            with (
                httpx2.Client(follow_redirects=False, timeout=timeout, trust_env=False) as client,
                client.stream("GET", url, headers={"Accept": "application/json"}) as answer,
            ):
                return _body(answer, time.monotonic() + timeout)
        except httpx2.HTTPError as error:
            raise KeySetUnavailable(f"The key set could not be fetched ({type(error).__name__}).") from error

    return fetch


def _body(answer: httpx2.Response, deadline: float) -> bytes:
    if answer.status_code != httpx2.codes.OK:
        raise KeySetUnavailable(f"The issuer answered {answer.status_code}.")
    body = b""
    for part in answer.iter_bytes():
        body += part
        if len(body) > KEY_SET_LIMIT or time.monotonic() > deadline:
            raise KeySetUnavailable("The key set is too large or came too slowly.")
    return body


def read_keys(body: bytes) -> dict[str, Key]:
    """Signature keys by key id; keys of other kinds, weak keys and keys without an id are left out.

    Raises KeySetUnavailable for a body that is no key set, holds no usable key, or one id twice.
    """
    try:
        rows = json.loads(body)["keys"]
        usable = [row for row in rows if isinstance(row, dict) and isinstance(row.get("kid"), str)]
    except (ValueError, TypeError, KeyError) as error:
        raise KeySetUnavailable("The issuer's answer is not a key set.") from error
    keys = [(row["kid"], key) for row in usable if (key := _key(row)) is not None]
    table = dict(keys)
    if not table or len(table) != len(keys):
        raise KeySetUnavailable("The key set holds no usable key, or one key id twice.")
    return table


def _key(row: dict[str, Any]) -> Key | None:
    public: dict[str, str | list[str]] = {
        name: row[name] for name in ("kty", "kid", "alg", "n", "e", "crv", "x", "y") if name in row
    }
    if row.get("use", "sig") != "sig":
        return None
    try:
        if row.get("kty") == "RSA":
            return RSAKey.import_key(public) if _bits(row["n"]) >= MIN_RSA_BITS else None
        return ECKey.import_key(public) if row.get("kty") == "EC" else None
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _bits(modulus: str) -> int:
    return int.from_bytes(urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4)), "big").bit_length()


class KeyStore:
    """The keys held, and the one place that decides on a fetch. Safe to use from many threads."""

    def __init__(
        self, fetch: Fetch, *, min_refetch: float, max_age: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._min_refetch = min_refetch
        self._max_age = max_age
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, Key] = {}
        self._tried: float | None = None
        self._fetched: float | None = None
        self.version = 0

    def get(self, kid: str) -> Key | None:
        """The key of that id, if it is held."""
        return self._keys.get(kid)

    @property
    def empty(self) -> bool:
        """True until a first fetch succeeded."""
        return not self._keys

    @property
    def stale(self) -> bool:
        """True when the set is older than its limit, and a fetch is allowed now."""
        old = self._fetched is None or self._clock() - self._fetched >= self._max_age
        return old and self.may_fetch

    @property
    def may_fetch(self) -> bool:
        """True when the last try is long enough ago."""
        return self._tried is None or self._clock() - self._tried >= self._min_refetch

    @property
    def fetching(self) -> bool:
        """True while a fetch runs: ``refresh`` then waits for it."""
        return self._lock.locked()

    def refresh(self) -> None:
        """Fetch if allowed; one fetch at a time. A failed fetch is logged and changes nothing."""
        with self._lock:
            if not self.may_fetch:
                return
            self._tried = self._clock()
            try:
                keys = read_keys(self._fetch())
            except KeySetUnavailable as error:
                logging.event("API041", "warning", error=error.code, count=len(self._keys))
                return
            self._install(keys)

    def _install(self, keys: dict[str, Key]) -> None:
        self._fetched = self._clock()
        before = {kid: key.as_dict(private=False) for kid, key in self._keys.items()}
        if before != {kid: key.as_dict(private=False) for kid, key in keys.items()}:
            self.version += 1
        self._keys = keys
