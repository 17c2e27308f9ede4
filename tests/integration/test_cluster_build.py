"""Generations whose index and records are in a real OpenSearch: built, gone on with, kept, let go, mirrored."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from assets.published.cluster_status import cluster_status
from assets.published.elsewhere import Elsewhere
from assets.published.mirror import Mirror
from assets.published.rollback import rollback
from assets.published.status import last_failure
from assets.published.verify import catalogue_check, verify
from assets.replica.adoption import leftovers
from assets.replica.tables import CORE_TABLES
from assets.replica.workspace import Workspace
from pipelines.sensors import follow
from schemas.errors import ClusterUnavailable, GenerationError, NcrsError, Refused
from schemas.generation import GenerationManifest
from search_api import generation_files as files
from search_api.cluster.client import Cluster
from search_api.cluster.leases import ClusterLease
from search_api.cluster.shared import cluster_of
from tests.lib import forked
from tests.lib.house import ROOT
from tests.lib.validated import NUMBERS, Home, change, patient, summary

PEOPLE = 12
# Nobody listens there.
NOWHERE = "http://127.0.0.1:9"
Make = Callable[..., Home]


@pytest.fixture
def make(tmp_path: Path, opensearch_url: str, opensearch_prefix: str) -> Iterator[Make]:
    """Makes homes that build into one cluster, under the prefix of this test."""
    made: list[Home] = []

    def home(name: str = "home", **options: Any) -> Home:
        shared = {
            "index": opensearch_url,
            "records": "opensearch",
            "opensearch_prefix": opensearch_prefix,
            "opensearch_replicas": 0,
            "search_deadline_ms": 30_000,
        }
        made.append(Home(tmp_path / name, {**shared, **options}))
        return made[-1]

    yield home
    for each in made:
        cluster_of(each.settings).close()


def with_people(home: Home, people: int = PEOPLE) -> Home:
    home.extract("pds_patient", [patient(number) for number in NUMBERS[:people]], "full")
    return home


def another_day(home: Home, day: int) -> None:
    """What changes in all three feeds: a new version, a number change, a summary that is written again."""
    home.extract("pds_patient", [patient(NUMBERS[3], 1 + day), patient(NUMBERS[PEOPLE + day])])
    home.extract("pds_number_change", [change(NUMBERS[day - 1], NUMBERS[PEOPLE - day])])
    home.extract("scr_summary", [summary(NUMBERS[5], day), summary(NUMBERS[PEOPLE - day])])


def built(home: Home, build_id: str = "b", **options: bool) -> GenerationManifest:
    outcome = home.build(build_id, **options)
    assert outcome.manifest is not None, outcome.plan.reason
    assert outcome.lag == ""
    return outcome.manifest


def content(manifest: GenerationManifest) -> tuple[object, ...]:
    records = manifest.records
    tables = [table for table in manifest.tables if table.table in CORE_TABLES]
    held = (records.documents, records.checksum) if records else ()
    return (*tables, manifest.index.documents, manifest.index.checksum, *held)


def locations(*manifests: GenerationManifest) -> set[str]:
    records = {manifest.records.location for manifest in manifests if manifest.records}
    return records | {manifest.index.location for manifest in manifests}


def in_cluster(home: Home) -> set[str]:
    """Indexes of generations under the prefix, whoever made them."""
    prefix = home.settings.opensearch_prefix
    found = cluster_of(home.settings).call("GET", f"/{prefix}*/_alias", params={"expand_wildcards": "all"}, budget=60.0)
    return {name for name in found.body if name.startswith((f"{prefix}patients-", f"{prefix}records-"))}


def parts(home: Home) -> tuple[Elsewhere, Mirror]:
    made = home.builder
    assert made.cluster is not None
    assert made.mirror is not None
    return made.cluster, made.mirror


def shown(home: Home) -> str:
    """The generation that the marker in the cluster names."""
    found = parts(home)[1].catalogue.current()
    return found.generation if found else ""


def current(home: Home) -> str:
    found = files.read_current(home.stores.generations)
    return found.generation if found else ""


def whole(home: Home, name: str) -> bool:
    return verify(home.stores, home.engine, name, cluster=parts(home)[0]).passed


def test_a_full_and_three_days_of_deltas_are_equal_kept_and_gone_back_to(make: Make) -> None:
    home = with_people(make())
    days = [built(home)]
    for day in (1, 2, 3):
        another_day(home, day)
        days.append(built(home))
    assert [manifest.base for manifest in days] == [None, *(manifest.generation for manifest in days[:-1])]
    assert in_cluster(home) == locations(*days[1:]), "three are kept"
    assert parts(home)[1].catalogue.names() == [manifest.generation for manifest in days[1:]]
    assert all(whole(home, manifest.generation) for manifest in days[1:])

    assert rollback(home.builder, to="previous", reason="r").generation == shown(home) == days[2].generation
    assert rollback(home.builder, to=days[3].generation, reason="r").generation == shown(home)

    fresh = built(home, anew=True)
    assert fresh.base is None
    assert content(fresh) == content(days[3])


@pytest.mark.parametrize("before", ["the index is on record", "the records are on record"])
def test_a_build_that_was_killed_when_its_work_in_the_cluster_was_done(make: Make, before: str) -> None:
    home = with_people(make())
    first = built(home)
    another_day(home, 1)
    # State records: begun, prepared, three extracts, settled, index, records, reconciled.
    at = {"the index is on record": 7, "the records are on record": 8}[before]
    done = forked.run("tests.faults.build_killed", str(home.folder), str(at), json.dumps(home.options))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert shown(home) == current(home) == first.generation
    assert whole(home, first.generation)
    manifest = built(home)
    assert in_cluster(home) == locations(first, manifest)
    assert whole(home, manifest.generation)
    assert content(built(home, anew=True)) == content(manifest)


@pytest.mark.parametrize(
    ("touched", "left"),
    [
        pytest.param("generations/000002-", "first", id="announced, not yet renamed"),
        pytest.param("/.current.json.partial", "first", id="renamed, not yet current"),
        pytest.param("/published/000002-", "second", id="current, not yet marked in the cluster"),
        pytest.param("/.removing-000001-", "second", id="marked, the old one not yet removed"),
    ],
)
def test_a_publication_that_was_killed_leaves_the_old_or_the_new_and_is_mended(
    make: Make, touched: str, left: str
) -> None:
    home = with_people(make(retention=1))
    first = built(home)
    home.extract("pds_patient", [patient(NUMBERS[3], 2)])
    done = forked.run("tests.faults.build_killed", str(home.folder), touched, json.dumps(home.options))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (current(home) == first.generation) == (left == "first")
    assert whole(home, current(home))
    assert shown(home) in (first.generation, current(home))
    home.build()
    assert shown(home) == current(home) != first.generation
    found = files.read_manifest(home.stores.generations / current(home))
    assert in_cluster(home) == locations(found)
    assert parts(home)[1].catalogue.names() == [found.generation]
    assert whole(home, found.generation)


@pytest.mark.parametrize("content_of", ["patients", "records"])
def test_a_build_killed_while_it_sends_goes_on_at_the_document_it_stopped_at(make: Make, content_of: str) -> None:
    options = {"opensearch_bulk_bytes": 10_000}
    home = with_people(make(**options), 900)
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.build_killed", str(home.folder), "0", json.dumps(home.options)], cwd=ROOT
    )
    [progress] = _soon(lambda: _begun(home, content_of))
    child.kill()
    assert child.wait() == -signal.SIGKILL
    acknowledged = _acknowledged(progress)
    assert 0 < acknowledged < 900, "killed in the middle"
    uuid = _filling(progress)
    sent: list[int] = []
    cluster = cluster_of(home.settings)
    original, cluster.repeat = cluster.repeat, _counting(cluster, f"{content_of}-", sent)  # type: ignore[method-assign]
    manifest = built(home)
    cluster.repeat = original  # type: ignore[method-assign]
    assert manifest.records is not None
    held = {"patients": manifest.index.uuid, "records": manifest.records.uuid}
    assert held[content_of] == uuid, "the same index, not another one"
    # Besides documents: a sentinel, and for records the line of rows that are only counted.
    assert 900 - acknowledged <= sum(sent) <= 900 - acknowledged + 2
    assert (manifest.index.documents, manifest.records.documents) == (900, 900)
    assert in_cluster(home) == locations(manifest)
    assert leftovers(home.stores) == []


def _soon(look: Callable[[], list[Path]]) -> list[Path]:
    until = time.monotonic() + 120
    while not (found := look()) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def _begun(home: Home, content_of: str) -> list[Path]:
    found = home.stores.building.glob(f"*/*{content_of}-*.progress")
    return [path for path in found if _acknowledged(path) > 0]


def _lines(progress: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in progress.read_text().splitlines() if line.endswith("}")]


def _acknowledged(progress: Path) -> int:
    return max((line["documents"] for line in _lines(progress) if "documents" in line), default=0)


def _filling(progress: Path) -> str:
    return next(str(line["filling"]["uuid"]) for line in _lines(progress) if "filling" in line)


def _counting(cluster: Cluster, part: str, sent: list[int]) -> Callable[..., Any]:
    """``repeat`` that also counts the documents sent to an index in bulk."""
    repeat = cluster.repeat

    def counted(method: str, path: str, body: Any = None, **more: Any) -> Any:
        if path.endswith("/_bulk") and part in path:
            sent.append(body.count(b'{"index":'))
        return repeat(method, path, body, **more)

    return counted


def test_what_a_killed_build_left_goes_and_what_is_not_ours_stays(make: Make) -> None:
    home = with_people(make())
    first = built(home)
    home.extract("pds_patient", [patient(NUMBERS[3], 2)])
    prefix, cluster = home.settings.opensearch_prefix, cluster_of(home.settings)
    of_home = cluster.call("GET", f"/{first.index.location}/_mapping", budget=60.0).body[first.index.location]
    meta = of_home["mappings"]["_meta"]
    strangers = {
        f"{prefix}patients-000002-00000001": {**meta, "home": "of another installation"},
        f"{prefix}records-000002-00000002": {},
        f"{prefix}patients-000002-00000003": {"product": "another product", "home": meta["home"]},
    }
    left = {f"{prefix}patients-000002-00000004": meta, f"{prefix}records-000002-00000005": meta}
    for name, said in {**strangers, **left}.items():
        settings = {"number_of_shards": 1, "number_of_replicas": 0}
        cluster.call("PUT", f"/{name}", {"settings": settings, "mappings": {"_meta": said}}, budget=60.0)
    standing = cluster_status(home.settings, home.stores)
    assert standing is not None
    assert standing.left == tuple(sorted(left))
    second = built(home)
    assert in_cluster(home) == locations(first, second) | set(strangers)


def test_in_doubt_nothing_is_removed(make: Make) -> None:
    """A manifest that cannot be read may be restored: what it names must then be there."""
    home = with_people(make())
    first = built(home)
    (home.stores.generations / first.generation / "manifest.json").write_text("?")
    home.extract("pds_patient", [patient(NUMBERS[3], 2)])
    second = built(home)
    assert in_cluster(home) == locations(first, second)


def test_a_marker_left_behind_is_seen_and_made_to_follow(make: Make) -> None:
    home = with_people(make())
    first = built(home)
    before = files.read_current(home.stores.generations)
    home.extract("pds_patient", [patient(NUMBERS[3], 2)])
    second = built(home)
    _, mirror = parts(home)
    assert before is not None
    repairs: list[Callable[[], object]] = [
        home.build,
        lambda: follow(home.stores, home.settings),
        lambda: rollback(home.builder, to=first.generation, reason="r"),
    ]
    for repair, name in zip(repairs, (second, second, first), strict=True):
        # As a kill between the marker here and the marker there leaves it.
        mirror.catalogue.mark(before)
        assert f"names {first.generation}" in mirror.lag(home.stores)
        assert not catalogue_check(mirror, home.stores).passed
        repair()
        assert shown(home) == current(home) == name.generation
        assert mirror.lag(home.stores) == ""


def test_a_catalogue_that_was_lost_is_written_again(make: Make) -> None:
    home = with_people(make())
    manifest = built(home)
    _, mirror = parts(home)
    prefix = home.settings.opensearch_prefix
    cluster_of(home.settings).call("DELETE", f"/{prefix}ncrs-generations", budget=60.0)
    assert "no index" in mirror.lag(home.stores)
    assert home.build().manifest is None
    assert shown(home) == manifest.generation
    assert mirror.catalogue.manifest(manifest.generation) == manifest


def test_another_engine_or_another_place_of_records_makes_a_generation_without_an_extract(make: Make) -> None:
    home = with_people(make())
    everything = home.options
    seen = []
    for options in ({}, {**everything, "records": "duckdb"}, everything, {}):
        home = Home(home.folder, options)
        manifest = built(home)
        seen.append((manifest.index.engine, manifest.records is not None))
        assert home.build().manifest is None, "once is enough"
    assert seen == [("embedded", False), ("opensearch", False), ("opensearch", True), ("embedded", False)]


def test_an_index_that_the_cluster_lost_is_built_again(make: Make) -> None:
    home = with_people(make())
    first = built(home)
    cluster_of(home.settings).call("DELETE", f"/{first.index.location}", budget=60.0)
    assert not whole(home, first.generation)
    with pytest.raises(Refused):
        rollback(home.builder, to=first.generation, reason="r")
    second = built(home)
    assert (second.base, content(second)) == (first.generation, content(first))
    assert whole(home, second.generation)
    with pytest.raises(GenerationError, match="does not verify: index"):
        rollback(home.builder, to=first.generation, reason="r")


def test_a_generation_that_a_node_reads_from_the_cluster_is_kept(make: Make) -> None:
    home = with_people(make(retention=1))
    first = built(home)
    lease = ClusterLease(cluster_of(home.settings), home.settings, "a node", first.generation)
    home.extract("pds_patient", [patient(NUMBERS[3], 2)])
    second = built(home)
    assert in_cluster(home) == locations(first, second)
    lease.release()
    assert home.build().removed == (first.generation,)
    assert in_cluster(home) == locations(second)
    assert parts(home)[1].catalogue.names() == [second.generation]


def test_a_removal_that_was_cut_short_is_finished(make: Make) -> None:
    home = with_people(make(retention=1))
    first = built(home)
    home.extract("pds_patient", [patient(NUMBERS[3], 2)])
    folder = home.stores.generations / first.generation
    second = built(Home(home.folder, {**home.options, "retention": 2}))
    folder.rename(folder.with_name(f".removing-{folder.name}"))
    assert home.build().manifest is None
    assert in_cluster(home) == locations(second)
    assert [path.name for path in home.stores.generations.glob(".removing-*")] == []


def test_a_cluster_out_of_reach_fails_the_build_and_leaves_what_is_published(make: Make) -> None:
    home = with_people(make())
    first = built(home)
    home.extract("pds_patient", [patient(NUMBERS[3], 2)])
    away = Home(home.folder, {**home.options, "index": NOWHERE})
    with pytest.raises(ClusterUnavailable):
        away.build()
    failure = last_failure(away.builder.events)
    assert failure is not None
    assert (failure.reason, "cannot be reached" in failure.detail) == ("CLUSTER_UNAVAILABLE", True)
    standing = cluster_status(away.settings, away.stores)
    assert standing is not None
    assert "cannot be reached" in standing.problem
    assert current(home) == first.generation
    built(home)
    assert last_failure(home.builder.events) is None


def test_another_installation_may_not_have_the_same_prefix(make: Make) -> None:
    built(with_people(make()))
    other = with_people(make("another"))
    with pytest.raises(NcrsError, match="another installation"):
        other.build()
    assert not any(Workspace(path).begun for path in leftovers(other.stores))
