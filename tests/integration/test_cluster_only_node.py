"""A node that has no file of a generation: everything from the cluster, or nothing.

The builder has a home; the node has another one, which stays empty. Both meet in a real cluster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assets.published.rollback import rollback
from schemas.errors import ConfigurationError, GenerationError, PassingFault, Refused
from schemas.generation import CurrentGeneration, GenerationManifest
from search_api.cluster import catalogue as catalogues
from search_api.cluster import leases
from search_api.cluster.catalogue import Catalogue
from search_api.cluster.leases import ClusterLease, in_use, leases_index
from search_api.cluster.shared import close_all, cluster_of
from search_api.cluster.small import SmallIndex, Stored
from search_api.generations import Generations, Serving
from search_api.index.engines import index_engine
from search_api.settings import Settings
from tests.lib import cast
from tests.lib.api import Api, build_home
from tests.lib.engines import EngineKind
from tests.lib.proxy import FINE, Faults, Proxy
from tests.lib.validated import NUMBERS, Home, patient

A = int(NUMBERS[0])


@pytest.fixture(autouse=True)
def _no_connection_stays() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
def options(opensearch_url: str, opensearch_prefix: str) -> dict[str, Any]:
    return {
        "index": opensearch_url,
        "records": "opensearch",
        "opensearch_prefix": opensearch_prefix,
        "opensearch_replicas": 0,
        "search_deadline_ms": 30_000,
    }


@pytest.fixture
def home(tmp_path: Path, options: dict[str, Any]) -> Home:
    made = Home(tmp_path / "home", options)
    made.extract("pds_patient", [patient(number) for number in NUMBERS[:5]], "full")
    made.build()
    return made


@pytest.fixture
def node(tmp_path: Path, home: Home) -> Settings:
    """The settings of a node with an empty home."""
    (tmp_path / "node").mkdir()
    return home.settings.model_copy(update={"home": tmp_path / "node"})


@pytest.fixture
def _looks_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search_api.generations.POLL_SECONDS", 3600.0)


def serve(node: Settings, **changes: Any) -> Generations:
    changed = node.model_copy(update=changes)
    return Generations(changed, index_engine(changed))


def catalogue_of(home: Home) -> Catalogue:
    return Catalogue(cluster_of(home.settings), home.settings)


def next_generation(home: Home, version: int, *, anew: bool = False) -> GenerationManifest:
    home.extract("pds_patient", [patient(NUMBERS[0], version)])
    made = home.build(anew=anew).manifest
    assert made is not None
    return made


def version_of(generations: Generations) -> int:
    with generations.pin() as generation:
        record = generation.replica.patient(A)
    assert record is not None
    return record.version_id


def delete(home: Home, index: str) -> None:
    assert cluster_of(home.settings).call("DELETE", f"/{index}", budget=30).status == 200


def _cut(line: Proxy) -> None:
    line.faults = Faults(refuse=True)
    line.drop()


def _mend(line: Proxy) -> None:
    line.faults = FINE


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_the_api_answers_from_the_cluster_alone(tmp_path: Path, opensearch_kind: EngineKind) -> None:
    node = build_home(
        tmp_path / "home",
        opensearch_kind,
        pds_patient=cast.patients(),
        pds_number_change=cast.number_changes(),
        scr_summary=cast.summaries(),
    )
    with Api(tmp_path, node) as api:
        found = api.search(family="Smith", given="Jane", gender="female", birthdate="eq2010-10-22").json()
        assert [entry["resource"]["id"] for entry in found["entry"]] == [cast.JANE]
        assert api.get(f"/Patient/{cast.JANE}").json()["id"] == cast.JANE
        assert api.get(f"/Patient/{cast.UNKNOWN}").status_code == 404
        everything = api.get(f"/Patient/{cast.JANE}/$everything").json()
        kinds = {entry["resource"]["resourceType"] for entry in everything["entry"]}
        assert {"Patient", "Composition"} <= kinds
    assert not list(node.home.rglob("*.duckdb"))
    assert not node.generations_folder.exists()


def test_a_node_follows_within_two_seconds_and_pins_keep_the_old(home: Home, node: Settings) -> None:
    with serve(node) as generations:
        assert version_of(generations) == 1
        with generations.pin() as old:
            made = next_generation(home, 2)
            assert until(lambda: generations.serving.generation == made.generation, 5.0)
            assert version_of(generations) == 2
            record = old.replica.patient(A)
            assert record is not None
            assert record.version_id == 1
            assert old.index.count() == 5
        with pytest.raises(GenerationError):
            old.replica.patient(A)
        assert generations.serving == Serving(made.generation, None)


@pytest.mark.usefixtures("_looks_when_told")
@pytest.mark.parametrize("missing", ["index", "records", "manifest", "frequencies"])
def test_a_generation_that_lacks_a_part_is_refused_and_the_old_kept(home: Home, node: Settings, missing: str) -> None:
    with serve(node) as generations:
        before = generations.serving.generation
        made = next_generation(home, 2)
        assert made.records is not None
        small = SmallIndex(cluster_of(home.settings), home.settings.opensearch_prefix + catalogues.NAME)
        if missing in ("index", "records"):
            delete(home, made.index.location if missing == "index" else made.records.location)
        else:
            small.remove(f"{missing}:{made.generation}" + (":0" if missing == "frequencies" else ""))
        serving = generations.refresh()
        assert serving.generation == before
        assert serving.degraded
        assert version_of(generations) == 1
    with serve(node) as fresh:
        assert fresh.serving == Serving(before, serving.problem)


@pytest.mark.usefixtures("_looks_when_told")
def test_another_manifest_than_was_marked_is_refused(home: Home, node: Settings) -> None:
    with serve(node) as generations:
        before = generations.serving.generation
        made = next_generation(home, 2)
        changed = made.model_copy(update={"code_version": "another"})
        folder = home.stores.generations / made.generation
        frequencies = (folder / "frequencies.parquet").read_bytes()
        catalogue_of(home).announce(changed.model_dump_json().encode(), frequencies)
        assert generations.refresh().generation == before
        assert "not the one that was published" in str(generations.serving.problem)


@pytest.mark.usefixtures("_looks_when_told")
@pytest.mark.parametrize("lost", ["index", "records"])
def test_a_served_generation_that_is_lost_is_not_answered_from(home: Home, node: Settings, lost: str) -> None:
    """The earlier one takes its place, as at a start, and the fault is said; without one there is none."""
    with serve(node) as generations:
        first = generations.serving.generation
        second = next_generation(home, 2)
        assert generations.refresh() == Serving(second.generation, None)
        assert second.records is not None
        delete(home, second.index.location if lost == "index" else second.records.location)
        serving = generations.refresh()
        assert serving.generation == first
        assert "gone" in str(serving.problem)
        assert version_of(generations) == 1
        for manifest in home.stores.generations.glob("000001-*/manifest.json"):
            held = GenerationManifest.model_validate_json(manifest.read_bytes())
            delete(home, held.index.location)
        assert generations.refresh().generation is None
        with pytest.raises(GenerationError), generations.pin():
            pass
        repaired = next_generation(home, 3, anew=True)
        assert generations.refresh() == Serving(repaired.generation, None)
        assert version_of(generations) == 3


@pytest.mark.usefixtures("_looks_when_told")
def test_a_node_with_files_lets_go_of_an_index_that_is_lost_or_replaced(home: Home) -> None:
    """Records from the files of the home, the index from the cluster."""
    with serve(home.settings, records="duckdb") as generations:
        first = generations.serving.generation
        second = next_generation(home, 2)
        assert generations.refresh() == Serving(second.generation, None)
        delete(home, second.index.location)
        mapping = {"mappings": {"properties": {"nhs": {"type": "long"}}}}
        assert cluster_of(home.settings).call("PUT", f"/{second.index.location}", mapping, budget=30).status == 200
        assert generations.refresh().generation == first
        assert "another one has its name" in str(generations.serving.problem)
        assert version_of(generations) == 1


def test_a_cluster_out_of_reach_keeps_what_is_served_and_recovers(home: Home, node: Settings) -> None:
    with Proxy(home.settings.index) as line:
        away = node.model_copy(update={"index": line.address, "search_deadline_ms": 1_000})
        with Generations(away, index_engine(away)) as generations:
            served = generations.serving.generation
            assert generations.serving.problem is None
            _cut(line)
            assert until(lambda: "CLUSTER_UNAVAILABLE" in str(generations.serving.problem))
            assert generations.serving.generation == served
            with generations.pin() as generation, pytest.raises(PassingFault):
                generation.replica.patient(A)
            _mend(line)
            assert until(lambda: generations.serving == Serving(served, None))
            assert version_of(generations) == 1


def test_a_start_without_the_cluster_is_not_ready_and_comes_by_itself(home: Home, node: Settings) -> None:
    with Proxy(home.settings.index) as line:
        _cut(line)
        away = node.model_copy(update={"index": line.address, "search_deadline_ms": 1_000})
        with Generations(away, index_engine(away)) as generations:
            assert generations.serving.generation is None
            with pytest.raises(PassingFault), generations.pin():
                pass
            _mend(line)
            assert until(lambda: generations.serving.generation is not None)
            assert generations.serving.problem is None


def test_nothing_published_is_said_and_the_first_generation_is_picked_up(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    empty = Home(tmp_path / "home", options)
    node = empty.settings.model_copy(update={"home": tmp_path / "node"})
    with serve(node) as generations:
        with pytest.raises(GenerationError, match="no index"), generations.pin():
            pass
        empty.extract("pds_patient", [patient(NUMBERS[0])], "full")
        empty.build()
        assert until(lambda: generations.serving.generation is not None)
        assert version_of(generations) == 1


def test_retention_keeps_what_a_node_reads(home: Home, node: Settings) -> None:
    home.settings = home.settings.model_copy(update={"retention": 1})
    with serve(node) as generations, generations.pin() as old:
        first = old.manifest.generation
        made = next_generation(home, 2)
        assert old.replica.patient(A) is not None, "leased, so kept"
        assert until(lambda: generations.serving.generation == made.generation)
    third = next_generation(home, 3)
    assert catalogue_of(home).names() == [third.generation]
    with pytest.raises(GenerationError):
        catalogue_of(home).manifest(first)
    index = f"{node.opensearch_prefix}*-{first}"
    assert cluster_of(home.settings).call("GET", f"/{index}", budget=30).body == {}


@pytest.mark.usefixtures("_looks_when_told")
def test_a_marker_of_long_ago_takes_nothing_back(home: Home, node: Settings) -> None:
    """As a node of the cluster tells that is cut off from the others; a roll-back is a new marker."""
    catalogue = catalogue_of(home)
    old = catalogue.current()
    assert old is not None
    with serve(node) as generations:
        second = next_generation(home, 2)
        assert generations.refresh() == Serving(second.generation, None)
        new = catalogue.current()
        assert new is not None
        catalogue.mark(old)
        serving = generations.refresh()
        assert (serving.generation, "older publication" in str(serving.problem)) == (second.generation, True)
        assert version_of(generations) == 2
        catalogue.mark(new)
        assert generations.refresh() == Serving(second.generation, None)
        catalogue.mark(old.model_copy(update={"published_at": datetime.now(UTC), "reason": "rolled back"}))
        assert generations.refresh() == Serving(old.generation, None)


@pytest.mark.usefixtures("_looks_when_told")
def test_in_place_of_one_that_is_lost_comes_the_one_it_came_from(home: Home, node: Settings) -> None:
    """Not the one with the next lower number: that was rolled back from."""
    first = home.stores.generations / next(path.name for path in home.stores.generations.glob("000001-*"))
    withdrawn = next_generation(home, 2)
    rollback(home.builder, to=first.name, reason="a bad extract")
    third = next_generation(home, 3)
    assert third.previous == first.name
    with serve(node) as generations:
        assert generations.serving.generation == third.generation
        delete(home, third.index.location)
        assert generations.refresh().generation == first.name != withdrawn.generation


@pytest.mark.usefixtures("_looks_when_told")
def test_leases_that_were_lost_are_made_anew_by_the_next_build(home: Home, node: Settings) -> None:
    """A node may have written its lease again before, and the cluster made an index for it."""
    name = leases_index(cluster_of(home.settings), home.settings).name
    with serve(node) as generations:
        delete(home, name)
        ClusterLease(cluster_of(home.settings), home.settings, "a node", str(generations.serving.generation))
        assert leases_index(cluster_of(home.settings), home.settings).meta() == {}
        second = next_generation(home, 2)
        assert generations.refresh() == Serving(second.generation, None)
    meta = leases_index(cluster_of(home.settings), home.settings).meta()
    assert meta is not None
    assert meta["content"] == "leases"


def test_an_index_of_somebody_else_in_the_place_of_leases_is_left_alone(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    other = Home(tmp_path / "home", options)
    name = leases_index(cluster_of(other.settings), other.settings).name
    mapping = {"mappings": {"properties": {"theirs": {"type": "keyword"}}}}
    assert cluster_of(other.settings).call("PUT", f"/{name}", mapping, budget=30).status == 200
    other.extract("pds_patient", [patient(NUMBERS[0])], "full")
    with pytest.raises(Refused, match="another installation"):
        other.build()
    assert cluster_of(other.settings).call("GET", f"/{name}/_mapping", budget=30).body[name] == mapping


def test_a_second_installation_of_the_prefix_is_refused(tmp_path: Path, home: Home, options: dict[str, Any]) -> None:
    other = Home(tmp_path / "other", options)
    other.extract("pds_patient", [patient(NUMBERS[7])], "full")
    with pytest.raises(Refused, match="another installation"):
        other.build()
    assert catalogue_of(home).current() is not None


def test_records_in_a_cluster_that_is_not_set_up_are_refused(tmp_path: Path, home: Home) -> None:
    with pytest.raises(ConfigurationError):
        Generations(Settings(home=tmp_path / "node", records="opensearch"), home.engine)


# The catalogue


def test_the_marker_is_written_by_one_at_a_time(home: Home) -> None:
    catalogue = catalogue_of(home)
    current = catalogue.current()
    assert current is not None
    before = catalogue.marker()
    assert not catalogue.mark(current), "it says so already"
    assert catalogue.marker() == before
    later = current.model_copy(update={"published_at": datetime.now(UTC), "reason": "again"})
    small = SmallIndex(cluster_of(home.settings), home.settings.opensearch_prefix + catalogues.NAME)
    seen = small.get("marker")
    assert catalogue.mark(later)
    assert catalogue.marker() != before
    assert not small.replace(Stored("marker", "marker", "x", {}, (0, 0)), seen), "changed since it was seen"
    assert not small.replace(Stored("marker", "marker", "x", {}, (0, 0)), None), "there is one"
    assert catalogue.current() == later


def test_a_generation_that_was_not_announced_is_not_marked(home: Home) -> None:
    unknown = CurrentGeneration(
        generation="000009-00000000", manifest_sha256="0" * 64, published_at=datetime.now(UTC), reason="a test"
    )
    with pytest.raises(Refused, match="not in the catalogue"):
        catalogue_of(home).mark(unknown)


def test_frequencies_travel_in_pieces(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogues, "_PIECE", 100)
    catalogue = catalogue_of(home)
    current = catalogue.current()
    assert current is not None
    folder = home.stores.generations / current.generation
    content = (folder / "frequencies.parquet").read_bytes()
    assert len(content) > 1000
    manifest = (folder / "manifest.json").read_bytes()
    catalogue.announce(manifest, content)
    held = catalogue.manifest(current.generation, current.manifest_sha256)
    assert catalogue.frequencies(held) == content
    assert catalogue.holds(current.generation, manifest)
    small = SmallIndex(cluster_of(home.settings), home.settings.opensearch_prefix + catalogues.NAME)
    piece = small.get(f"frequencies:{current.generation}:3")
    assert piece is not None
    small.put(Stored(piece.id, piece.kind, piece.generation, {"bytes": "AAAA"}, (0, 0)))
    with pytest.raises(GenerationError, match="not whole"):
        catalogue.frequencies(held)


def test_a_generation_is_forgotten_whole_and_never_the_current_one(home: Home) -> None:
    catalogue = catalogue_of(home)
    [first] = catalogue.names()
    made = next_generation(home, 2)
    assert catalogue.names() == [first, made.generation]
    with pytest.raises(Refused, match="current"):
        catalogue.forget(made.generation)
    catalogue.forget(first)
    catalogue.forget(first)
    assert catalogue.names() == [made.generation]
    found = cluster_of(home.settings).search(
        home.settings.opensearch_prefix + catalogues.NAME, {"query": {"term": {"generation": first}}}
    )
    assert found["hits"]["hits"] == []


# Leases


def test_a_node_says_what_it_reads(home: Home, node: Settings) -> None:
    cluster = cluster_of(home.settings)
    with serve(node) as generations:
        name = str(generations.serving.generation)
        assert in_use(cluster, home.settings, name)
        assert not in_use(cluster, home.settings, "000009-00000000")
    assert not in_use(cluster, home.settings, name)


def test_the_lease_of_a_dead_node_runs_out_whatever_its_clock_said(home: Home) -> None:
    settings = home.settings.model_copy(update={"opensearch_lease_seconds": 0.4})
    cluster = cluster_of(settings)
    ClusterLease(cluster, settings, "dead", "000001-aa")
    alive = ClusterLease(cluster, settings, "alive", "000001-bb")
    assert in_use(cluster, settings, "000001-aa"), "seen for the first time"
    assert in_use(cluster, settings, "000001-bb")
    time.sleep(0.5)
    alive.renew()
    assert not in_use(cluster, settings, "000001-aa")
    assert in_use(cluster, settings, "000001-bb"), "written again since"
    alive.release()
    alive.release()
    alive.renew()
    assert not in_use(cluster, settings, "000001-bb")
    index = leases_index(cluster, settings)
    index.refresh()
    assert not list(index.of_kind(leases._JUDGED)), "nothing is remembered of leases that are gone"


def test_a_judge_whose_clock_was_set_back_begins_to_count_anew(home: Home) -> None:
    settings = home.settings.model_copy(update={"opensearch_lease_seconds": 0.2})
    cluster = cluster_of(settings)
    ClusterLease(cluster, settings, "dead", "000001-aa")
    index = leases_index(cluster, settings)
    assert in_use(cluster, settings, "000001-aa")
    [judged] = _of_kind(index, leases._JUDGED)
    ahead = {**judged.body, "since": "2999-01-01T00:00:00+00:00"}
    index.put(Stored(judged.id, judged.kind, judged.generation, ahead, (0, 0)))
    assert in_use(cluster, settings, "000001-aa")
    time.sleep(0.3)
    assert not in_use(cluster, settings, "000001-aa")


def test_a_lease_that_cannot_be_written_does_not_stop_the_node(home: Home, node: Settings) -> None:
    name = home.settings.opensearch_prefix + leases.NAME
    answer = cluster_of(home.settings).call("PUT", f"/{name}/_settings", {"index.blocks.write": True}, budget=30)
    assert answer.status == 200
    with serve(node) as generations:
        assert generations.serving.problem is None
        assert version_of(generations) == 1


def _of_kind(index: SmallIndex, kind: str) -> list[Stored]:
    index.refresh()
    return list(index.of_kind(kind))
