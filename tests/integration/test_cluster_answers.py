"""Which answers are whole: a real one with one thing changed, and what a real node says when it cannot."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from schemas.errors import ClusterUnavailable
from search_api.cluster.answers import Answer, answer_of, reason_of, whole_search
from search_api.cluster.client import Cluster
from search_api.settings import Settings

Body = dict[str, Any]
SHARDS = 3


@pytest.fixture(scope="module")
def client(opensearch_url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=opensearch_url, timeout=30.0, trust_env=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def index(client: httpx2.Client, opensearch_module_prefix: str) -> str:
    """Thirty documents in three shards."""
    return _filled(client, f"{opensearch_module_prefix}answers", 30)


@pytest.fixture(scope="module")
def long_index(client: httpx2.Client, opensearch_module_prefix: str) -> str:
    """So many documents that to look at each takes longer than the node needs to notice that time is up.

    It reads the clock every 200 ms only (``thread_pool.estimated_time_interval``).
    """
    return _filled(client, f"{opensearch_module_prefix}long", 1_500)


def _filled(client: httpx2.Client, name: str, documents: int) -> str:
    client.put(f"/{name}", json={"settings": {"number_of_shards": SHARDS, "number_of_replicas": 0}})
    lines = "".join(f'{{"index":{{"_id":"{number}"}}}}\n{{"number":{number}}}\n' for number in range(documents))
    headers = {"content-type": "application/x-ndjson"}
    sent = client.post(f"/{name}/_bulk?refresh=true", content=lines.encode(), headers=headers)
    assert sent.json()["errors"] is False
    return name


@pytest.fixture(scope="module")
def real(client: httpx2.Client, index: str) -> Answer:
    """What the node said, and it was whole."""
    said = client.post(f"/{index}/_search", json={"size": 3, "track_total_hits": False})
    answer = Answer(said.status_code, said.json())
    assert len(whole_search(answer, index)["hits"]["hits"]) == 3
    return answer


@pytest.fixture
def cluster(opensearch_url: str) -> Iterator[Cluster]:
    opened = Cluster(Settings(index=opensearch_url, search_deadline_ms=30_000))
    yield opened
    opened.close()


def _refusal(ask: Callable[[], object]) -> str:
    with pytest.raises(ClusterUnavailable) as raised:
        ask()
    return raised.value.reason


def _set(*path: str | int, to: Any) -> Callable[[Body], None]:
    def change(body: Body) -> None:
        place: Any = body
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


def _without(*path: str) -> Callable[[Body], None]:
    def change(body: Body) -> None:
        place: Any = body
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_set("timed_out", to=True), "timed_out"),
        (_set("_shards", "failed", to=1), "failed_shards"),
        (_set("_shards", "skipped", to=1), "skipped_shards"),
        (_set("_shards", "successful", to=SHARDS - 1), "partial"),
        (_set("_shards", "successful", to=SHARDS + 1), "partial"),
        (_set("_shards", to={"total": 0, "successful": 0, "skipped": 0, "failed": 0}), "partial"),
        (_set("terminated_early", to=True), "partial"),
        (_set("terminated_early", to=None), "partial"),
        (_set("hits", "hits", 0, "_index", to="another"), "wrong_index"),
        (_set("hits", "hits", 2, "_index", to=None), "wrong_index"),
        (_set("hits", "hits", 1, to="text"), "broken"),
        (_set("hits", "hits", to=None), "broken"),
        (_set("hits", to=[]), "broken"),
        (_set("_shards", "failed", to="0"), "broken"),
        (_set("_shards", "total", to=None), "broken"),
        (_set("_shards", "successful", to=True), "broken"),
        (_set("timed_out", to="false"), "broken"),
        (_without("timed_out"), "broken"),
        (_without("_shards"), "broken"),
        (_without("_shards", "skipped"), "broken"),
        (_without("_shards", "failed"), "broken"),
        (_without("hits"), "broken"),
        (_without("hits", "hits"), "broken"),
    ],
)
def test_a_real_answer_with_one_thing_changed_is_refused(
    real: Answer, index: str, change: Callable[[Body], None], reason: str
) -> None:
    body = copy.deepcopy(real.body)
    change(body)
    assert _refusal(lambda: whole_search(Answer(200, body), index)) == reason


@pytest.mark.parametrize("status", [201, 204, 206, 302, 400, 404, 429, 500, 503])
def test_a_whole_body_with_another_status_is_refused(real: Answer, index: str, status: int) -> None:
    _refusal(lambda: whole_search(Answer(status, real.body), index))


@pytest.mark.parametrize("body", [None, [], "text", 3, {}])
def test_another_body_is_refused(index: str, body: Any) -> None:
    assert _refusal(lambda: whole_search(Answer(200, body), index)) == "broken"


@pytest.mark.parametrize("said", [b"", b"{", b"\xff", b"<html>"])
def test_bytes_that_are_no_json_are_refused(index: str, said: bytes) -> None:
    assert _refusal(lambda: whole_search(answer_of(200, said, ""), index)) == "broken"


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (404, b"default backend - 404", "broken"),
        (400, b"<html>", "broken"),
        (409, b'"text"', "broken"),
        (500, b"<html>", "broken"),
        (502, b"<html>", "unreachable"),
        (503, b"", "unreachable"),
        (504, b'{"message": "upstream"}', "unreachable"),
        (503, b'{"error": {"type": "cluster_manager_not_discovered_exception"}}', "not_ready"),
    ],
)
def test_what_something_in_front_says_is_no_word_of_the_cluster(status: int, said: bytes, reason: str) -> None:
    assert _refusal(lambda: answer_of(status, said, "")) == reason


@pytest.mark.parametrize(("status", "said"), [(404, b'{"found": false}'), (413, b"<html>"), (429, b""), (404, b"")])
def test_what_a_node_says_without_an_error_is_an_answer(status: int, said: bytes) -> None:
    assert answer_of(status, said, "").status == status


def test_no_hits_are_an_answer_too(cluster: Cluster, index: str) -> None:
    assert cluster.search(index, {"query": {"term": {"number": 99}}})["hits"]["hits"] == []


# What a real node says


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("timeout=1ms", 200),
        ("timeout=1ms&allow_partial_search_results=false", 500),
        ("cancel_after_time_interval=1ms", 500),
    ],
)
def test_a_question_out_of_time(client: httpx2.Client, long_index: str, query: str, status: int) -> None:
    """The node keeps the limits that the client gives it, and says so in three ways."""
    busy = "long s = 0; for (long i = 0; i < 900000; i++) { s += i % 7 } return s > 0"
    said = client.post(f"/{long_index}/_search?{query}", json={"query": {"script": {"script": busy}}})
    assert said.status_code == status
    assert _refusal(lambda: whole_search(Answer(said.status_code, said.json()), long_index)) == "timed_out"


def test_a_question_that_ended_early(cluster: Cluster, index: str) -> None:
    assert _refusal(lambda: cluster.search(index, {"terminate_after": 1})) == "partial"


def test_an_index_that_is_not_there(cluster: Cluster, index: str) -> None:
    assert _refusal(lambda: cluster.search(f"{index}-none", {})) == "not_found"


def test_an_index_of_another_name(cluster: Cluster, client: httpx2.Client, index: str) -> None:
    alias = f"{index}-alias"
    client.put(f"/{index}/_alias/{alias}")
    assert _refusal(lambda: cluster.search(alias, {})) == "wrong_index"
    assert _refusal(lambda: cluster.search(f"{index}*", {})) == "wrong_index"


def test_a_question_that_is_none(cluster: Cluster, index: str) -> None:
    assert _refusal(lambda: cluster.search(index, {"query": {"nothing": {}}})) == "refused_request"


def test_a_question_that_fails_on_a_shard(cluster: Cluster, index: str) -> None:
    """An error inside a script of one document: the others are not shown without it."""
    script = "if (doc['number'].value == 7) { throw new IllegalArgumentException('9000000009') } return true"
    body = {"query": {"script": {"script": script}}, "size": 30}
    with pytest.raises(ClusterUnavailable) as raised:
        cluster.search(index, body)
    assert raised.value.reason in ("refused_request", "failed_shards")
    assert "9000000009" not in str(raised.value)


@pytest.fixture
def spare(client: httpx2.Client, opensearch_prefix: str) -> str:
    """An index that a test may spoil."""
    name = f"{opensearch_prefix}spare"
    client.put(f"/{name}", json={"settings": {"number_of_shards": 1, "number_of_replicas": 0}})
    client.put(f"/{name}/_doc/1?refresh=true", json={"number": 1})
    return name


def test_a_closed_index(cluster: Cluster, client: httpx2.Client, spare: str) -> None:
    client.post(f"/{spare}/_close")
    assert _refusal(lambda: cluster.search(spare, {})) == "not_found"
    client.post(f"/{spare}/_open")
    assert cluster.search(spare, {})["hits"]["hits"]


def test_an_index_whose_reading_is_blocked(cluster: Cluster, client: httpx2.Client, spare: str) -> None:
    client.put(f"/{spare}/_settings", json={"index.blocks.read": True})
    assert _refusal(lambda: cluster.search(spare, {})) == "blocked"


def test_a_write_that_is_blocked_is_an_answer(cluster: Cluster, client: httpx2.Client, spare: str) -> None:
    """Whoever fills an index must see it; an account that is refused looks otherwise."""
    client.put(f"/{spare}/_settings", json={"index.blocks.write": True})
    answer = cluster.call("PUT", f"/{spare}/_doc/2", {"number": 2})
    assert (answer.status, reason_of(answer)) == (403, "blocked")


def test_an_index_without_its_shard(cluster: Cluster, client: httpx2.Client, opensearch_prefix: str) -> None:
    """Red: no node may hold the shard."""
    name = f"{opensearch_prefix}red"
    nowhere = {"number_of_replicas": 0, "routing.allocation.require._name": "no-such-node"}
    client.put(f"/{name}?timeout=1s&wait_for_active_shards=0", json={"settings": {"index": nowhere}})
    assert client.get(f"/_cluster/health/{name}").json()["status"] == "red"
    assert _refusal(lambda: cluster.search(name, {})) == "failed_shards"
