"""Who may do what: every persona x every policy against a table written by hand, and the route check.

The expectation is written here independently of ``policy.json`` and ``roles.json``: a change there
must be made here as well, by someone who means it. Sources: pds.md 1.10, 6.5; services.md 0.2, 2.2.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request

from schemas.errors import ConfigurationError
from search_api.access.audit import AuditUnavailable
from search_api.access.context import AccessEvent, AccessMode, Caller
from search_api.access.gate import AccessGate
from search_api.access.policy import PolicyTable
from search_api.access.routes import check_routes, open_to_all, requires
from search_api.access.tables import Activity, Policy, Rbac, load_applications, load_policies
from search_api.errors import INSUFFICIENT_APP, INSUFFICIENT_TOKEN, SpineError
from search_api.settings import Settings
from tests.lib.tokens import MONITOR, ROLE_ID, Signer, bearer, role

SIGNER = Signer()
PATIENT = 9000000009
OTHER_PATIENT = "9000000017"

DEMOGRAPHICS = {"patient-search", "patient-match", "patient-read", "related-persons", "everything", "trace"}
SCR = {"scr-document-reference", "scr-bundle"}
OPS = {"healthz", "metrics", "freshness", "generations"}
APPLICATION = {"patient-search", "patient-match", "patient-read", "related-persons", "metadata", "trace"} | SCR
PUBLIC = {"docs", "livez", "readyz"}
RESERVED = {"usage", "access-report", "quarantine-show"}
EVERY = DEMOGRAPHICS | SCR | OPS | {"metadata", "postcode-search"} | RESERVED

EXPECTED: dict[str, set[str]] = {
    "R0001": {"metadata", "access-report"},
    "R5080": {"metadata"},
    "R5105": {"metadata"} | OPS,
    "R8000": {"metadata"} | DEMOGRAPHICS | SCR,
    "R8001": {"metadata"} | DEMOGRAPHICS | SCR,
    "R8003": {"metadata"} | DEMOGRAPHICS | SCR,
    "R8004": {"metadata"} | DEMOGRAPHICS | SCR,
    "R8006": {"metadata"} | DEMOGRAPHICS,
    "R8008": {"metadata"} | DEMOGRAPHICS,
    "R8009": {"metadata"} | DEMOGRAPHICS,
    "R8010": {"metadata"} | DEMOGRAPHICS,
    "R8012": {"metadata", "usage", "freshness"},
    "R8013": {"metadata", "postcode-search", "quarantine-show"} | DEMOGRAPHICS | OPS,
    "R8015": {"metadata"} | OPS,
    "R8016": {"metadata"} | DEMOGRAPHICS | SCR,
    "R9999": {"metadata"},
    "no role": {"metadata"},
    "local addition B0370": {"metadata"} | SCR,
    "local addition B0825": {"metadata"},
    "application": APPLICATION,
    "privileged application": APPLICATION,
    "monitoring application": OPS | {"metadata"},
    "patient, own record": {"metadata", "patient-read", "related-persons"},
    "patient, another record": {"metadata"},
}

OTHERS: dict[str, Callable[[], str]] = {
    "no role": lambda: SIGNER.worker(),
    "local addition B0370": lambda: SIGNER.worker(role(None, activities=["B0370"])),
    "local addition B0825": lambda: SIGNER.worker(role(None, activities=["B0825"])),
    "application": SIGNER.application,
    "privileged application": SIGNER.privileged_application,
    "monitoring application": lambda: SIGNER.application(MONITOR),
    "patient, own record": lambda: SIGNER.patient(PATIENT),
    "patient, another record": lambda: SIGNER.patient(PATIENT),
}


def token_of(who: str) -> str:
    make = OTHERS.get(who)
    return make() if make else SIGNER.worker(role(f"S8000:G8000:{who}"))


class Notebook:
    """Keeps what the gate wants recorded; ``fails`` makes it a log that cannot be written."""

    def __init__(self) -> None:
        self.events: list[AccessEvent] = []
        self.fails = False

    async def record(self, event: AccessEvent) -> None:
        """Keep the event, or fail as the real log does."""
        if self.fails:
            raise AuditUnavailable
        self.events.append(event)


NOTEBOOK = Notebook()
GATE = AccessGate(Settings(), audit=NOTEBOOK, keys=SIGNER.key_store())


def a_request(token: str, record: str = f"{PATIENT:010d}", method: str = "GET", **headers: str) -> Request:
    sent = {**bearer(token), **headers}
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items() if value is not None]
    scope = {"type": "http", "method": method, "path": "/", "query_string": b"", "headers": raw}
    return Request({**scope, "path_params": {"id": record}})


def authorise(token: str, policy: str, gate: AccessGate = GATE, **request: Any) -> Caller:
    return asyncio.run(gate.authorise(a_request(token, **request), policy))


def refused(token: str, policy: str, **request: Any) -> SpineError:
    with pytest.raises(SpineError) as caught:
        authorise(token, policy, **request)
    return caught.value


def status_of(token: str, policy: str, record: str) -> int:
    try:
        authorise(token, policy, record=record)
    except SpineError as error:
        return error.status
    return 200


def test_the_table_covers_every_role_and_every_policy() -> None:
    assert set(Rbac.load().roles) <= set(EXPECTED)
    assert set(load_policies()) == EVERY | PUBLIC


@pytest.mark.parametrize("who", EXPECTED)
def test_every_policy_for(who: str) -> None:
    token = token_of(who)
    record = OTHER_PATIENT if "another" in who else f"{PATIENT:010d}"
    statuses = {policy: status_of(token, policy, record) for policy in EVERY}
    assert {policy for policy, status in statuses.items() if status == 200} == EXPECTED[who]
    assert set(statuses.values()) <= {200, 403}


@pytest.mark.parametrize("policy", sorted(PUBLIC))
def test_public_policy_has_no_caller(policy: str) -> None:
    with pytest.raises(ConfigurationError, match="public"):
        authorise(token_of("R8000"), policy)


def test_unknown_policy_is_our_mistake() -> None:
    with pytest.raises(ConfigurationError, match="no policy nothing"):
        authorise(token_of("R8000"), "nothing")


def test_words_of_refusals() -> None:
    worker = refused(token_of("R8009"), "scr-bundle")
    assert worker.display == "Cannot GET resource with healthcare-worker access token"
    assert worker.diagnostics == INSUFFICIENT_APP
    application = refused(token_of("application"), "healthz", method="POST")
    assert application.display == "Cannot POST resource with application-restricted access token"
    patient = refused(token_of("patient, own record"), "patient-search")
    assert (patient.display, patient.diagnostics) == ("Patient cannot perform this action", INSUFFICIENT_TOKEN)


@pytest.mark.parametrize("record", [OTHER_PATIENT, "9000000000", "12", "", "abc", "９００００００００９"])
def test_patient_is_told_the_same_of_any_other_number(record: str) -> None:
    error = refused(token_of("patient, own record"), "patient-read", record=record)
    assert (error.status, error.display) == (403, "Patient cannot perform this action")


@pytest.mark.parametrize(
    ("vector", "level", "allowed"),
    [
        ("P9.Cp.Cd", "P9", True),
        ("P9.Cp.Ck", "P9", True),
        ("P9.Cm", "P9", True),
        ("P9.Cp", "P9", False),
        ("P5.Cp.Cd", "P5", False),
        ("P0.Cp", "P0", False),
        ("P9.Cp.Cd", "P5", False),
        (None, "P9", False),
        ("P9.Cp.Cd", None, False),
    ],
)
def test_patients_vector_of_trust(vector: str | None, level: str | None, allowed: bool) -> None:
    token = SIGNER.patient(PATIENT, vot=vector, identity_proofing_level=level)
    if allowed:
        assert authorise(token, "patient-read").own_number == PATIENT
    else:
        assert refused(token, "patient-read").display == "Patient cannot perform this action"


TWO_ROLES = (role("S8000:G8000:R8000"), role("S8000:G8000:R8015", profile="920000000002", organisation="X26"))
GUIDANCE = "https://digital.nhs.uk/developer/api-catalogue/personal-demographics-service-fhir"


@pytest.mark.parametrize(
    ("roles", "selected", "header", "chosen"),
    [
        (TWO_ROLES, None, ROLE_ID, "R8000"),
        (TWO_ROLES, None, "920000000002", "R8015"),
        (TWO_ROLES, "920000000002", None, "R8015"),
        (TWO_ROLES, "920000000002", "", "R8015"),
        (TWO_ROLES, "920000000002", ROLE_ID, "R8000"),
        (TWO_ROLES[:1], None, None, "R8000"),
        (TWO_ROLES[:1], None, ROLE_ID, "R8000"),
    ],
)
def test_selected_role(
    roles: tuple[dict[str, Any], ...], selected: str | None, header: str | None, chosen: str
) -> None:
    sent = {} if header is None else {"NHSD-Session-URID": header}
    caller = authorise(SIGNER.worker(*roles, selected_roleid=selected), "metadata", **sent)
    assert caller.role_code == f"S8000:G8000:{chosen}"
    assert caller.organisation == ("X26" if chosen == "R8015" else "RX898")
    assert ("B0264" in caller.activities) == (chosen == "R8000"), "never the union of two roles"


@pytest.mark.parametrize(
    ("roles", "header", "shown"),
    [
        (TWO_ROLES, None, ""),
        (TWO_ROLES, "", ""),
        (TWO_ROLES, "invalid", "invalid"),
        (TWO_ROLES[:1], "929999999999", "929999999999"),
        ((), "929999999999", "929999999999"),
    ],
)
def test_wrong_role(roles: tuple[dict[str, Any], ...], header: str | None, shown: str) -> None:
    sent = {} if header is None else {"NHSD-Session-URID": header}
    error = refused(SIGNER.worker(*roles), "patient-search", **sent)
    assert (error.status, error.spine_code) == (400, "INVALID_VALUE")
    assert error.diagnostics == (
        f"Invalid value - '{shown}' in header 'NHSD-Session-URID'. "
        f"Refer to the guidance for this header in our API Specification {GUIDANCE}"
    )


@pytest.mark.parametrize("who", ["application", "patient, own record"])
def test_role_header_is_ignored_without_a_user(who: str) -> None:
    sent = {"NHSD-Session-URID": "invalid"}
    assert authorise(token_of(who), "patient-read", **sent).role_profile_id is None


def test_role_may_lack_code_activities_and_organisation() -> None:
    caller = authorise(SIGNER.worker(role(None, organisation=None)), "metadata")
    assert (caller.role_code, caller.organisation, caller.activities) == (None, None, frozenset())


def test_end_user_organisation_is_kept_apart_from_the_tokens() -> None:
    request = a_request(token_of("R8000"), **{"NHSD-End-User-Organisation-ODS": "A83008"})
    caller = asyncio.run(GATE.authorise(request, "patient-search"))
    assert (caller.organisation, request.state.end_user_organisation) == ("RX898", "A83008")
    assert request.state.caller is caller


@pytest.mark.parametrize("code", ["a83008", "A8 3008", "A" * 21, "A83008;"])
def test_wrong_end_user_organisation(code: str) -> None:
    error = refused(token_of("R8000"), "patient-search", **{"NHSD-End-User-Organisation-ODS": code})
    assert (error.status, error.diagnostics) == (
        400,
        f"Invalid value - '{code}' in header 'NHSD-End-User-Organisation-ODS'",
    )


def test_order_of_checks_is_the_live_ones() -> None:
    """pds.md 4.3: token, X-Request-ID format, role, rules of the mode; what is wrong first is told."""
    two = SIGNER.worker(*TWO_ROLES)
    wrong = {"X-Request-ID": "1234", "NHSD-Session-URID": "invalid"}
    assert refused("bad", "scr-bundle", **wrong).status == 401
    assert refused(two, "scr-bundle", **wrong).diagnostics == "Invalid value - '1234' in header 'X-Request-ID'"
    role_only = {"NHSD-Session-URID": "invalid"}
    assert "NHSD-Session-URID" in str(refused(two, "scr-bundle", **role_only).diagnostics)
    ops = {"NHSD-Session-URID": "920000000002"}
    assert refused(two, "scr-bundle", **ops).status == 403


@pytest.mark.parametrize(
    ("who", "policy", "status", "detail"),
    [
        ("R8009", "scr-bundle", 403, "ACTIVITY"),
        ("R8009", "healthz", 403, "ACTIVITY"),
        ("application", "healthz", 403, "APPLICATION"),
        ("application", "everything", 403, "MODE"),
        ("patient, another record", "patient-read", 403, "OTHER_RECORD"),
    ],
)
def test_refusal_is_recorded_before_it_is_told(who: str, policy: str, status: int, detail: str) -> None:
    NOTEBOOK.events.clear()
    refused(token_of(who), policy, record=OTHER_PATIENT, **{"X-Correlation-ID": "c1"})
    (event,) = NOTEBOOK.events
    assert (event.policy, event.status, event.detail, event.patients) == (policy, status, detail, ())
    assert event.caller is not None
    assert event.caller.user_id == ("910000000001" if who.startswith("R") else None)
    assert (len(event.request_id), event.correlation_id) == (36, "c1")


def test_refused_token_is_recorded_without_a_caller() -> None:
    NOTEBOOK.events.clear()
    refused("bad", "patient-search")
    assert [(event.caller, event.status, event.detail) for event in NOTEBOOK.events] == [(None, 401, "not_a_token")]


def test_refused_role_is_recorded_with_the_user() -> None:
    NOTEBOOK.events.clear()
    refused(SIGNER.worker(*TWO_ROLES), "patient-search")
    (event,) = NOTEBOOK.events
    assert event.caller is not None
    assert (event.caller.user_id, event.caller.activities, event.status) == ("910000000001", frozenset(), 400)


def test_refusal_that_cannot_be_recorded_is_503() -> None:
    notebook = Notebook()
    notebook.fails = True
    gate = AccessGate(Settings(), audit=notebook, keys=SIGNER.key_store())
    with pytest.raises(AuditUnavailable) as caught:
        authorise("bad", "patient-search", gate)
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "5"})


def test_command_is_authorised_by_a_token() -> None:
    records_manager = SIGNER.worker(role("S8000:G8000:R8013"))
    assert asyncio.run(GATE.authorise_token(records_manager, "quarantine-show")).user_id == "910000000001"
    NOTEBOOK.events.clear()
    with pytest.raises(SpineError) as caught:
        asyncio.run(GATE.authorise_token(SIGNER.ops(), "quarantine-show"))
    assert caught.value.status == 403
    (event,) = NOTEBOOK.events
    assert event.caller is not None
    assert (event.policy, event.status, event.detail) == ("quarantine-show", 403, "ACTIVITY")


# --- the tables ----------------------------------------------------------------------------------


def test_inclusion_is_closed_however_deep_and_round() -> None:
    def activity(*includes: str) -> Activity:
        return Activity(title="t", includes=includes, source="s", confirmed=True)

    table = {"B0001": activity("B0002"), "B0002": activity("B0003", "B0001"), "B0003": activity(), "B0004": activity()}
    rbac = Rbac(table, {})
    assert rbac.closure(["B0001"]) == {"B0001", "B0002", "B0003"}
    assert rbac.closure(["B0003", "B9999"]) == {"B0003", "B9999"}
    assert Rbac.load().closure(["B0825"]) == {"B0825", "B0820"}


def test_every_row_has_a_source() -> None:
    rbac = Rbac.load()
    rows = [*rbac.activities.values(), *rbac.roles.values(), *load_policies().values()]
    assert all(row.source.strip() for row in rows)


def changed(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    table = json.loads(Path("search_api/access/policy.json").read_text())
    change(table)
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(table))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table["policies"]["patient-read"].update(publik=True),
        lambda table: table["policies"]["patient-read"].update(public=True),
        lambda table: table["policies"]["livez"].update(public=False),
        lambda table: table["policies"]["patient-read"].pop("source"),
        lambda table: table["policies"]["patient-read"]["modes"].update(everyone={}),
        lambda table: table["policies"]["patient-read"]["modes"]["healthcare-worker"].update(all_of=["B264"]),
        lambda table: table["policies"]["patient-read"]["modes"]["healthcare-worker"].update(all_of=["B9999"]),
        lambda table: table["policies"].update({"Patient Read": table["policies"]["patient-read"]}),
    ],
)
def test_wrong_policy_file_stops_the_start(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    with pytest.raises(ConfigurationError):
        PolicyTable.load(changed(tmp_path, change))


def test_missing_policy_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"policy\.json"):
        PolicyTable.load(tmp_path / "policy.json")


def an_application(**changes: Any) -> dict[str, Any]:
    row = {"client_id": "a", "title": "t", "modes": ["application-restricted"], "attributes": []}
    return {**row, "policies": ["patient-read"], "organisations": [], **changes}


def applications(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    path = tmp_path / "applications.json"
    path.write_text(json.dumps({"version": "1", "note": "n", "applications": rows}))
    return path


def test_applications_file_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        load_applications(applications(tmp_path, an_application(), an_application()))
    unknown = load_applications(applications(tmp_path, an_application(policies=["nothing"])))
    with pytest.raises(ConfigurationError, match="nothing"):
        PolicyTable.load().check_applications(unknown)


def test_application_for_several_organisations_must_say_for_which(tmp_path: Path) -> None:
    path = applications(tmp_path, an_application(organisations=["RX898", "X26"]))
    gate = AccessGate(Settings(applications_file=path), audit=NOTEBOOK, keys=SIGNER.key_store())
    token = SIGNER.application("a")
    header = "NHSD-End-User-Organisation-ODS"
    assert authorise(token, "patient-read", gate, **{header: "X26"}).organisation == "X26"
    with pytest.raises(SpineError) as missing:
        authorise(token, "patient-read", gate)
    assert (missing.value.status, missing.value.spine_code) == (400, "MISSING_VALUE")
    with pytest.raises(SpineError) as other:
        authorise(token, "patient-read", gate, **{header: "A83008"})
    assert (other.value.status, other.value.spine_code) == (400, "INVALID_VALUE")


# --- the routes ----------------------------------------------------------------------------------


def a_table(**surfaces: str) -> PolicyTable:
    """A table with these http policies: 'public', or the name of the mode allowed."""
    policies = {}
    for name, mode in surfaces.items():
        rule: dict[Any, Any] = {} if mode == "public" else {AccessMode(mode): {"own_record": mode == "patient-access"}}
        policies[name.replace("_", "-")] = Policy.model_validate(
            {"title": "t", "surface": "http", "action": "R", "source": "s", "public": mode == "public", "modes": rule}
        )
    return PolicyTable(policies, Rbac.load())


def an_app() -> FastAPI:
    return FastAPI(openapi_url=None, telemetry={"tracing": False, "logs": False})


async def nothing() -> None:
    """A route's work."""


def test_routes_that_agree_pass_also_in_nested_routers() -> None:
    app, outer, inner = an_app(), APIRouter(), APIRouter(prefix="/p", dependencies=[Depends(requires("one"))])
    inner.add_api_route("/x/{id}", nothing)
    outer.include_router(inner)
    app.include_router(outer, prefix="/FHIR")
    app.add_api_route("/livez", nothing, dependencies=[Depends(open_to_all("two"))])
    check_routes(app, a_table(one="healthcare-worker", two="public"))


def deny_list() -> dict[str, tuple[Callable[[FastAPI], Any], str]]:
    def route(*names: str, path: str = "/x", open_: bool = False) -> Callable[[FastAPI], Any]:
        make = open_to_all if open_ else requires
        return lambda app: app.add_api_route(path, nothing, dependencies=[Depends(make(name)) for name in names])

    async def hidden(request: Request) -> None:
        """A plain route without dependencies."""

    return {
        "no policy": (route(), "route /x has no policies"),
        "two policies": (route("one", "own"), "route /x has 2 policies"),
        "unknown policy": (route("nothing"), "names policy nothing"),
        "public against the table": (route("one", open_=True), "public against policy one"),
        "closed against the table": (route("two"), "not public against policy two"),
        "own record without a number": (route("own"), "lacks {id}"),
        "plain route": (lambda app: app.add_route("/plain", hidden), "route /plain has no policies"),
        "mount": (lambda app: app.mount("/static", FastAPI()), "route /static has no policies"),
        "websocket": (lambda app: app.add_api_websocket_route("/ws", hidden), "route /ws has no policies"),
        "policy without a route": (lambda app: None, "policy two has no route"),
    }


@pytest.mark.parametrize("name", deny_list())
def test_route_that_does_not_agree_stops_the_start(name: str) -> None:
    app = an_app()
    add, words = deny_list()[name]
    add(app)
    table = a_table(one="healthcare-worker", two="public", own="patient-access")
    with pytest.raises(ConfigurationError) as caught:
        check_routes(app, table)
    assert words in caught.value.message


def test_policy_that_is_not_for_routes_may_not_be_on_one() -> None:
    app = an_app()
    app.add_api_route("/quarantine", nothing, dependencies=[Depends(requires("quarantine-show"))])
    with pytest.raises(ConfigurationError, match="policy quarantine-show is not for routes"):
        check_routes(app, PolicyTable.load())


def test_path_that_cannot_carry_a_dependency_may_be_declared_public_only() -> None:
    app = an_app()
    app.mount("/static", FastAPI(), name="static")
    check_routes(app, a_table(one="public"), {"/static": "one"})
    with pytest.raises(ConfigurationError, match="public against policy one"):
        check_routes(app, a_table(one="healthcare-worker"), {"/static": "one"})


def test_dependency_gives_the_caller_to_the_route() -> None:
    from starlette.testclient import TestClient

    app = an_app()
    app.state.access = GATE

    @app.get("/one")
    async def one(caller: Annotated[Caller, Depends(requires("metadata"))]) -> str:
        return caller.mode.value

    app.add_exception_handler(SpineError, _status_only)
    with TestClient(app) as client:
        assert client.get("/one", headers=bearer(token_of("R8000"))).json() == "healthcare-worker"
        assert client.get("/one").status_code == 401


async def _status_only(request: Request, error: Exception) -> Any:
    from starlette.responses import Response

    assert isinstance(error, SpineError)
    return Response(status_code=error.status)
