"""The API when its cluster gives no whole answer: 503 with Retry-After, never a part of one, and ops can see why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from search_api.cluster.condition import Watch, wanted_of
from search_api.cluster.shared import cluster_of
from search_api.logging import LOG_EVENTS
from tests.lib import cast
from tests.lib.api import BASE, SIGNER, Api, cast_home
from tests.lib.engines import EngineKind
from tests.lib.front import DROP, PASS, Asked, Front, Rule, Treatment, doctored, say, slow

Json = dict[str, Any]


@pytest.fixture(scope="module")
def front(opensearch_url: str) -> Iterator[Front]:
    with Front(opensearch_url) as opened:
        yield opened


@pytest.fixture(scope="module")
def api(opensearch_kind: EngineKind, front: Front, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A node that reaches its cluster through the front; an audit log of its own."""
    served = cast_home(opensearch_kind)
    with Api(tmp_path_factory.mktemp("audit"), served, index=front.address, search_deadline_ms=2_000) as opened:
        yield opened


@pytest.fixture
def spoil(front: Front, api: Api) -> Iterator[Callable[[Treatment], None]]:
    """Give every question of people another treatment; afterwards all is well again."""
    assert _search(api).status_code == 200

    def rule(treatment: Treatment) -> None:
        front.rule = _questions(treatment)

    yield rule
    front.rule = lambda _asked: PASS
    _until(lambda: api.send("GET", "/readyz", headers={}).status_code == 200)


Spoil = Callable[[Treatment], None]


def _questions(treatment: Treatment) -> Rule:
    def rule(asked: Asked) -> Treatment:
        return treatment if "_search" in asked.target or "_mget" in asked.target else PASS

    return rule


def _search(api: Api) -> httpx2.Response:
    return api.search(family="Smith", given="Jane", birthdate="eq2010-10-22", gender="female")


def _all(api: Api) -> list[httpx2.Response]:
    """Search, read and match."""
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "resource",
                "resource": {
                    "resourceType": "Patient",
                    "name": [{"family": "Smith", "given": ["Jane"]}],
                    "birthDate": "2010-10-22",
                },
            }
        ],
    }
    matched = api.send("POST", f"{BASE}/Patient/$match", json=body)
    return [_search(api), api.get(f"/Patient/{cast.JANE}"), matched]


def _counted(api: Api, reason: str) -> float:
    value = api.services.metrics.registry.get_sample_value("ncrs_cluster_refused_total", {"reason": reason})
    return value or 0.0


def _lessened(body: Json) -> Json:
    """A search answer of one shard fewer, as OpenSearch gives it when one failed."""
    if "_shards" in body:
        body["_shards"] |= {"successful": 0, "failed": 1}
    return body


def _late(body: Json) -> Json:
    if "timed_out" in body:
        body["timed_out"] = True
    return body


@pytest.mark.parametrize(
    ("treatment", "reason", "again"),
    [
        (doctored(_lessened), "failed_shards", "5"),
        (doctored(_late), "timed_out", "5"),
        (say(429, {"error": {"type": "rejected_execution_exception", "reason": "Smith"}}), "too_busy", "1"),
        (say(503, {"error": {"type": "search_phase_execution_exception", "reason": "Smith"}}), "failed_shards", "5"),
        (say(403, {"error": {"type": "security_exception", "reason": "Smith"}}), "refused_account", "5"),
        (say(200, b"<html>Smith</html>"), "broken", "5"),
        (DROP, "unreachable", "5"),
    ],
    ids=["a shard failed", "timed out", "429", "503", "403", "no JSON", "dropped"],
)
def test_a_search_that_is_not_whole_is_not_shown(
    api: Api, spoil: Spoil, treatment: Treatment, reason: str, again: str
) -> None:
    before, events = _counted(api, reason), len(api.events())
    spoil(treatment)
    with capture_logs() as logged:
        answer = _search(api)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, again)
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    assert body["issue"][0]["details"]["coding"][0]["code"] == "SERVICE_UNAVAILABLE"
    assert "Smith" not in answer.text
    assert _counted(api, reason) == before + 1
    told = [(line["event"], line["error"]) for line in logged if line["code"] == "API022"]
    assert told == [(LOG_EVENTS["API022"], reason)]
    assert len(api.events()) == events


@pytest.mark.parametrize("treatment", [DROP, slow(30.0), say(503, {})], ids=["dropped", "slow", "503"])
def test_nothing_is_answered_without_the_cluster(api: Api, spoil: Spoil, treatment: Treatment) -> None:
    spoil(treatment)
    for answer in _all(api):
        assert (answer.status_code, answer.json()["resourceType"]) == (503, "OperationOutcome")
        assert int(answer.headers["retry-after"]) >= 1


def test_an_unreachable_cluster_shows_in_readiness_health_and_freshness(api: Api, front: Front, spoil: Spoil) -> None:
    begun = datetime.now(UTC)
    spoil(PASS)
    front.rule = lambda _asked: DROP
    _until(lambda: api.send("GET", "/readyz", headers={}).status_code == 503)
    assert api.send("GET", "/readyz", headers={}).json()["cluster"] is False
    health = api.send("GET", "/healthz", SIGNER.ops())
    parts = {part["part"]: part for part in health.json()["parts"]}
    assert (health.status_code, parts["cluster"]["ok"], parts["cluster"]["reason"]) == (503, False, "unreachable")
    index = api.send("GET", "/api/freshness", SIGNER.ops()).json()["index"]
    assert (index["engine"], index["state"], index["status"]) == ("opensearch", "unreachable", None)
    since = datetime.fromisoformat(index["since"])
    assert begun - timedelta(seconds=1) < since <= datetime.now(UTC)
    front.rule = lambda _asked: PASS
    _until(lambda: api.send("GET", "/readyz", headers={}).status_code == 200)
    again = api.send("GET", "/api/freshness", SIGNER.ops()).json()["index"]
    assert (again["state"], again["since"], again["reason"]) == ("reachable", None, None)


def test_what_is_served_is_named_with_its_uuid(api: Api) -> None:
    health = api.send("GET", "/healthz", SIGNER.ops()).json()
    cluster = next(part for part in health["parts"] if part["part"] == "cluster")
    with api.services.generations.pin() as generation:
        manifest = generation.manifest
    assert manifest.records is not None
    served = [{"index": part.location, "uuid": part.uuid} for part in (manifest.index, manifest.records)]
    assert cluster["indexes"] == served
    assert cluster["status"] in ("green", "yellow", "red")
    assert cluster["nodes"] >= 1
    assert cluster["unassignedShards"] >= 0


@pytest.mark.parametrize(
    ("part", "treatment", "reason"),
    [
        ("/_settings/index.uuid", say(404, {"error": {"type": "index_not_found_exception"}}), "not_found"),
        (
            "/_settings/index.uuid",
            doctored(
                lambda body: {name: {"settings": {"index": {"uuid": "another"}}} for name in body},
            ),
            "wrong_index",
        ),
        ("/_search", say(503, {"error": {"type": "no_shard_available_action_exception"}}), "failed_shards"),
        ("/_search", say(400, {"error": {"type": "index_closed_exception"}}), "not_found"),
        ("/_search", say(403, {"error": {"type": "cluster_block_exception"}}), "blocked"),
    ],
    ids=["gone", "another", "red", "closed", "blocked"],
)
def test_a_cluster_that_cannot_answer_from_what_is_served_is_not_ready(
    api: Api, front: Front, spoil: Spoil, part: str, treatment: Treatment, reason: str
) -> None:
    """The cluster's own look names the reason; the API may by then have let go of the generation itself."""
    spoil(PASS)
    with api.services.generations.pin() as generation:
        wanted = wanted_of(generation.manifest)
    front.rule = lambda asked: treatment if part in asked.target else PASS
    found = Watch(cluster_of(api.settings)).look(wanted)
    assert found.reason == reason
    assert found.document()["reason"] == reason
    _until(lambda: api.send("GET", "/readyz", headers={}).status_code == 503)


def test_probes_cost_the_cluster_little(api: Api, front: Front) -> None:
    api.send("GET", "/readyz", headers={})
    before = sum("_cluster/health" in asked.target for asked in front.asked)
    begun = time.monotonic()
    for _ in range(50):
        api.send("GET", "/readyz", headers={})
    looks = sum("_cluster/health" in asked.target for asked in front.asked) - before
    assert looks <= time.monotonic() - begun + 1


def test_closing_leaves_no_connection(opensearch_kind: EngineKind, opensearch_url: str, tmp_path: Path) -> None:
    with Front(opensearch_url) as front:
        with Api(tmp_path, cast_home(opensearch_kind), index=front.address) as api:
            assert _search(api).status_code == 200
            assert front.connections > 0
        _until(lambda: front.connections == 0)


def _until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until, "It never came to be so."
        time.sleep(0.1)
