"""The sandbox's issuer as a real process, and the gate that trusts it by its address alone.

Sources: services.md 12 (CIS2 shapes), pds.md 1.10 (modes), RFC 6749, 7523, 7636.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from sandbox.identity.assertions import client_assertion
from sandbox.identity.grants import ASSERTION_TYPE, PERSONA_GRANT, challenge_of
from sandbox.identity.settings import IdentitySettings
from search_api.access.context import AccessEvent, Caller
from search_api.access.gate import AccessGate
from search_api.settings import Settings

PORTAL = "ncrs-portal"
REDIRECT = "http://127.0.0.1:8000/signed-in"
START_S = 30


@dataclass
class Running:
    """A running issuer: its address, its home, its process."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]

    @property
    def settings(self) -> IdentitySettings:
        return IdentitySettings(home=self.home, issuer=self.url)

    def post(self, **form: str) -> httpx2.Response:
        return httpx2.post(f"{self.url}/token", data=form, trust_env=False)

    def get(self, path: str, **query: str) -> httpx2.Response:
        return httpx2.get(f"{self.url}{path}", params=query, trust_env=False)

    def persona(self, name: str, **form: str) -> str:
        answer = self.post(grant_type=PERSONA_GRANT, persona=name, **form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def assertion(self, client: str) -> str:
        return client_assertion(self.settings, client)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NCRS_")}
    return {**kept, "NCRS_HOME": str(home), **more}


def start(home: Path) -> Running:
    port = free_port()
    command = [sys.executable, "-m", "sandbox.identity", "identity", "--port", str(port)]
    process = subprocess.Popen(command, env=environment(home))
    running = Running(f"http://127.0.0.1:{port}", home, process)
    deadline = time.monotonic() + START_S
    while True:
        try:
            running.get("/jwks").raise_for_status()
            return running
        except httpx2.TransportError:
            assert process.poll() is None, "the issuer ended"
            assert time.monotonic() < deadline, "the issuer did not start"
            time.sleep(0.05)


def stop(running: Running) -> None:
    running.process.terminate()
    running.process.wait(timeout=10)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start(tmp_path_factory.mktemp("home"))
    yield running
    stop(running)


class Forgetful:
    """Records nothing: the audit log has its own tests."""

    async def record(self, event: AccessEvent) -> None:
        """Nothing is kept."""


def a_gate(issuer: Running) -> AccessGate:
    return AccessGate(Settings(issuer=issuer.url), audit=Forgetful())


def caller_of(issuer: Running, token: str, policy: str = "metadata", role: str = "") -> Caller:
    return asyncio.run(a_gate(issuer).authorise_token(token, policy, role=role))


# --- discovery and keys --------------------------------------------------------------------------


def test_discovery_names_this_address(issuer: Running) -> None:
    found = issuer.get("/.well-known/openid-configuration").json()
    assert found["issuer"] == issuer.url
    assert found["jwks_uri"] == f"{issuer.url}/jwks"
    assert found["code_challenge_methods_supported"] == ["S256"]


def test_key_set_is_public_and_the_key_file_private(issuer: Running) -> None:
    (key,) = issuer.get("/jwks").json()["keys"]
    assert (key["alg"], key["use"], key["kty"]) == ("RS512", "sig", "RSA")
    assert not {"d", "p", "q"} & key.keys()
    folder = issuer.home / "sandbox" / "identity"
    assert stat.S_IMODE((folder / "issuer.pem").stat().st_mode) == 0o600


def test_key_outlives_a_restart(tmp_path: Path) -> None:
    first = start(tmp_path)
    before = first.get("/jwks").json()
    token = first.persona("clinician")
    stop(first)
    second = start(tmp_path)
    try:
        assert second.get("/jwks").json() == before
        trusting_the_old_name = Settings(issuer=first.url, jwks_url=f"{second.url}/jwks")
        gate = AccessGate(trusting_the_old_name, audit=Forgetful())
        assert asyncio.run(gate.identify([f"Bearer {token}"])).user_id == "910000000001"
    finally:
        stop(second)


def test_two_that_start_at_once_share_one_key(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from sandbox.identity.keys import issuer_key; print(issuer_key(Path(sys.argv[1])).kid)"
    starters = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    kids = {starter.communicate(timeout=60)[0].strip() for starter in starters}
    assert len(kids) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["issuer.pem"]


# --- personas ------------------------------------------------------------------------------------

MODES = {
    "clinician": ("healthcare-worker", "S8000:G8000:R8000", "RX898", {"B0264", "B0370", "B0825", "B0820"}),
    "receptionist": ("healthcare-worker", "S8000:G8001:R8009", "A83008", {"B0264"}),
    "privacy-officer": ("healthcare-worker", "S0010:G0020:R0001", "RX898", {"B0015", "B0016"}),
    "records-manager": ("healthcare-worker", "S8000:G8003:R8013", "RX898", {"B0011", "B0098", "B0264"}),
    "ops": ("healthcare-worker", "S8000:G8005:R8015", "X26", {"B0011"}),
    "service-owner": ("healthcare-worker", "S8000:G8004:R8012", "X26", {"X0001"}),
    "no-roles": ("healthcare-worker", None, None, set()),
    "patient": ("patient-access", None, None, set()),
    "application": ("application-restricted", None, "RX898", set()),
    "privileged-application": ("privileged-application-restricted", None, "X26", set()),
    "monitoring": ("application-restricted", None, "X26", set()),
}


def test_personas_are_listed(issuer: Running) -> None:
    listed = issuer.get("/personas").json()
    assert {each["name"] for each in listed} == MODES.keys() | {"two-roles"}
    assert all(each["title"] for each in listed)


@pytest.mark.parametrize("name", MODES)
def test_gate_believes_the_persona(issuer: Running, name: str) -> None:
    mode, role, organisation, activities = MODES[name]
    caller = caller_of(issuer, issuer.persona(name))
    assert (caller.mode.value, caller.role_code, caller.organisation) == (mode, role, organisation)
    assert caller.activities >= activities
    assert caller.own_number == (9000000009 if name == "patient" else None)


def test_registered_attributes_reach_the_caller(issuer: Running) -> None:
    caller = caller_of(issuer, issuer.persona("privileged-application"))
    assert "return-confidential-reason-for-removal" in caller.attributes


def test_role_is_selected_by_the_token_or_by_the_header(issuer: Running) -> None:
    both = issuer.persona("two-roles")
    assert caller_of(issuer, both, role="920000000004").role_code == "S8000:G8005:R8015"
    selected = issuer.persona("two-roles", role="920000000003")
    assert caller_of(issuer, selected).role_code == "S8000:G8000:R8001"


def test_patient_may_be_any_number(issuer: Running) -> None:
    assert caller_of(issuer, issuer.persona("patient", nhs_number="9000000017")).own_number == 9000000017


def test_token_lives_as_long_as_the_national_one(issuer: Running) -> None:
    answer = issuer.post(grant_type=PERSONA_GRANT, persona="clinician")
    assert (answer.json()["expires_in"], answer.json()["token_type"]) == (599, "Bearer")
    assert answer.headers["cache-control"] == "no-store"
    longest = issuer.post(grant_type=PERSONA_GRANT, persona="clinician", expires_in="3600").json()["access_token"]
    assert caller_of(issuer, longest).user_id == "910000000001"


@pytest.mark.parametrize(
    "form",
    [
        {"grant": "x"},
        {"grant_type": "password"},
        {"grant_type": PERSONA_GRANT},
        {"grant_type": PERSONA_GRANT, "persona": "nobody"},
        {"grant_type": PERSONA_GRANT, "persona": "clinician", "nhs_number": "9000000017"},
        {"grant_type": PERSONA_GRANT, "persona": "patient", "nhs_number": "9000000018"},
        {"grant_type": PERSONA_GRANT, "persona": "clinician", "role": "920000000002"},
        {"grant_type": PERSONA_GRANT, "persona": "clinician", "expires_in": "3601"},
        {"grant_type": PERSONA_GRANT, "persona": "clinician", "expires_in": "-1"},
    ],
)
def test_wrong_form_gets_no_token(issuer: Running, form: dict[str, str]) -> None:
    answer = issuer.post(**form)
    assert answer.status_code == 400
    assert "access_token" not in answer.json()


def test_field_given_twice_or_other_content_is_refused(issuer: Running) -> None:
    form = "application/x-www-form-urlencoded"
    twice = f"grant_type={PERSONA_GRANT}&persona=ops&persona=clinician"
    for body, kind, status in [(twice, form, 400), ("{}", "application/json", 415), ("a" * 70_000, form, 413)]:
        answer = httpx2.post(f"{issuer.url}/token", content=body, headers={"Content-Type": kind}, trust_env=False)
        assert answer.status_code == status


# --- applications --------------------------------------------------------------------------------


def assertion_form(assertion: str, **changes: str) -> dict[str, str]:
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    return {**form, **changes}


def test_application_proves_itself_with_its_key(issuer: Running) -> None:
    answer = issuer.post(**assertion_form(issuer.assertion("sandbox-app")))
    caller = caller_of(issuer, answer.json()["access_token"])
    assert (caller.mode.value, caller.client_id, caller.user_id) == ("application-restricted", "sandbox-app", None)
    key_file = issuer.home / "sandbox" / "identity" / "clients" / "sandbox-app.pem"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


def test_assertion_is_good_once(issuer: Running) -> None:
    assertion = issuer.assertion("sandbox-app")
    assert issuer.post(**assertion_form(assertion)).status_code == 200
    again = issuer.post(**assertion_form(assertion))
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")


def signed_assertion(issuer: Running, key: RSAKey | None = None, **changes: Any) -> str:
    good = {"iss": "sandbox-app", "sub": "sandbox-app", "aud": f"{issuer.url}/token", "jti": secrets.token_hex(8)}
    claims = {"exp": int(time.time()) + 60, **good, **changes}
    kept = RSAKey.import_key((issuer.home / "sandbox/identity/clients/sandbox-app.pem").read_bytes())
    return jwt.encode({"alg": "RS512"}, claims, key or kept, algorithms=["RS512"])


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://elsewhere.example/token"},
        {"aud": None},
        {"iss": "sandbox-privileged-app"},
        {"exp": int(time.time()) - 1},
        {"exp": int(time.time()) + 9_999},
        {"exp": "soon"},
        {"jti": None},
        {"sub": "ncrs-portal"},
        {"sub": "nobody"},
        {"sub": ["sandbox-app"]},
    ],
)
def test_wrong_assertion_gets_no_token(issuer: Running, changes: dict[str, Any]) -> None:
    issuer.assertion("sandbox-app")  # the key exists
    assert issuer.post(**assertion_form(signed_assertion(issuer))).status_code == 200
    answer = issuer.post(**assertion_form(signed_assertion(issuer, **changes)))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_assertion_of_another_key_or_kind_gets_no_token(issuer: Running) -> None:
    issuer.assertion("sandbox-app")
    other = signed_assertion(issuer, RSAKey.generate_key(2048))
    for form in (assertion_form(other), assertion_form("x"), assertion_form(other, client_assertion_type="basic")):
        assert issuer.post(**form).status_code == 401


# --- people: code flow ---------------------------------------------------------------------------


def request_of(verifier: str, **changes: str) -> dict[str, str]:
    good = {
        "response_type": "code",
        "client_id": PORTAL,
        "redirect_uri": REDIRECT,
        "scope": "openid profile nationalrbacaccess",
        "state": "s1",
        "nonce": "n1",
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    return {**good, **changes}


def sign_in(issuer: Running, verifier: str, persona: str, **form: str) -> dict[str, str]:
    asked = {**request_of(verifier), "persona": persona, **form}
    answer = httpx2.post(f"{issuer.url}/authorize", data=asked, follow_redirects=False, trust_env=False)
    assert answer.status_code == 303, answer.text
    target = urlsplit(answer.headers["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == REDIRECT
    return {name: values[0] for name, values in parse_qs(target.query).items()}


def exchange(issuer: Running, code: str, verifier: str, **changes: str) -> httpx2.Response:
    form = {"grant_type": "authorization_code", "code": code, "client_id": PORTAL, "redirect_uri": REDIRECT}
    return issuer.post(**{**form, "code_verifier": verifier, **changes})


def test_person_signs_in_with_a_code(issuer: Running) -> None:
    verifier = secrets.token_urlsafe(48)
    back = sign_in(issuer, verifier, "two-roles", role="920000000004")
    assert (back["state"], back["iss"]) == ("s1", issuer.url)
    answer = exchange(issuer, back["code"], verifier).json()
    caller = caller_of(issuer, answer["access_token"], "healthz")
    assert (caller.role_profile_id, caller.organisation) == ("920000000004", "X26")
    keys = KeySet.import_key_set(issuer.get("/jwks").json())
    identity = jwt.decode(answer["id_token"], keys, algorithms=["RS512"]).claims
    assert (identity["aud"], identity["nonce"], identity["selected_roleid"]) == (PORTAL, "n1", "920000000004")
    assert (identity["authentication_assurance_level"], identity["acr"]) == ("3", "AAL3_ANY")
    assert "nhsid_nrbac_roles" not in identity


def test_id_token_is_no_access_token(issuer: Running) -> None:
    from search_api.access.tokens import InvalidToken

    verifier = secrets.token_urlsafe(48)
    answer = exchange(issuer, sign_in(issuer, verifier, "clinician")["code"], verifier).json()
    with pytest.raises(InvalidToken) as caught:
        caller_of(issuer, answer["id_token"])
    assert caught.value.reason == "audience"
    asked = httpx2.get(
        f"{issuer.url}/userinfo", headers={"Authorization": f"Bearer {answer['id_token']}"}, trust_env=False
    )
    assert asked.status_code == 401


def test_code_is_good_once_and_for_its_client_only(issuer: Running) -> None:
    verifier = secrets.token_urlsafe(48)

    def fresh() -> str:
        return sign_in(issuer, verifier, "clinician")["code"]

    used = fresh()
    assert exchange(issuer, used, verifier).status_code == 200
    wrong = [
        exchange(issuer, used, verifier),
        exchange(issuer, "nothing", verifier),
        exchange(issuer, fresh(), secrets.token_urlsafe(48)),
        exchange(issuer, fresh(), "short"),
        exchange(issuer, fresh(), verifier, client_id="sandbox-app"),
        exchange(issuer, fresh(), verifier, redirect_uri="http://localhost:8000/signed-in"),
    ]
    assert [(answer.status_code, answer.json()["error"]) for answer in wrong] == [(400, "invalid_grant")] * 6


def test_page_offers_every_persona_and_escapes_what_it_was_sent(issuer: Running) -> None:
    asked = request_of(secrets.token_urlsafe(48), state='"><script>alert(1)</script>')
    page = issuer.get("/authorize", **asked)
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    offered = re.findall(r'name="persona" value="([a-z-]+)"', page.text)
    assert offered.count("two-roles") == 2, "one button a role"
    assert set(offered) == {name for name in MODES if "application" not in name and name != "monitoring"} | {
        "two-roles"
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": REDIRECT + "/../x"},
        {"client_id": "nobody"},
        {"client_id": "sandbox-app"},
        {"response_type": "token"},
        {"scope": "profile"},
        {"code_challenge": ""},
        {"code_challenge_method": "plain"},
    ],
)
def test_wrong_request_is_neither_shown_a_page_nor_sent_back(issuer: Running, changes: dict[str, str]) -> None:
    asked = request_of(secrets.token_urlsafe(48), **changes)
    assert issuer.get("/authorize", **asked).status_code == 400
    posted = httpx2.post(
        f"{issuer.url}/authorize", data={**asked, "persona": "clinician"}, follow_redirects=False, trust_env=False
    )
    assert (posted.status_code, posted.headers.get("location")) == (400, None)


def test_application_cannot_be_signed_in_as_a_person(issuer: Running) -> None:
    asked = {**request_of(secrets.token_urlsafe(48)), "persona": "application"}
    answer = httpx2.post(f"{issuer.url}/authorize", data=asked, follow_redirects=False, trust_env=False)
    assert answer.status_code == 400


def test_userinfo_has_the_shape_of_cis2(issuer: Running) -> None:
    def ask(token: str) -> httpx2.Response:
        return httpx2.get(f"{issuer.url}/userinfo", headers={"Authorization": f"Bearer {token}"}, trust_env=False)

    person = ask(issuer.persona("receptionist")).json()
    assert (person["nhsid_useruid"], person["sub"], person["name"]) == ("910000000002", "910000000002", "OSEI Ben (Mr)")
    (role,) = person["nhsid_nrbac_roles"]
    assert {"person_orgid", "person_roleid", "org_code", "role_code", "role_name"} <= role.keys()
    assert person["nhsid_user_orgs"] == [{"org_code": "A83008", "org_name": "EASTMOOR SURGERY"}]
    patient = ask(issuer.persona("patient")).json()
    assert (patient["nhs_number"], patient["vot"]) == ("9000000009", "P9.Cp.Cd")
    assert ask(issuer.persona("application")).status_code == 403
    assert ask("x").status_code == 401


# --- the command ---------------------------------------------------------------------------------


def print_token(home: Path, *arguments: str, issuer: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox.identity", "token", *arguments]
    more = {"NCRS_ISSUER": issuer}
    return subprocess.run(command, env=environment(home, **more), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("persona", ["clinician", "application"])
def test_command_prints_a_token_of_the_running_issuer(issuer: Running, persona: str) -> None:
    done = print_token(issuer.home, "--persona", persona, issuer=issuer.url)
    assert done.returncode == 0, done.stderr
    assert caller_of(issuer, done.stdout.strip()).mode.value.startswith(("healthcare", "application"))


def test_command_signs_with_the_kept_key_when_nobody_listens(issuer: Running) -> None:
    silent = f"http://127.0.0.1:{free_port()}"
    done = print_token(issuer.home, "--persona", "patient", "--nhs-number", "9000000017", issuer=silent)
    gate = AccessGate(Settings(issuer=silent, jwks_url=f"{issuer.url}/jwks"), audit=Forgetful())
    identity = asyncio.run(gate.identify([f"Bearer {done.stdout.strip()}"]))
    assert identity.own_number == 9000000017


def test_command_says_what_is_wrong(issuer: Running) -> None:
    unknown = print_token(issuer.home, "--persona", "nobody", issuer=issuer.url)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "clinician, receptionist" in unknown.stderr
    refused = print_token(issuer.home, "--persona", "clinician", "--role", "1", issuer=issuer.url)
    assert (refused.returncode, refused.stdout) == (1, "")


# --- the gate and an issuer that goes away -------------------------------------------------------


def test_gate_goes_on_with_the_keys_it_has_when_the_issuer_stops(tmp_path: Path) -> None:
    running = start(tmp_path)
    gate = a_gate(running)
    first, second = running.persona("clinician"), running.persona("ops")
    assert asyncio.run(gate.identify([f"Bearer {first}"])).user_id == "910000000001"
    stop(running)
    assert asyncio.run(gate.identify([f"Bearer {second}"])).user_id == "910000000006"
