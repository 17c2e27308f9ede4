"""Hostile tokens: every one is refused with the same words; and the fetching of keys under fault.

Sources: promises.md 5.3 and X1, pds.md 4.2, services.md 12.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import OctKey

from schemas.errors import ConfigurationError
from search_api.access.context import AccessEvent
from search_api.access.gate import AccessGate, key_store
from search_api.access.identity import assurance_level
from search_api.access.keys import KEY_SET_LIMIT, KeySetUnavailable, KeyStore, check_address, http_fetch, read_keys
from search_api.access.tokens import InvalidToken, TokenVerifier
from search_api.errors import SpineError
from search_api.settings import Settings
from tests.lib.key_server import key_server
from tests.lib.tokens import (
    APP,
    AUDIENCE,
    ISSUER,
    MONITOR,
    PORTAL,
    PRIVILEGED,
    PRIVILEGED_APP,
    USER_ID,
    Signer,
    ec_key,
    encode,
    role,
    rsa_key,
)

SETTINGS = Settings(issuer=ISSUER, audience=AUDIENCE)
SIGNER = Signer()
OTHER = rsa_key("other-key")
PATIENT = 9000000009
NOW = int(time.time())


class Forgetful:
    """Records nothing: these tests look at tokens only."""

    async def record(self, event: AccessEvent) -> None:
        """Nothing is kept."""


def a_gate(settings: Settings = SETTINGS, keys: KeyStore | None = None) -> AccessGate:
    return AccessGate(settings, audit=Forgetful(), keys=keys or SIGNER.key_store(settings))


def identify(token: str, gate: AccessGate | None = None) -> Any:
    return asyncio.run((gate or a_gate()).identify([f"Bearer {token}"]))


def b64(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return encode(raw)


def user_claims(**changes: Any) -> dict[str, Any]:
    person = {"nhsid_useruid": USER_ID, "nhsid_nrbac_roles": [role()], "authentication_assurance_level": "3"}
    return SIGNER.claims(**{**person, **changes})


def signed(**changes: Any) -> str:
    return SIGNER.sign(user_claims(**changes))


def with_header(**header: Any) -> str:
    return SIGNER.sign(user_claims(), **header)


def unsigned(algorithm: str) -> str:
    return f"{b64({'alg': algorithm, 'typ': 'at+jwt', 'kid': SIGNER.kid})}.{b64(user_claims())}."


def public_pem() -> bytes:
    pem = SIGNER.key.as_pem(private=False)
    return pem if isinstance(pem, bytes) else pem.encode()


def hmac_with_public_key() -> str:
    return SIGNER.sign(user_claims(), OctKey.import_key(base64.urlsafe_b64encode(public_pem())), alg="HS256")


def altered(part: int, change: Callable[[bytes], bytes]) -> str:
    parts = signed().split(".")
    raw = base64.urlsafe_b64decode(parts[part] + "==")
    parts[part] = b64(change(raw))
    return ".".join(parts)


def flip(raw: bytes) -> bytes:
    return raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:]


HOSTILE: dict[str, Callable[[], str]] = {
    # the signature
    "alg none": lambda: unsigned("none"),
    "alg NoNe": lambda: unsigned("NoNe"),
    "alg none with a signature": lambda: unsigned("none") + b64(b"x" * 256),
    "alg missing": lambda: f"{b64({'typ': 'at+jwt', 'kid': SIGNER.kid})}.{b64(user_claims())}.{b64(b'x')}",
    "alg a number": lambda: f"{b64({'alg': 1, 'typ': 'at+jwt', 'kid': SIGNER.kid})}.{b64(user_claims())}.{b64(b'x')}",
    "HS256 over the public key": hmac_with_public_key,
    "algorithm not listed": lambda: with_header(alg="RS384"),
    "algorithm listed, not the key's": lambda: with_header(alg="RS256"),
    "elliptic curve key under the same id": lambda: SIGNER.sign(user_claims(), ec_key(SIGNER.kid), alg="ES256"),
    "another key under our id": lambda: SIGNER.sign(user_claims(), OTHER),
    "bit of the signature flipped": lambda: altered(2, flip),
    "signature cut": lambda: altered(2, lambda raw: raw[:-1]),
    "signature empty": lambda: signed().rsplit(".", 1)[0] + ".",
    "signature left out": lambda: signed().rsplit(".", 1)[0],
    "payload changed": lambda: altered(1, lambda raw: raw.replace(USER_ID.encode(), b"910000000009")),
    "header changed": lambda: altered(0, lambda raw: raw.replace(b"at+jwt", b"JWT")),
    # the token's header
    "key id missing": lambda: with_header(kid=None),
    "key id unknown": lambda: with_header(kid="nobody"),
    "key id a path": lambda: with_header(kid="../../etc/passwd"),
    "key id a query": lambda: with_header(kid="x' OR '1'='1"),
    "key id too long": lambda: with_header(kid="k" * 129),
    "embedded key": lambda: SIGNER.sign(user_claims(), OTHER, jwk=OTHER.as_dict(private=False)),
    "address of a key set": lambda: with_header(jku="https://issuer.example/jwks"),
    "address of a certificate": lambda: with_header(x5u="https://issuer.example/cert"),
    "certificate": lambda: with_header(x5c=["MIIB"]),
    "critical extension": lambda: with_header(crit=["exp"], exp=NOW + 600),
    "unencoded payload": lambda: with_header(b64=True),
    "type missing": lambda: with_header(typ=None),
    "type of a logout token": lambda: with_header(typ="logout+jwt"),
    "type of a proof": lambda: with_header(typ="dpop+jwt"),
    "type a list": lambda: with_header(typ=["at+jwt"]),
    "header no object": lambda: f"{b64([1])}.{b64(user_claims())}.{b64(b'x')}",
    "header no JSON": lambda: f"{b64(b'{')}.{b64(user_claims())}.{b64(b'x')}",
    "header nested without end": lambda: f"{b64(b'[' * 20_000)}.{b64(user_claims())}.{b64(b'x')}",
    "five parts": lambda: signed() + ".a.b",
    "no token": lambda: "abcdef123456789",
    "too long": lambda: signed(padding="x" * 40_000),
    "other characters": lambda: signed() + "\u00e9",
    # time
    "expired": lambda: signed(iat=NOW - 700, exp=NOW - 31),
    "no expiry": lambda: signed(exp=None),
    "expiry a text": lambda: signed(exp=str(NOW + 600)),
    "expiry true": lambda: signed(exp=True),
    "expiry not a number": lambda: SIGNER.sign(json.dumps(user_claims(exp=987)).replace("987", "NaN").encode()),
    "expiry in ten years": lambda: signed(exp=NOW + 10 * 365 * 86_400),
    "life one second too long": lambda: signed(iat=NOW, exp=NOW + 3_601),
    "expiry before issue": lambda: signed(iat=NOW + 20, exp=NOW + 10),
    "not yet valid": lambda: signed(nbf=int(time.time()) + 90),
    "not-before a text": lambda: signed(nbf="soon"),
    "issued in the future": lambda: signed(iat=int(time.time()) + 90, exp=int(time.time()) + 600),
    "no time of issue": lambda: signed(iat=None),
    # who and for whom
    "issuer with a slash": lambda: signed(iss=ISSUER + "/"),
    "issuer in capitals": lambda: signed(iss=ISSUER.upper()),
    "another issuer": lambda: signed(iss="https://issuer.example"),
    "no issuer": lambda: signed(iss=None),
    "another audience": lambda: signed(aud="someone"),
    "audience with others": lambda: signed(aud=[AUDIENCE, "someone"]),
    "audience twice": lambda: signed(aud=[AUDIENCE, AUDIENCE]),
    "audience an empty list": lambda: signed(aud=[]),
    "no audience": lambda: signed(aud=None),
    "no subject": lambda: signed(sub=None),
    "subject empty": lambda: signed(sub=""),
    "subject a number": lambda: signed(sub=7),
    "no client": lambda: signed(azp=None),
    "two clients": lambda: signed(client_id=APP),
    "client not registered": lambda: signed(azp="stranger"),
    "client not for users": lambda: signed(azp=APP),
    "client for users only, without one": lambda: SIGNER.application(PORTAL),
    "claims no object": lambda: SIGNER.sign(b'["x"]'),
    "claims no JSON": lambda: SIGNER.sign(b"{"),
    # the user
    "user and patient at once": lambda: signed(nhs_number=str(PATIENT), vot="P9.Cp.Cd", identity_proofing_level="P9"),
    "user id a list": lambda: signed(nhsid_useruid=[USER_ID]),
    "user id with a line end": lambda: signed(nhsid_useruid=USER_ID + "\n"),
    "assurance missing": lambda: signed(authentication_assurance_level=None),
    "assurance too low": lambda: signed(authentication_assurance_level="1"),
    "assurance low, though a high class was asked for": lambda: signed(
        authentication_assurance_level="1", acr="AAL3_ANY"
    ),
    "assurance class admits a low one": lambda: signed(authentication_assurance_level=None, acr="AAL1_OR_AAL3_ANY"),
    "assurance unknown": lambda: signed(authentication_assurance_level="AAL9"),
    "selected role of somebody else": lambda: signed(selected_roleid="929999999999"),
    "selected role a list": lambda: signed(selected_roleid=[]),
    "roles a text": lambda: signed(nhsid_nrbac_roles="R8000"),
    "role a text": lambda: signed(nhsid_nrbac_roles=["R8000"]),
    "role without a profile": lambda: signed(nhsid_nrbac_roles=[{"role_code": "S8000:G8000:R8000"}]),
    "role with activities in a text": lambda: signed(nhsid_nrbac_roles=[{**role(), "activity_codes": "B0264"}]),
    "role with a wrong activity": lambda: signed(nhsid_nrbac_roles=[role(activities=["B0264 B0370"])]),
    "role with a wrong organisation": lambda: signed(nhsid_nrbac_roles=[role(organisation="RX8 98")]),
    "number with a wrong check digit": lambda: SIGNER.patient(PATIENT + 1),
    "number as a number": lambda: SIGNER.patient(PATIENT, nhs_number=PATIENT),
}


def test_the_matrix_is_large_enough() -> None:
    assert len(HOSTILE) >= 40


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_token_is_refused_with_the_same_words(name: str) -> None:
    with pytest.raises(SpineError) as caught:
        identify(HOSTILE[name]())
    error = caught.value
    assert (error.status, error.spine_code, error.issue_code) == (401, "ACCESS_DENIED", "forbidden")
    assert (error.display, error.diagnostics) == ("Access Denied - Unauthorised", "Invalid Access Token")
    assert isinstance(error, InvalidToken)
    assert error.reason.replace("_", "").isalpha(), "the reason is a code, not a value"


GOOD: dict[str, Callable[[], str]] = {
    "access token": signed,
    "plain JWT": lambda: with_header(typ="JWT"),
    "audience alone in a list": lambda: signed(aud=[AUDIENCE]),
    "client_id for azp": lambda: signed(azp=None, client_id=PORTAL),
    "expired within the leeway": lambda: signed(iat=NOW - 600, exp=int(time.time()) - 5),
    "issued within the leeway": lambda: signed(iat=int(time.time()) + 20),
    "longest life": lambda: signed(iat=NOW, exp=NOW + 3_600),
    "assurance by class": lambda: signed(authentication_assurance_level=None, acr="AAL2_OR_AAL3_ANY"),
    "no roles": lambda: signed(nhsid_nrbac_roles=None),
    "one role as an object": lambda: signed(nhsid_nrbac_roles=role()),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_token_is_believed(name: str) -> None:
    assert identify(GOOD[name]()).user_id == USER_ID


@pytest.mark.parametrize(
    ("header", "diagnostics"),
    [
        ([], "Missing Authorization header"),
        ([""], "Empty Authorization header"),
        (["  "], "Empty Authorization header"),
        (["Bearer"], "Missing access token"),
        (["Bearer "], "Missing access token"),
        (["Basic dXNlcjpwYXNz"], "Invalid token type"),
        (["Bearer abcdef123456789"], "Invalid Access Token"),
        (["Bearer a", "Bearer b"], "Invalid Access Token"),
    ],
)
def test_authorization_header(header: list[str], diagnostics: str) -> None:
    with pytest.raises(SpineError) as caught:
        asyncio.run(a_gate().identify(header))
    assert (caught.value.status, caught.value.diagnostics) == (401, diagnostics)


def test_scheme_is_not_case_sensitive() -> None:
    assert asyncio.run(a_gate().identify([f"bearer {signed()}"])).user_id == USER_ID


@pytest.mark.parametrize(
    ("claims", "level"),
    [
        ({"authentication_assurance_level": "3"}, "AAL3"),
        ({"authentication_assurance_level": 2}, "AAL2"),
        ({"authentication_assurance_level": "AAL2"}, "AAL2"),
        ({"acr": "AAL3_FIDO2"}, "AAL3"),
        ({"acr": "AAL2_OR_AAL3_ANY"}, "AAL2"),
        ({"acr": "AAL1_USERPASS"}, "AAL1"),
        ({"acr": "something"}, None),
        ({"acr": ["AAL3_ANY"]}, None),
        ({}, None),
    ],
)
def test_assurance_level(claims: dict[str, Any], level: str | None) -> None:
    assert assurance_level(claims) == level


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
CLAIM_NAMES = [
    *("iss", "aud", "sub", "azp", "client_id", "iat", "exp", "nbf", "scope"),
    *("nhsid_useruid", "nhsid_nrbac_roles", "selected_roleid", "authentication_assurance_level", "acr"),
    *("nhs_number", "vot", "identity_proofing_level"),
]
ROLE_NAMES = ["person_roleid", "role_code", "org_code", "activity_codes"]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    claims=st.dictionaries(st.sampled_from(CLAIM_NAMES), JSON_VALUES, max_size=3),
    in_role=st.dictionaries(st.sampled_from(ROLE_NAMES), JSON_VALUES, max_size=2),
)
def test_claims_of_any_kind_are_believed_or_refused_and_nothing_else(
    claims: dict[str, Any], in_role: dict[str, Any]
) -> None:
    token = SIGNER.sign({**user_claims(nhsid_nrbac_roles=[{**role(), **in_role}]), **claims})
    gate = a_gate()
    try:
        caller = asyncio.run(gate.authorise_token(token, "metadata"))
    except SpineError as error:
        assert error.status in (400, 401, 403)  # noqa: PT017 - either end is right; only a crash is not
    else:
        assert caller.user_id is None or isinstance(caller.user_id, str)


def test_privileged_scope_counts_only_for_a_registered_privileged_application() -> None:
    assert identify(SIGNER.privileged_application()).mode.value == "privileged-application-restricted"
    assert identify(SIGNER.application(APP, scope=PRIVILEGED)).mode.value == "application-restricted"
    with pytest.raises(InvalidToken, match="401"):
        identify(SIGNER.application(PRIVILEGED_APP))  # registered for the privileged mode only


class Clock:
    """Time that a test moves."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def a_verifier(keys: KeyStore, now: Clock, **settings: Any) -> TokenVerifier:
    return TokenVerifier(Settings(issuer=ISSUER, audience=AUDIENCE, **settings), keys, now)


def test_remembered_token_expires() -> None:
    clock = Clock(time.time())
    verifier = a_verifier(SIGNER.key_store(), clock)
    token = signed()
    asyncio.run(verifier.verify(token))
    clock.at += 600 + 31
    with pytest.raises(InvalidToken) as caught:
        asyncio.run(verifier.verify(token))
    assert caught.value.reason == "expired"


def test_memory_of_tokens_is_bounded() -> None:
    verifier = a_verifier(SIGNER.key_store(), Clock(time.time()), token_cache=3)
    for _ in range(5):
        asyncio.run(verifier.verify(signed()))
    assert len(verifier._memory) == 3


def test_remembered_token_is_forgotten_when_its_key_is_withdrawn() -> None:
    body = {"bytes": SIGNER.jwks()}
    clock = Clock(time.time())
    keys = KeyStore(lambda: body["bytes"], min_refetch=60, max_age=300, clock=clock)
    verifier = a_verifier(keys, Clock(time.time()))
    token = signed()
    asyncio.run(verifier.verify(token))
    body["bytes"] = Signer("next-key").jwks()
    asyncio.run(verifier.verify(token))  # the set is not yet old
    clock.at += 301
    with suppress(InvalidToken):  # old: fetched again beside this request, which may pass still
        asyncio.run(verifier.verify(token))
    with pytest.raises(InvalidToken) as caught:
        asyncio.run(verifier.verify(token))
    assert caught.value.reason == "unknown_key"


def test_slow_issuer_delays_nobody_while_keys_are_held() -> None:
    clock = Clock(0.0)
    with key_server(SIGNER.jwks()) as server:
        gate = a_gate(keys=KeyStore(http_fetch(server.url, 5), min_refetch=60, max_age=300, clock=clock))
        assert identify(signed(), gate).user_id == USER_ID
        clock.at, server.delay = 301, 1.0

        async def timed() -> float:
            started = time.monotonic()
            await gate.identify([f"Bearer {signed()}"])
            return time.monotonic() - started

        assert asyncio.run(timed()) < 0.5
        assert server.paths == ["/jwks", "/jwks"]


def test_key_spray_causes_one_fetch_a_minute() -> None:
    with key_server(SIGNER.jwks()) as server:
        gate = a_gate(keys=key_store(Settings(issuer=ISSUER, jwks_url=server.url)))
        assert identify(signed(), gate).user_id == USER_ID
        for number in range(20):
            with pytest.raises(InvalidToken):
                identify(with_header(kid=f"spray-{number}"), gate)
        assert server.paths == ["/jwks"]


def test_new_key_is_found_and_old_keys_stay_while_the_issuer_is_down() -> None:
    clock = Clock(0.0)
    with key_server(SIGNER.jwks()) as server:
        keys = KeyStore(http_fetch(server.url, 2), min_refetch=60, max_age=300, clock=clock)
        gate = a_gate(keys=keys)
        assert identify(signed(), gate).user_id == USER_ID
        clock.at = 61
        server.status, server.body = 500, b""
        with pytest.raises(InvalidToken):
            identify(with_header(kid="next-key"), gate)
        assert identify(signed(), gate).user_id == USER_ID
        clock.at = 122
        rotated = Signer("next-key")
        server.status, server.body = 200, rotated.jwks()
        assert identify(rotated.sign(user_claims()), gate).user_id == USER_ID
    clock.at = 1_000  # the server is gone
    assert identify(rotated.sign(user_claims()), gate).user_id == USER_ID


def test_many_first_requests_share_one_fetch_and_all_pass() -> None:
    with key_server(SIGNER.jwks()) as server:
        server.delay = 0.2
        gate = a_gate(keys=key_store(Settings(issuer=ISSUER, jwks_url=server.url)))

        async def at_once() -> list[Any]:
            return await asyncio.gather(*(gate.identify([f"Bearer {signed()}"]) for _ in range(8)))

        assert [identity.user_id for identity in asyncio.run(at_once())] == [USER_ID] * 8
        assert server.paths == ["/jwks"]


def test_redirect_is_not_followed() -> None:
    with key_server(SIGNER.jwks()) as target, key_server(b"") as server:
        server.status, server.location = 302, target.url
        with pytest.raises(KeySetUnavailable, match="302"):
            http_fetch(server.url, 2)()
        assert target.paths == []


def test_huge_or_slow_key_set_is_refused() -> None:
    with key_server(b" " * (KEY_SET_LIMIT + 1)) as server:
        with pytest.raises(KeySetUnavailable, match="too large"):
            http_fetch(server.url, 2)()
        server.body, server.delay = SIGNER.jwks(), 1.0
        with pytest.raises(KeySetUnavailable, match="ReadTimeout"):
            http_fetch(server.url, 0.2)()


def test_issuer_that_is_not_there() -> None:
    with key_server(b"") as server:
        url = server.url
    with pytest.raises(KeySetUnavailable, match="ConnectError"):
        http_fetch(url, 1)()


WEAK = {"kty": "RSA", "kid": "weak", "e": "AQAB", "n": b64((2**1023 + 1).to_bytes(128, "big"))}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"keys": 1}',
        b'{"keys": []}',
        json.dumps({"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}]}).encode(),
        json.dumps({"keys": [{"kty": "RSA", "kid": "a", "n": "!", "e": "AQAB"}]}).encode(),
        json.dumps({"keys": [{**SIGNER.key.as_dict(private=False), "use": "enc"}]}).encode(),
        json.dumps({"keys": [{**SIGNER.key.as_dict(private=False), "kid": None}]}).encode(),
        json.dumps({"keys": [SIGNER.key.as_dict(private=False)] * 2}).encode(),
        json.dumps({"keys": [WEAK]}).encode(),
    ],
)
def test_key_set_that_cannot_be_used(body: bytes) -> None:
    with pytest.raises(KeySetUnavailable):
        read_keys(body)


def test_private_parts_of_a_published_key_are_not_kept() -> None:
    body = json.dumps({"keys": [SIGNER.key.as_dict(private=True)]}).encode()
    assert not read_keys(body)[SIGNER.kid].is_private


@pytest.mark.parametrize(
    "url", ["http://issuer.example/jwks", "ftp://127.0.0.1/jwks", "file:///etc/passwd", "http://127.0.0.1.example/", ""]
)
def test_address_that_may_not_be_used(url: str) -> None:
    with pytest.raises(ConfigurationError, match="https"):
        check_address(url)


@pytest.mark.parametrize("url", ["https://issuer.example/jwks", "http://127.0.0.1:8010/jwks", "http://[::1]:1/jwks"])
def test_address_that_may_be_used(url: str) -> None:
    assert check_address(url) == url


def test_key_address_defaults_to_the_issuer() -> None:
    with pytest.raises(ConfigurationError):
        key_store(Settings(issuer="http://issuer.example"))
    assert key_store(Settings(issuer="https://issuer.example")).version == 0


def test_monitoring_application_is_registered() -> None:
    assert identify(SIGNER.application(MONITOR)).mode.value == "application-restricted"
