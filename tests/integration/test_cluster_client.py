"""The cluster client against a real node: budgets, the pool, second attempts, writes, threads, processes."""

from __future__ import annotations

import logging
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from schemas.errors import ClusterUnavailable
from search_api import deadline
from search_api.cluster.client import Cluster
from search_api.cluster.nodes import SHARED_UP_TO_S
from search_api.settings import Settings
from tests.lib.front import DROP, DROP_ANSWER, PASS, Asked, Front, Treatment, say, slow

QUERY = {"size": 3, "query": {"term": {"word": "a"}}, "sort": ["number"], "docvalue_fields": ["number"]}
# Long enough for a slow machine, short enough to tell from a wait that never ends.
FOR_EVER = 30.0


@pytest.fixture(scope="module")
def index(opensearch_url: str, opensearch_module_prefix: str) -> str:
    """Ten documents in an index of one shard."""
    name = f"{opensearch_module_prefix}words"
    properties = {"word": {"type": "keyword"}, "number": {"type": "long"}}
    settings = {"number_of_shards": 1, "number_of_replicas": 0}
    with httpx2.Client(base_url=opensearch_url, timeout=FOR_EVER, trust_env=False) as client:
        made = client.put(f"/{name}", json={"settings": settings, "mappings": {"properties": properties}})
        assert made.is_success, made.text
        for number in range(10):
            client.put(f"/{name}/_doc/{number}", json={"word": ["a", f"b{number}"], "number": number})
        client.post(f"/{name}/_refresh")
    return name


@pytest.fixture
def fronts(opensearch_url: str) -> Iterator[Callable[[int], list[Front]]]:
    """So many fronts before the one node: to the client they are nodes."""
    with ExitStack() as opened:
        yield lambda count: [opened.enter_context(Front(opensearch_url)) for _ in range(count)]


@pytest.fixture
def open_cluster() -> Iterator[Callable[..., Cluster]]:
    """A client that is closed after the test."""
    with ExitStack() as opened:

        def opener(addresses: str | list[Front], **settings: Any) -> Cluster:
            given = addresses if isinstance(addresses, str) else ",".join(front.address for front in addresses)
            cluster = Cluster(Settings(index=given, **settings))
            opened.callback(cluster.close)
            return cluster

        yield opener


# A node that is cut off from the others, asked for an index made since.
UNKNOWN = say(404, {"error": {"type": "index_not_found_exception", "index": "words"}, "status": 404})
Opener = Callable[..., Cluster]
Fronts = Callable[[int], list[Front]]


def _searches(treatment: Treatment) -> Callable[[Asked], Treatment]:
    """A rule for searches alone: looking whether the node is back still works."""
    return lambda asked: treatment if "_search" in asked.target else PASS


def _asked(front: Front, part: str = "_search") -> list[Asked]:
    return [asked for asked in front.asked if part in asked.target]


def _numbers(found: dict[str, Any]) -> list[int]:
    return [hit["fields"]["number"][0] for hit in found["hits"]["hits"]]


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _reason(ask: Callable[[], object]) -> str:
    with pytest.raises(ClusterUnavailable) as raised:
        ask()
    return raised.value.reason


# What is asked and answered


def test_a_search_says_what_it_wants_and_how_long_it_waits(fronts: Fronts, open_cluster: Opener, index: str) -> None:
    (front,) = fronts(1)
    found = open_cluster([front]).search(index, QUERY, params={"typed_keys": "true"}, budget=0.7)
    assert _numbers(found) == [0, 1, 2]
    path, _, query = front.asked[0].target.partition("?")
    given = dict(pair.split("=") for pair in query.split("&"))
    assert path == f"/{index}/_search"
    assert given["typed_keys"] == "true"
    assert given["allow_partial_search_results"] == "false"
    assert given["request_cache"] == "false"
    assert int(given["pre_filter_shard_size"]) > 1000
    for name in ("timeout", "cancel_after_time_interval"):
        assert 0 < int(given[name].removesuffix("ms")) < 700


def test_answers_of_the_clients_own_making_are_answers(open_cluster: Opener, opensearch_url: str, index: str) -> None:
    cluster = open_cluster(opensearch_url)
    assert cluster.call("GET", f"/{index}/_doc/3").body["_source"]["number"] == 3
    assert cluster.call("GET", f"/{index}/_doc/none").status == 404
    assert cluster.call("PUT", f"/{index}/_create/3", {"word": "x", "number": 3}).status == 409
    assert cluster.call("POST", f"/{index}/_nothing", {}).status in (400, 405)
    assert (cluster.call("HEAD", f"/{index}").status, cluster.call("HEAD", f"/{index}x").status) == (200, 404)
    many = b"".join(b'{"index":{"_id":"%d"}}\n{"word":["c"],"number":%d}\n' % (n, n) for n in range(20, 25))
    assert cluster.repeat("POST", f"/{index}/_bulk", many, params={"refresh": "true"}).body["errors"] is False
    assert cluster.call("POST", f"/{index}/_count", {"query": {"term": {"word": "c"}}}).body["count"] == 5


# Budgets


def test_the_server_is_stopped_by_the_budget(open_cluster: Opener, opensearch_url: str, index: str) -> None:
    """A question that takes for ever ends on the server too, and says that the time was up."""
    busy = "long s = 0; for (long i = 0; i < 900000; i++) { s += i % 7 } return s > 0"
    body = {"query": {"script": {"script": busy}}, "track_total_hits": False}
    cluster = open_cluster(opensearch_url)
    assert _reason(lambda: cluster.search(index, body, budget=0.005)) == "timed_out"


@pytest.mark.parametrize("budget", [0.2, 0.5])
def test_a_budget_is_kept_whatever_happens(fronts: Fronts, open_cluster: Opener, index: str, budget: float) -> None:
    front, other = fronts(2)
    front.rule = other.rule = lambda _asked: slow(FOR_EVER)
    cluster = open_cluster([front, other])
    begun = time.monotonic()
    assert _reason(lambda: cluster.search(index, QUERY, budget=budget)) == "timed_out"
    assert time.monotonic() - begun < FOR_EVER / 3
    assert len(_asked(front)) == len(_asked(other)) == 1


def test_waits_of_one_request_share_its_deadline(fronts: Fronts, open_cluster: Opener, index: str) -> None:
    (front,) = fronts(1)
    cluster = open_cluster([front])
    with deadline.within(0.3):
        cluster.search(index, QUERY)
        time.sleep(0.3)
        assert _reason(lambda: cluster.search(index, QUERY)) == "timed_out"
    assert len(front.asked) == 1
    cluster.search(index, QUERY)


# The pool


def test_the_pool_is_bounded_and_used_again(fronts: Fronts, open_cluster: Opener, index: str) -> None:
    (front,) = fronts(1)
    front.rule = lambda _asked: slow(0.02)
    cluster = open_cluster([front], opensearch_pool=3)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: cluster.search(index, QUERY, budget=FOR_EVER), range(60)))
    assert front.most == 3
    assert front.connections == 3
    cluster.close()
    _wait_until(lambda: front.connections == 0)


def test_waiting_for_a_connection_is_within_the_budget(fronts: Fronts, open_cluster: Opener, index: str) -> None:
    (front,) = fronts(1)
    front.rule = lambda asked: slow(1.5) if "first" in asked.target else PASS
    cluster = open_cluster([front], opensearch_pool=1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cluster.call, "GET", "/_cluster/health", params={"filter_path": "first"}, budget=FOR_EVER)
        _wait_until(lambda: bool(front.asked))
        assert _reason(lambda: cluster.search(index, QUERY, budget=0.1)) == "too_busy"
        assert first.result().status == 200
    assert len(front.asked) == 1


def test_connections_do_not_pile_up(fronts: Fronts, open_cluster: Opener, index: str) -> None:
    """Answers, faults of the server, dropped connections, answers too late: none leaves one behind."""
    front, other = fronts(2)
    turns = iter([PASS, say(503, {}), DROP, PASS, say(429, {}), DROP_ANSWER, slow(0.4)] * 40)
    front.rule = other.rule = lambda _asked: next(turns, PASS)
    cluster = open_cluster([front, other], opensearch_pool=4)

    def ask(_number: int) -> None:
        try:
            cluster.search(index, QUERY, budget=0.3)
        except ClusterUnavailable:
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(120)))
    _wait_until(lambda: front.connections <= 4 and other.connections <= 4)
    cluster.close()
    _wait_until(lambda: front.connections + other.connections == 0)


# Second attempts


@pytest.mark.parametrize(
    "fault",
    [DROP, DROP_ANSWER, say(502, {}), say(503, {}), say(504, {}), say(429, {}), slow(FOR_EVER), UNKNOWN],
    ids=["dropped", "answer dropped", "502", "503", "504", "429", "slow", "an index it does not know yet"],
)
def test_a_search_is_asked_once_more_on_another_node(
    fronts: Fronts, open_cluster: Opener, index: str, fault: Treatment
) -> None:
    ill, well = fronts(2)
    ill.rule = _searches(fault)
    cluster = open_cluster([ill, well])
    for _ in range(4):
        assert _numbers(cluster.search(index, QUERY, budget=2.0)) == [0, 1, 2]
    assert _asked(ill)
    assert len(_asked(well)) == 4


def test_a_long_budget_is_for_work_to_be_done_once(fronts: Fronts, open_cluster: Opener, index: str) -> None:
    nodes = fronts(2)
    for node in nodes:
        node.rule = lambda _asked: slow(0.3)
    cluster = open_cluster(nodes, opensearch_connect_timeout=0.1)
    waits = {"wait_for_nodes": ">99", "timeout": "3s"}
    answer = cluster.call("GET", "/_cluster/health", params=waits, budget=SHARED_UP_TO_S + 0.5)
    assert (answer.status, answer.body["timed_out"]) == (408, True)
    assert sum(len(node.asked) for node in nodes) == 1


def test_both_attempts_count_and_there_is_no_third(fronts: Fronts, open_cluster: Opener, index: str) -> None:
    nodes = fronts(3)
    for node in nodes:
        node.rule = _searches(say(429, {"error": {"type": "rejected_execution_exception"}}))
    cluster = open_cluster(nodes)
    assert _reason(lambda: cluster.search(index, QUERY)) == "too_busy"
    assert sorted(len(_asked(node)) for node in nodes) == [0, 1, 1]


def test_a_dead_node_is_left_alone_until_it_is_back(fronts: Fronts, open_cluster: Opener, index: str) -> None:
    ill, well = fronts(2)
    ill.rule = lambda _asked: DROP
    cluster = open_cluster([ill, well])
    for _ in range(20):
        cluster.search(index, QUERY, budget=2.0)
    assert len(_asked(ill)) == 1
    assert len(_asked(well)) == 20
    ill.rule = lambda _asked: PASS
    _wait_until(lambda: any(asked.target == "/" for asked in ill.asked))
    _wait_until(lambda: bool(cluster.search(index, QUERY)) and len(_asked(ill)) > 1)


def test_nobody_waits_for_a_node_that_is_not_there(fronts: Fronts, open_cluster: Opener, index: str) -> None:
    (well,) = fronts(1)
    cluster = open_cluster(f"http://127.0.0.1:{_free_port()},{well.address}")
    for _ in range(10):
        assert cluster.search(index, QUERY)["hits"]["hits"]
    assert cluster.call("PUT", f"/{index}/_doc/99", {"word": "z", "number": 99}).status == 201
    assert len(well.asked) == 11


def test_nodes_take_turns(fronts: Fronts, open_cluster: Opener, index: str) -> None:
    nodes = fronts(3)
    cluster = open_cluster(nodes)
    for _ in range(30):
        cluster.search(index, QUERY)
    assert [len(node.asked) for node in nodes] == [10, 10, 10]


def test_one_node_gets_a_second_attempt_after_a_lost_connection_only(
    fronts: Fronts, open_cluster: Opener, index: str
) -> None:
    (front,) = fronts(1)
    cluster = open_cluster([front])
    turns = iter([DROP, PASS])
    front.rule = lambda _asked: next(turns)
    assert cluster.search(index, QUERY)["hits"]["hits"]
    front.rule = lambda _asked: say(503, {"error": {"type": "search_phase_execution_exception"}})
    assert _reason(lambda: cluster.search(index, QUERY)) == "failed_shards"
    front.rule = lambda _asked: slow(FOR_EVER)
    assert _reason(lambda: cluster.search(index, QUERY, budget=0.2)) == "timed_out"
    assert len(front.asked) == 4


def test_connections_the_node_ended_are_not_used(fronts: Fronts, open_cluster: Opener, index: str) -> None:
    (front,) = fronts(1)
    cluster = open_cluster([front])
    for number in range(5):
        assert cluster.call("PUT", f"/{index}/_doc/{number}", {"word": ["a"], "number": number}).status == 200
        front.cut()
        _wait_until(lambda: front.connections == 0)
        time.sleep(0.05)


# Writes


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_write_is_sent_once(fronts: Fronts, open_cluster: Opener, index: str, method: str) -> None:
    nodes = fronts(2)
    cluster = open_cluster(nodes)
    for _ in nodes:
        cluster.call("GET", "/")
    for node in nodes:
        node.rule = lambda _asked: DROP_ANSWER
    body = None if method == "DELETE" else {"word": "w", "number": 101}
    path = f"/{index}/_doc" if method == "POST" else f"/{index}/_doc/w1"
    assert _reason(lambda: cluster.call(method, path, body)) == "unreachable"
    assert sum(len(_asked(node, "_doc")) for node in nodes) == 1


def test_a_write_that_may_come_twice_gets_a_second_attempt(fronts: Fronts, open_cluster: Opener, index: str) -> None:
    ill, well = fronts(2)
    ill.rule = lambda asked: DROP_ANSWER if "_bulk" in asked.target else PASS
    cluster = open_cluster([ill, well])
    lines = b'{"index":{"_id":"r"}}\n{"word":["r"],"number":107}\n'
    for _ in range(2):
        answer = cluster.repeat("POST", f"/{index}/_bulk", lines, params={"refresh": "true"})
        assert answer.body["errors"] is False
    assert cluster.call("POST", f"/{index}/_count", {"query": {"term": {"word": "r"}}}).body["count"] == 1


# Faults


def test_nobody_there(open_cluster: Opener, index: str) -> None:
    cluster = open_cluster(f"http://127.0.0.1:{_free_port()}")
    assert cluster.silent_since is None
    assert _reason(lambda: cluster.search(index, QUERY)) == "unreachable"
    assert cluster.silent_since is not None


@pytest.mark.parametrize("body", [b"<html>hello</html>", b'{"took": 1'])
def test_an_answer_that_is_not_json_is_none(fronts: Fronts, open_cluster: Opener, index: str, body: bytes) -> None:
    (front,) = fronts(1)
    front.rule = lambda _asked: say(200, body)
    cluster = open_cluster([front])
    assert _reason(lambda: cluster.call("GET", "/")) == "broken"
    assert _reason(lambda: cluster.search(index, QUERY)) == "broken"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_balancer_without_a_node_behind_it_is_no_node(
    fronts: Fronts, open_cluster: Opener, index: str, status: int
) -> None:
    (front,) = fronts(1)
    cluster = open_cluster([front])
    front.rule = lambda _asked: say(status, b"<html>")
    assert _reason(lambda: cluster.search(index, QUERY)) == "unreachable"
    assert cluster.silent_since is not None
    front.rule = lambda _asked: PASS
    cluster.search(index, QUERY)
    assert cluster.silent_since is None


def test_redirects_are_not_followed(fronts: Fronts, open_cluster: Opener) -> None:
    front, elsewhere = fronts(2)
    front.rule = lambda _asked: say(307, {}, location=f"{elsewhere.address}/")
    assert _reason(lambda: open_cluster([front]).call("GET", "/")) == "broken"
    assert not elsewhere.asked


def test_no_value_of_a_question_reaches_an_error_or_a_log(
    fronts: Fronts, open_cluster: Opener, index: str, caplog: pytest.LogCaptureFixture
) -> None:
    (front,) = fronts(1)
    cluster = open_cluster([front])
    caplog.set_level(logging.DEBUG)
    texts = []
    for rule in (PASS, say(500, {"error": {"type": "x", "reason": "9000000009"}}), DROP, slow(FOR_EVER)):
        front.rule = lambda _asked, rule=rule: rule
        with pytest.raises(ClusterUnavailable) as raised:
            cluster.search(index, {"query": {"wrong": "9000000009"}}, params={"routing": "9000000009"}, budget=0.3)
        texts += [repr(raised.value), str(raised.value), repr(raised.value.__cause__)]
        assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert "9000000009" not in "".join(texts) + caplog.text


# Threads and processes


def test_many_threads_ask_one_cluster(open_cluster: Opener, opensearch_url: str, index: str) -> None:
    others = _loops()  # of clusters that earlier tests of this process asked
    cluster = open_cluster(opensearch_url, opensearch_pool=4)

    def ask(number: int) -> list[int]:
        return _numbers(cluster.search(index, {**QUERY, "query": {"term": {"number": number % 10}}}, budget=FOR_EVER))

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(200))) == [[number % 10] for number in range(200)]
    assert len(_loops() - others) == 1


def _loops() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "ncrs-cluster"}


def test_a_request_under_way_ends_when_the_cluster_is_closed(fronts: Fronts, open_cluster: Opener, index: str) -> None:
    (front,) = fronts(1)
    front.rule = lambda asked: slow(FOR_EVER) if len(front.asked) == 1 else PASS
    cluster = open_cluster([front])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(cluster.search, index, QUERY, budget=FOR_EVER)
        _wait_until(lambda: bool(front.asked))
        cluster.close()
        cluster.close()
        assert _reason(waiting.result) == "unreachable"
    assert cluster.search(index, QUERY)["hits"]["hits"]


def test_a_pickled_cluster_opens_connections_of_its_own(open_cluster: Opener, opensearch_url: str, index: str) -> None:
    cluster = open_cluster(opensearch_url)
    cluster.search(index, QUERY)
    again = pickle.loads(pickle.dumps(cluster))
    try:
        assert _numbers(again.search(index, QUERY)) == [0, 1, 2]
    finally:
        again.close()


CHILDREN = """
import multiprocessing, sys
from search_api.cluster.shared import cluster_of
from search_api.settings import Settings

def ask(cluster, index):
    cluster = cluster or cluster_of(Settings(index=sys.argv[1], search_deadline_ms=30_000))
    for _ in range(20):
        assert cluster.call("GET", f"/{index}/_count").body["count"] >= 10

if __name__ == "__main__":
    _, address, index, kind = sys.argv
    cluster = cluster_of(Settings(index=address, search_deadline_ms=30_000))
    ask(cluster, index)
    context = multiprocessing.get_context(kind)
    children = [context.Process(target=ask, args=(given, index)) for given in (cluster, None, cluster)]
    for child in children:
        child.start()
    ask(cluster, index)
    for child in children:
        child.join(60)
    ask(cluster, index)
    print(*(child.exitcode for child in children))
"""


@pytest.mark.parametrize("kind", ["fork", "spawn"])
def test_a_cluster_is_used_in_child_processes(opensearch_url: str, index: str, kind: str, tmp_path: Any) -> None:
    script = tmp_path / "children.py"
    script.write_text(CHILDREN)
    command = [sys.executable, "-W", "ignore", str(script), opensearch_url, index, kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.split(), done.stderr) == (["0", "0", "0"], "")


def _wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + FOR_EVER
    while not true():
        assert time.monotonic() < until, "It never came to be so."
        time.sleep(0.01)
