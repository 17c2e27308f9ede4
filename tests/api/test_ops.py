"""Probes, metrics, freshness, generations, the description page, and what PDS says to other paths."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from search_api.access.routes import check_routes
from search_api.capability import INTERACTIONS
from tests.lib import cast
from tests.lib.api import BASE, SIGNER, Api, publish
from tests.lib.engines import EngineKind
from tests.lib.tokens import MONITOR, bearer

Json = dict[str, Any]


def test_probes_are_open(api: Api, engine_kind: EngineKind) -> None:
    assert api.send("GET", "/livez", headers={}).json() == {"status": "alive"}
    ready = api.send("GET", "/readyz", headers={})
    parts = {"generation": True, "audit": True} | ({"cluster": True} if engine_kind.in_cluster else {})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", **parts})


def test_not_ready_without_a_generation(tmp_path: Path, engine_kind: EngineKind) -> None:
    nothing = engine_kind.building(tmp_path / "empty")
    with Api(tmp_path, nothing) as bare:
        ready = bare.send("GET", "/readyz", headers={})
        assert (ready.status_code, ready.json()["generation"]) == (503, False)
        answer = bare.get(f"/Patient/{cast.JANE}")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert bare.send("GET", "/livez", headers={}).status_code == 200


def test_a_node_that_was_there_first_serves_the_first_generation(tmp_path: Path, engine_kind: EngineKind) -> None:
    built = engine_kind.building(tmp_path / "home")
    with Api(tmp_path, engine_kind.serving(built, tmp_path / "node")) as early:
        assert early.send("GET", "/readyz", headers={}).status_code == 503
        publish(built, pds_patient=cast.patients())
        until(lambda: early.send("GET", "/readyz", headers={}).status_code == 200)
        assert early.get(f"/Patient/{cast.JANE}").json()["id"] == cast.JANE


def until(condition: Callable[[], bool]) -> None:
    """Wait for it, a minute at most."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/api/freshness", "/api/generations"])
def test_ops_routes_are_for_ops(api: Api, path: str) -> None:
    assert api.send("GET", path, headers={}).status_code == 401
    assert api.send("GET", path, SIGNER.clinician()).status_code == 403
    assert api.send("GET", path, SIGNER.ops()).status_code == 200
    assert api.send("GET", path, SIGNER.application(MONITOR)).status_code == 200
    assert api.send("GET", path, SIGNER.application()).status_code == 403


def test_health(api: Api, engine_kind: EngineKind) -> None:
    body = api.send("GET", "/healthz", SIGNER.ops()).json()
    assert body["status"] == "healthy"
    parts = {part["part"]: part for part in body["parts"]}
    assert set(parts) == {"generation", "audit", "ledger"} | ({"cluster"} if engine_kind.in_cluster else set())
    assert parts["generation"]["rows"]["replica__pds_patient"] > 60


def test_freshness_names_every_feed(api: Api) -> None:
    body = api.send("GET", "/api/freshness", SIGNER.ops()).json()
    feeds = {feed["feed"]: feed for feed in body["feeds"]}
    assert set(feeds) == {"pds_patient", "pds_number_change", "scr_summary"}
    patients = feeds["pds_patient"]
    assert patients["state"] == "fresh"
    assert patients["ageSeconds"] < patients["softLimitSeconds"] < patients["hardLimitSeconds"]
    assert patients["lastExtract"]["accepted"] == len(cast.patients())
    assert patients["refusals"] == 0
    assert patients["served"][0]["sequence"] == patients["lastExtract"]["sequence"] == 1
    assert body["generation"]


def test_generations(api: Api) -> None:
    body = api.send("GET", "/api/generations", SIGNER.ops()).json()
    assert [item["generation"] for item in body["generations"]] == [body["served"]]
    assert body["generations"][0]["readable"]


def test_metrics_count_by_template(api: Api) -> None:
    api.get(f"/Patient/{cast.JANE}")
    text = api.send("GET", "/metrics", SIGNER.ops()).text
    assert 'ncrs_http_requests_total{method="GET",route="/FHIR/R4/Patient/{id}",status="200"}' in text
    assert "ncrs_data_as_at_timestamp_seconds" in text
    assert "ncrs_generation_info" in text
    assert cast.JANE not in text


# The description page, without any outside address


def test_description_page_loads_nothing_from_elsewhere(api: Api) -> None:
    page = api.send("GET", "/docs", headers={})
    assert page.status_code == 200
    assert "http" not in page.text.replace("<!doctype html>", "")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    for asset in ("/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/start.js"):
        assert asset in page.text
        assert api.send("GET", asset, headers={}).status_code == 200


def test_openapi_describes_every_route(api: Api) -> None:
    document = api.send("GET", "/docs/openapi.json", headers={}).json()
    assert document["openapi"].startswith("3.1")
    search = document["paths"][f"{BASE}/Patient"]["get"]
    names = {parameter["name"] for parameter in search["parameters"]}
    assert {"family", "_fuzzy-match", "_ncrs-explain", "X-Request-ID"} <= names
    for item in INTERACTIONS:
        assert item.method.lower() in document["paths"][BASE + item.path], item


def test_every_answer_has_safe_headers(api: Api) -> None:
    for path in ("/livez", f"{BASE}/Patient/{cast.JANE}", f"{BASE}/HelloWorld", "/nothing"):
        headers = api.send("GET", path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cache-control"].startswith("private")


# Capability


def test_capability_statement_is_the_route_table(api: Api) -> None:
    routes = {
        (method, str(context.path).removeprefix(BASE))
        for context in iter_route_contexts(api.app.routes)
        for method in context.methods or ()
        if str(context.path).startswith(BASE) and "{rest" not in str(context.path) and method != "HEAD"
    }
    assert routes == {(item.method, item.path) for item in INTERACTIONS}


def test_metadata(api: Api) -> None:
    body = api.get("/metadata").json()
    assert (body["resourceType"], body["fhirVersion"], body["kind"]) == ("CapabilityStatement", "4.0.1", "instance")
    patient = next(item for item in body["rest"][0]["resource"] if item["type"] == "Patient")
    assert {item["code"] for item in patient["interaction"]} == {"read", "search-type"}
    assert {item["name"] for item in patient["operation"]} == {"match", "everything", "postcode-search"}
    assert api.send("GET", f"{BASE}/metadata", headers={}).status_code == 401


def test_every_route_has_a_policy(api: Api) -> None:
    check_routes(api.app, api.services.gate.table)


# pds.md 4.2: what is said to a path or method that PDS does not have

UNSUPPORTED = [
    ("GET", "/HelloWorld", 400, "UNSUPPORTED_REQUEST", "Unsupported path - '/HelloWorld'"),
    ("GET", "/Patient!", 400, "UNSUPPORTED_REQUEST", "Unsupported path - '/Patient!'"),
    ("GET", "/Patient/", 400, "UNSUPPORTED_REQUEST", "Unsupported path - '/Patient/'"),
    ("GET", f"/Patient/{cast.JANE}/Nothing", 400, "UNSUPPORTED_REQUEST", f"Unsupported path - '/Patient/{cast.JANE}/Nothing'"),
    ("PUT", f"/Patient/{cast.JANE}", 400, "UNSUPPORTED_SERVICE", None),
    ("DELETE", f"/Patient/{cast.JANE}", 400, "UNSUPPORTED_SERVICE", None),
    ("PATCH", f"/Patient/{cast.JANE}", 400, "UNSUPPORTED_SERVICE", None),
    ("POST", "/Patient", 400, "UNSUPPORTED_SERVICE", None),
    ("POST", "/DocumentReference", 400, "UNSUPPORTED_SERVICE", None),
    ("OPTIONS", f"/Patient/{cast.JANE}", 502, "UNKNOWN_ERROR", None),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "status", "spine", "diagnostics"), UNSUPPORTED)
def test_unsupported(api: Api, method: str, path: str, status: int, spine: str, diagnostics: str | None) -> None:
    response = api.send(method, BASE + path)
    issue = response.json()["issue"][0]
    assert (response.status_code, issue["details"]["coding"][0]["code"]) == (status, spine)
    assert response.headers["content-type"] == "application/fhir+json"
    assert diagnostics is None or issue["diagnostics"] == diagnostics


def test_the_token_is_checked_before_the_path(api: Api) -> None:
    assert api.send("GET", f"{BASE}/HelloWorld", headers={}).status_code == 401
    assert api.events()[-1]["status"] == 401


def test_the_path_is_checked_before_the_request_id(api: Api) -> None:
    """4.3: live order."""
    headers = {**bearer(SIGNER.clinician()), "X-Request-ID": "1234"}
    assert "Unsupported path" in api.send("GET", f"{BASE}/HelloWorld", headers=headers).text


@pytest.mark.parametrize(
    ("method", "path", "verb"), [("PATCH", f"/Patient/{cast.JANE}", "update"), ("POST", "/Patient", "create")]
)
def test_an_application_may_not_write(api: Api, method: str, path: str, verb: str) -> None:
    """3.1 and 4.2."""
    response = api.send(method, BASE + path, SIGNER.application())
    coding = response.json()["issue"][0]["details"]["coding"][0]
    assert (response.status_code, coding["code"]) == (403, "INVALID_METHOD")
    assert coding["display"] == f"Cannot {verb} resource with application-restricted access token"
