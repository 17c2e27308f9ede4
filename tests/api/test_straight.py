"""The short way and the framework's way find the same route for every path, and answer alike.

Sources: docs/decisions/0021; pds.md 4.2 (429), 2.1 (404).
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path

from search_api.settings import Settings
from search_api.straight import Table
from tests.lib import cast
from tests.lib.api import BASE, SIGNER, Api

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
TAILS = (
    "", "/", "/Patient", "/Patient/", "/Patient/_search", "/Patient/$match", "/Patient/9000000009",
    "/Patient/9000000009/", "/Patient/9000000009/RelatedPerson", "/Patient/9000000009/RelatedPerson/1",
    "/Patient/9000000009/$everything", "/Patient//RelatedPerson", "/Patient/a\n", "/Patient/a b/RelatedPerson",
    "/patient", "/metadata", "/DocumentReference", "/Bundle", "/Bundle/1", "/Patient/é", "/Patient/%2F",
)  # fmt: skip
PATHS = (*(BASE + tail for tail in TAILS), "/livez", "/readyz", "/healthz", "/metrics", "/api/freshness", "/docs", "/")


def framework(api: Api, method: str, path: str) -> tuple[Any, dict[str, Any]]:
    """Endpoint and parameters of the first route that takes this method and path, by the framework's own patterns."""
    for context in iter_route_contexts(api.app.routes):
        match = compile_path(str(context.path))[0].match(path)
        if match and method in (context.methods or ()):
            return context.endpoint, match.groupdict()
    return None, {}


@pytest.fixture
def api(tmp_path: Path, served: Settings) -> Any:
    with Api(tmp_path, served) as opened:
        yield opened


def test_both_ways_find_the_same_route(api: Api) -> None:
    table = Table(api.app)
    straight = 0
    for method, path in itertools.product(METHODS, PATHS):
        found = table.find(method, path)
        if found is not None:
            straight += 1
            assert (found.route.endpoint, found.parameters) == framework(api, method, path), (method, path)
    assert straight >= 15, "the routes that answer from patients go straight"


def test_what_depends_on_more_than_the_gate_takes_the_long_way(api: Api) -> None:
    table = Table(api.app)
    for path in ("/livez", "/readyz", "/docs", f"{BASE}/Unknown"):
        assert table.find("GET", path) is None


def test_a_number_that_is_not_found_is_audited(api: Api) -> None:
    assert api.get(f"/Patient/{cast.UNKNOWN}").status_code == 404
    (event,) = api.events()
    assert (event["status"], event["detail"], event["patients"]) == (404, "RESOURCE_NOT_FOUND", f"[{cast.UNKNOWN}]")


def test_a_caller_who_asks_too_often_is_told_so(tmp_path: Path, served: Settings) -> None:
    with Api(tmp_path, served, rate_limit=1) as limited:
        answers = [limited.get(f"/Patient/{cast.JANE}") for _ in range(9)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert refused[0].headers["retry-after"] == "1"
        assert refused[0].json()["issue"][0]["details"]["coding"][0]["code"] == "TOO_MANY_REQUESTS"
        assert limited.get(f"/Patient/{cast.JANE}", SIGNER.application()).status_code == 200
        assert {event["status"] for event in limited.events()} == {200}


def test_a_token_read_once_is_refused_once_it_is_over(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    token = SIGNER.clinician()
    assert api.get(f"/Patient/{cast.JANE}", token).status_code == 200
    monkeypatch.setattr(api.services.gate._verifier, "_now", lambda: 4e9)
    assert api.get(f"/Patient/{cast.JANE}", token).status_code == 401


def test_another_role_of_a_token_is_another_caller(api: Api) -> None:
    from tests.lib.tokens import bearer, role

    token = SIGNER.worker(role(profile="1"), role("S0000:G0000:R0001", profile="2"))
    asked = [
        api.send("GET", f"{BASE}/Patient/{cast.JANE}", headers=bearer(token, **{"NHSD-Session-URID": profile}))
        for profile in ("1", "2", "1", "3")
    ]
    assert [answer.status_code for answer in asked] == [200, 403, 200, 400]
