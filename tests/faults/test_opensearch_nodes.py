"""Faults of a real cluster of three nodes, one copy of each shard: nothing wrong is answered, and it goes on.

Belongs here: nodes that are killed or hang, disks that fill, blocks, lines that fail, under searches and
under loads. Does not belong here: faults of single requests (``tests/integration/test_cluster_client.py``).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from assets.published.status import opened
from sandbox.opensearch.cluster import LocalCluster
from sandbox.opensearch.node import Node
from schemas.errors import ClusterUnavailable, GenerationError, PassingFault
from schemas.generation import CurrentGeneration
from search_api.cluster.answers import TIMED_OUT
from search_api.cluster.condition import FRESH_S
from search_api.generation_files import read_current
from search_api.index.opensearch_reader import OpenSearchReader
from search_api.settings import Settings
from tests.lib import cast
from tests.lib.api import SIGNER, Api, build_home
from tests.lib.clustered import RIGHT, WRONG, Crowd, SearchLoad, settings_for
from tests.lib.engines import NAMES, EngineKind
from tests.lib.proxy import FINE, SILENT, Faults, Proxy
from tests.lib.validated import NUMBERS, Home, patient

pytestmark = pytest.mark.slow

PEOPLE = 3_000
QUESTIONS = 60
# The promise of the issue: so long after a node is lost no search fails any more.
PROMISED_S = 5.0
WATCHED_S = 8.0
PREFIX = "faults-"
With = Callable[..., Crowd]
READ_ONLY = "cluster.blocks.read_only"
FLOODED = "index.blocks.read_only_allow_delete"
# How often the cluster looks at its disks, the least that it allows, and does something about them.
SOON = {"cluster.info.update.interval": "10s", "cluster.routing.allocation.disk.reroute_interval": "1s"}


@pytest.fixture(scope="module")
def crowd(three_nodes: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    made = Crowd.of(settings_for(three_nodes.addresses, tmp_path_factory.mktemp("home"), PREFIX), PEOPLE)
    yield made
    made.cluster.close()


@pytest.fixture(scope="module")
def served(crowd: Crowd) -> OpenSearchReader:
    """The published index, which every test searches and none may change."""
    return crowd.index("served")


@pytest.fixture
def crowd_with(crowd: Crowd) -> Iterator[With]:
    """The same people, with other settings."""
    given = crowd.settings.model_dump(exclude_unset=True)
    with ExitStack() as stack:

        def made(**more: Any) -> Crowd:
            other = Crowd(Settings(**{**given, **more}), crowd.frame)
            stack.callback(other.cluster.close)
            return other

        yield made


@pytest.fixture
def nodes(three_nodes: LocalCluster, served: OpenSearchReader) -> Iterator[LocalCluster]:
    """Three nodes with every copy in place, before and after."""
    _mended(three_nodes)
    yield three_nodes
    _mended(three_nodes)


def _mended(cluster: LocalCluster) -> None:
    cluster.start()
    node = cluster.nodes[0]
    # A cluster that is read-only takes this change and no other.
    _put(node, "/_cluster/settings", {"transient": {READ_ONLY: None}})
    nothing = {"cluster.routing.allocation.disk.watermark.*": None}
    _put(node, "/_cluster/settings", {"transient": {**nothing, **SOON}, "persistent": nothing})
    _wait(lambda: not _blocks(node))
    try:
        _wait(lambda: _whole(node), 240.0)
    except AssertionError as error:
        raise AssertionError(_why_not_whole(node)) from error


def _why_not_whole(node: Node) -> str:
    """Every shard, what is being copied and why a copy is not placed, in the cluster's own words."""
    looks = ("/_cat/shards?v", "/_cat/recovery?v&active_only", "/_cat/allocation?v", "/_cluster/allocation/explain")
    answers = [httpx2.get(f"{node.address}{path}", timeout=30, trust_env=False).text for path in looks]
    return "\n".join(["The served index is not whole.", *answers])


def _whole(node: Node) -> bool:
    """Whether every copy of the served index is in place; copies that the cluster has given up on are tried again."""
    health = f"{node.address}/_cluster/health/{PREFIX}patients-served?wait_for_status=green&timeout=20s"
    if httpx2.get(health, timeout=30, trust_env=False).is_success:
        return True
    # Five failed attempts on a crowded machine, and the cluster leaves a copy until it is told.
    httpx2.post(f"{node.address}/_cluster/reroute?retry_failed=true", timeout=30, trust_env=False)
    return False


def _blocks(node: Node, index: str = f"{PREFIX}*") -> set[str]:
    """What the cluster itself has blocked: indexes, and the making of new ones. It lifts both by itself as well."""
    indexes = f"/{index}/_settings/{FLOODED}?expand_wildcards=all"
    looks = {
        "/_cluster/settings?flat_settings=true": '"cluster.blocks.create_index":"true"',
        indexes: "read_only_allow",
    }
    answers = {path: httpx2.get(f"{node.address}{path}", timeout=30, trust_env=False).text for path in looks}
    return {sign for path, sign in looks.items() if sign in answers[path]}


def _wait(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _put(node: Node, path: str, body: object) -> None:
    answer = httpx2.put(f"{node.address}{path}", json=body, timeout=30, trust_env=False)
    assert answer.is_success, answer.text


def _holder(cluster: LocalCluster, index: str, kind: str = "p") -> Node:
    """A node that holds a shard of the index and is not cluster manager, if there is one."""
    names = {shard["node"] for shard in _shards(cluster, index) if shard["prirep"] == kind}
    holders = [node for node in cluster.nodes if node.name in names]
    manager = cluster.manager()
    return next((node for node in holders if node is not manager), holders[0])


LOST: dict[str, Callable[[LocalCluster], Node]] = {
    "a node with shards": lambda cluster: _holder(cluster, f"{PREFIX}patients-served"),
    "the cluster manager": LocalCluster.manager,
}


@pytest.mark.parametrize("lost", LOST)
def test_a_node_is_killed_under_search_load(
    nodes: LocalCluster, crowd: Crowd, served: OpenSearchReader, lost: str
) -> None:
    victim = LOST[lost](nodes)
    with SearchLoad(crowd.asking(served, QUESTIONS)) as load:
        load.run(1.0)
        killed = time.monotonic()
        victim.kill()
        load.run(WATCHED_S)
        ended = time.monotonic()
    assert not load.errors
    assert load.found > QUESTIONS / 2
    assert load.count(WRONG) == 0
    assert load.count(RIGHT, since=killed) > 0
    assert load.longest_without_success(killed, ended) <= PROMISED_S
    # A machine that is busy with other things may let a search run out of its time; nothing else may refuse it.
    assert set(load.refusals(killed + PROMISED_S)) <= {TIMED_OUT}


def test_the_cluster_manager_hangs_under_search_load(
    nodes: LocalCluster, crowd: Crowd, served: OpenSearchReader
) -> None:
    """Its connections stay open: each search that waits for it must end within its time."""
    with SearchLoad(crowd.asking(served, QUESTIONS)) as load:
        load.run(1.0)
        hung = time.monotonic()
        nodes.manager().pause()
        load.run(WATCHED_S)
        ended = time.monotonic()
    assert not load.errors
    assert load.count(WRONG) == 0
    assert load.longest_without_success(hung, ended) <= PROMISED_S
    assert set(load.refusals(hung)) <= {TIMED_OUT}


def test_a_node_is_killed_under_a_load(
    nodes: LocalCluster, crowd: Crowd, crowd_with: With, served: OpenSearchReader
) -> None:
    """The load fails and says so, nothing half done can be opened, and the next one goes on to the same end."""
    impatient = crowd_with(opensearch_bulk_bytes=60_000, opensearch_bulk_patience=1.0)
    name = impatient.place("loaded").location
    half = PEOPLE // 2
    with SearchLoad(crowd.asking(served, QUESTIONS), threads=1) as load:
        with pytest.raises(ClusterUnavailable, match=f"took no document into {name}-loading"):
            _load(impatient, "loaded", half, lambda: _holder(nodes, name).kill())
        load.run(1.0)
    assert load.count(WRONG) == 0
    assert load.count(RIGHT) > 0
    nodes.start()
    with pytest.raises(GenerationError, match="never finished"):
        crowd.engine.open(crowd.place("loaded"))
    filled = crowd.index("loaded")
    assert (filled.count(), filled.checksum()) == (PEOPLE, served.checksum())


def test_a_load_whose_only_copy_is_lost_begins_anew(
    nodes: LocalCluster, crowd: Crowd, crowd_with: With, served: OpenSearchReader
) -> None:
    """The node does not come back: waiting for it would never end, and nothing is published from what it held."""
    impatient = crowd_with(opensearch_bulk_bytes=60_000, opensearch_bulk_patience=3.0, opensearch_shards=1)
    name = impatient.place("lost").location
    with pytest.raises(ClusterUnavailable, match="took no document"):
        _load(impatient, "lost", PEOPLE // 2, lambda: _holder(nodes, name).kill())
    _wait(lambda: _shards(nodes, name)[0]["state"] == "UNASSIGNED")
    filled = impatient.index("lost")
    assert (filled.count(), filled.checksum()) == (PEOPLE, served.checksum())


def test_a_shard_that_is_moved_amid_a_load_stops_it(
    nodes: LocalCluster, crowd: Crowd, crowd_with: With, served: OpenSearchReader
) -> None:
    """The move never ends (there is no recovery source), so the cluster must not do it for balance by itself."""
    impatient = crowd_with(opensearch_bulk_bytes=60_000, opensearch_bulk_patience=1.0)
    name = impatient.place("moved").location
    moved: dict[str, Any] = {"index": name, "shard": 0}

    def move() -> None:
        (shard,) = (each for each in _shards(nodes, name) if each["shard"] == "0")
        moved["from_node"] = shard["node"]
        moved["to_node"] = next(node.name for node in nodes.nodes if node.name != shard["node"])
        _reroute(nodes, {"move": moved})
        _wait(lambda: "translog" in _moves(nodes, name))

    with pytest.raises(PassingFault, match="could not be closed to writing"):
        _load(impatient, "moved", PEOPLE // 2, move)
    _reroute(nodes, {"cancel": {"index": name, "shard": 0, "node": moved["to_node"], "allow_primary": False}})
    filled = crowd.index("moved")
    assert (filled.count(), filled.checksum()) == (PEOPLE, served.checksum())


def _shards(cluster: LocalCluster, index: str) -> list[dict[str, str]]:
    alive = next(node for node in cluster.nodes if node.answers())
    return list(httpx2.get(f"{alive.address}/_cat/shards/{index}?format=json", trust_env=False).json())


def _moves(cluster: LocalCluster, index: str) -> str:
    return httpx2.get(f"{cluster.nodes[0].address}/_cat/recovery/{index}?active_only", trust_env=False).text


def _reroute(cluster: LocalCluster, command: object) -> None:
    path = f"{cluster.nodes[0].address}/_cluster/reroute"
    answer = httpx2.post(path, json={"commands": [command]}, timeout=30, trust_env=False)
    assert answer.is_success, answer.text


def _load(crowd: Crowd, build: str, at: int, fault: Callable[[], None]) -> None:
    """Fill an index; before the document at a place something happens."""
    writer = crowd.writer(build)
    writer.add(crowd.documents(0, at))
    fault()
    writer.add(crowd.documents(at))
    writer.commit()


def test_the_disk_fills_to_the_flood_watermark(
    nodes: LocalCluster, crowd: Crowd, crowd_with: With, served: OpenSearchReader, tmp_path: Path
) -> None:
    """More free space is wanted than this disk has, so the cluster blocks what it holds and makes nothing new."""
    impatient = crowd_with(opensearch_bulk_bytes=60_000, opensearch_bulk_patience=1.0)
    home = _published(nodes, tmp_path)
    with SearchLoad(crowd.asking(served, QUESTIONS), threads=1) as load:
        with pytest.raises(ClusterUnavailable, match=r"for 1 seconds \(blocked\)"):
            _load(impatient, "flooded", PEOPLE // 2, lambda: _flood(nodes, impatient.place("flooded").location))
        _fails_and_leaves_alone(home, "blocks the index")
        _mended(nodes)
        home.build()
    assert load.count(WRONG) == 0
    assert load.count(RIGHT) > 0
    assert not load.errors
    filled = crowd.index("flooded")
    assert (filled.count(), filled.checksum()) == (PEOPLE, served.checksum())
    assert _marker(home).generation.startswith("000002-")


def _flood(cluster: LocalCluster, index: str) -> None:
    """Want more than every disk has, and wait until the cluster has looked."""
    mark = "cluster.routing.allocation.disk.watermark"
    wanted = {f"{mark}.low": "900tb", f"{mark}.high": "800tb", f"{mark}.flood_stage": "700tb"}
    _put(cluster.nodes[0], "/_cluster/settings", {"transient": wanted})
    _wait(lambda: len(_blocks(cluster.nodes[0], index)) == 2)


def test_writing_is_blocked(nodes: LocalCluster, tmp_path: Path) -> None:
    home = _published(nodes, tmp_path)
    _put(nodes.nodes[0], "/_cluster/settings", {"transient": {READ_ONLY: True}})
    _fails_and_leaves_alone(home, "blocks the index")
    _mended(nodes)
    home.build()
    assert _marker(home).generation.startswith("000002-")


def _published(cluster: LocalCluster, folder: Path) -> Home:
    """A home with a published generation in the cluster, and more to be published."""
    prefix = f"{PREFIX}{secrets.token_hex(3)}-"
    settings = settings_for(cluster.addresses, folder, prefix, records="opensearch", opensearch_bulk_patience=1.0)
    home = Home(folder, settings.model_dump(exclude_unset=True, exclude={"home"}))
    home.extract("pds_patient", [patient(number) for number in NUMBERS[:20]], kind="full")
    home.build()
    home.extract("pds_patient", [patient(NUMBERS[0], 2, action="update")])
    return home


def _marker(home: Home) -> CurrentGeneration:
    marker = read_current(home.stores.generations)
    assert marker is not None
    return marker


def _fails_and_leaves_alone(home: Home, says: str) -> None:
    before = _marker(home)
    with pytest.raises(ClusterUnavailable, match=says):
        home.build()
    assert _marker(home) == before
    with opened(home.stores, home.engine) as generation:
        assert generation.index.count() == 20
        assert generation.replica.patient(int(NUMBERS[0])) is not None


BAD_LINES = {
    "half-open": Faults(silent=True),
    "late": Faults(latency_s=60.0),
    "reset amid an answer": Faults(reset_after=100),
    "refused": Faults(refuse=True),
}


@pytest.mark.parametrize("faults", BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_to_one_node_sends_the_search_to_another(
    nodes: LocalCluster, crowd: Crowd, crowd_with: With, served: OpenSearchReader, faults: Faults
) -> None:
    with ExitStack() as stack:
        lines = [stack.enter_context(Proxy(address)) for address in nodes.addresses]
        behind = crowd_with(index=",".join(line.address for line in lines), search_deadline_ms=3_000)
        asking = behind.asking(behind.engine.open(crowd.place("served")), 12)
        load = SearchLoad(asking, threads=2)
        lines[1].faults = faults
        lines[1].drop()
        with load:
            load.run(3.0)
    assert not load.errors
    assert load.count(WRONG) == 0
    assert load.count(RIGHT) > 0
    assert not load.refusals(0.0)


def test_a_cluster_out_of_reach_is_said_and_nothing_is_answered(nodes: LocalCluster, tmp_path: Path) -> None:
    with ExitStack() as stack:
        lines = [stack.enter_context(Proxy(address)) for address in nodes.addresses]
        kind = EngineKind(NAMES[1], ",".join(line.address for line in lines))
        stack.callback(kind.clear)
        home = build_home(tmp_path, kind, pds_patient=cast.patients())
        api = stack.enter_context(Api(tmp_path, home, search_deadline_ms=800))
        ready = api.send("GET", "/readyz", headers={})
        assert (ready.status_code, ready.json()["cluster"]) == (200, True), ready.text
        for line in lines:
            line.faults = SILENT
        _out_of_reach(api)
        for line in lines:
            line.faults = FINE
        _wait(lambda: api.send("GET", "/readyz", headers={}).status_code == 200)
        assert api.get(f"/Patient/{cast.JANE}").status_code == 200


def test_what_is_served_is_answered_without_a_cluster_manager(nodes: LocalCluster, tmp_path: Path) -> None:
    """Two of three nodes are gone, and the last has a copy of all: an API node that said "not ready" would be the outage."""
    alone, *others = nodes.nodes
    with ExitStack() as stack:
        kind = EngineKind(NAMES[1], ",".join(nodes.addresses))
        stack.callback(kind.clear)
        home = build_home(tmp_path, kind, pds_patient=cast.patients())
        _copy_to_all(alone, home.opensearch_prefix)
        api = stack.enter_context(Api(tmp_path, home))
        # Before the API ends: it gives its lease back, and without a cluster manager that waits for its whole deadline.
        stack.callback(nodes.start)
        assert _cluster_seen_by(api)["clusterManager"] is True
        for node in others:
            node.kill()
        _wait(lambda: _cluster_seen_by(api)["clusterManager"] is False)
        _wait(lambda: api.get(f"/Patient/{cast.JANE}").status_code == 200)
        assert api.search(family="Smith", gender="female", birthdate="eq2010-10-22").json()["total"] == 1
        assert (ready := api.send("GET", "/readyz", headers={})).status_code == 200, ready.text


def _copy_to_all(node: Node, prefix: str) -> None:
    _put(node, f"/{prefix}*/_settings", {"index.number_of_replicas": 2})
    health = f"{node.address}/_cluster/health/{prefix}*?wait_for_status=green&timeout=60s"
    assert httpx2.get(health, timeout=70, trust_env=False).json()["status"] == "green"


def _cluster_seen_by(api: Api) -> dict[str, Any]:
    parts = api.send("GET", "/healthz", SIGNER.ops()).json()["parts"]
    return next(part for part in parts if part["part"] == "cluster")


def _out_of_reach(api: Api) -> None:
    began = time.monotonic()
    for answer in (api.get(f"/Patient/{cast.JANE}"), api.search(family="Smith", birthdate="eq2010-10-22")):
        assert (answer.status_code, answer.json()["resourceType"]) == (503, "OperationOutcome")
        assert int(answer.headers["retry-after"]) > 0
    assert time.monotonic() - began < 10
    time.sleep(FRESH_S)
    ready = api.send("GET", "/readyz", headers={})
    assert (ready.status_code, ready.json()["cluster"]) == (503, False)
    index = api.send("GET", "/api/freshness", SIGNER.ops()).json()["index"]
    assert (index["engine"], index["state"], bool(index["since"])) == ("opensearch", "unreachable", True)
