"""What the OpenSearch engine refuses, and how it fails: another index, half an index, a cluster that says no.

Belongs here: this engine alone. Does not belong here: what every engine does (``test_index_engines.py``), nodes
that fail and processes that are killed (``tests/faults``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import polars as pl
import pytest

from schemas.errors import ClusterUnavailable, GenerationError, PassingFault, PermanentFault, Refused
from search_api.cluster.answers import BLOCKED, NOT_FOUND, WRONG_INDEX
from search_api.cluster.shared import cluster_of
from search_api.index.documents import documents
from search_api.index.frequencies import Frequencies
from search_api.index.opensearch import OpenSearchEngine
from search_api.index.opensearch_reader import OpenSearchReader
from search_api.index.progress import Filling, Progress, Reached, acknowledged, progress_path
from search_api.index.provider import IndexPlace, SearchDocument
from search_api.index.sending import Sender
from search_api.matching.questions import DateRange, Mode, Question
from search_api.settings import Settings
from tests.lib.crowd import crowd
from tests.lib.engines import EngineKind
from tests.lib.index import Site, keyed

PEOPLE = 300


@pytest.fixture(scope="module")
def people() -> pl.DataFrame:
    return crowd(PEOPLE, seed=6)


@pytest.fixture
def chosen(opensearch_kind: EngineKind, tmp_path: Path) -> Settings:
    return opensearch_kind.building(tmp_path / "home", opensearch_bulk_patience=0.5, opensearch_bulk_bytes=20_000)


@pytest.fixture
def site(chosen: Settings, tmp_path: Path) -> Site:
    return Site(_engine(chosen), tmp_path)


@pytest.fixture
def server(chosen: Settings) -> Iterator[httpx2.Client]:
    """The cluster, asked past the product."""
    with httpx2.Client(base_url=chosen.index, timeout=60.0, trust_env=False) as client:
        yield client


def _engine(chosen: Settings) -> OpenSearchEngine:
    return OpenSearchEngine(chosen, cluster_of(chosen))


def _opened(site: Site, people: pl.DataFrame, name: str = "served") -> tuple[OpenSearchReader, IndexPlace]:
    reader = site.build(name, people)
    assert isinstance(reader, OpenSearchReader)
    at = site.at(name)
    return reader, replace(at, uuid=site.engine.uuid(at))


def _made(people: pl.DataFrame) -> Iterator[SearchDocument]:
    return documents(people, Frequencies.build([people]))


def _asked(people: pl.DataFrame) -> list[str]:
    return [key for document in _made(people.head(3)) for key in document.keys]


def _did(answer: httpx2.Response) -> Any:
    return answer.raise_for_status().json()


def _writable(server: httpx2.Client, name: str) -> None:
    _did(server.put(f"/{name}/_settings", json={"index.blocks.write": None}))


def test_an_index_is_closed_to_writing_and_nothing_leads_to_it_but_its_name(
    site: Site, people: pl.DataFrame, server: httpx2.Client, chosen: Settings
) -> None:
    _, at = _opened(site, people)
    shown = _did(server.get(f"/{at.location}"))[at.location]
    settings = shown["settings"]["index"]
    assert settings["blocks"] == {"write": "true"}
    assert (settings["number_of_replicas"], settings["number_of_shards"]) == ("0", "1")
    assert "refresh_interval" not in settings
    assert shown["aliases"] == {}
    assert shown["mappings"]["dynamic"] == "strict"
    assert shown["mappings"]["_source"]["enabled"] is False
    assert shown["mappings"]["_meta"]["finished"] is True
    answer = server.post(f"/{at.location}/_doc", json={"nhs": 9_000_000_001})
    assert answer.status_code == 403
    assert _did(server.get(f"/_cat/segments/{at.location}?format=json")) != []


def test_another_index_of_the_name_is_refused(
    site: Site, people: pl.DataFrame, server: httpx2.Client, tmp_path: Path
) -> None:
    reader, at = _opened(site, people)
    _did(server.delete(f"/{at.location}"))
    with pytest.raises(ClusterUnavailable) as gone:
        reader.candidates(keyed(_asked(people), limit=5))
    assert gone.value.reason == NOT_FOUND
    with pytest.raises(GenerationError, match="gone, or another one"):
        site.engine.open(at)
    again = site.build("served", people)
    assert again.count() == PEOPLE
    with pytest.raises(GenerationError, match="gone, or another one"):
        site.engine.open(at)
    assert _refusals(reader, people) == ALL_REFUSED


def _refusals(reader: OpenSearchReader, people: pl.DataFrame) -> dict[str, str]:
    """Why each way to ask a reader is refused; of those that are not, nothing."""
    row = people.row(0, named=True)
    family = Question(Mode.FILTER, family=row["names"][0]["family"], birth=DateRange(None, None))
    ways: dict[str, Callable[[], Any]] = {
        "candidates": lambda: reader.candidates(keyed(_asked(people), limit=5)),
        "select": lambda: reader.select(family, 5),
        "select nobody": lambda: reader.select(Question(Mode.FILTER, gender="male"), 5),
        "find": lambda: reader.find([row["nhs_number"]]),
        "key_counts": lambda: reader.key_counts(_asked(people)),
        "checksum": reader.checksum,
    }
    reasons = {}
    for name, ask in ways.items():
        try:
            ask()
        except ClusterUnavailable as error:
            reasons[name] = error.reason
    return reasons


ALL_REFUSED = dict.fromkeys(("candidates", "select", "select nobody", "find", "key_counts", "checksum"), WRONG_INDEX)


def test_an_answer_without_the_sentinels_is_refused(site: Site, people: pl.DataFrame, server: httpx2.Client) -> None:
    reader, at = _opened(site, people)
    _writable(server, at.location)
    gone = server.post(f"/{at.location}/_delete_by_query?refresh=true", json={"query": {"term": {"nhs": 0}}})
    assert _did(gone)["deleted"] == 1
    assert _refusals(reader, people) == ALL_REFUSED
    with pytest.raises(GenerationError, match="lacks the proof"):
        site.engine.open(at)


def test_half_an_index_is_refused(opensearch_kind: EngineKind, people: pl.DataFrame, tmp_path: Path) -> None:
    """One of three shards lost all it had: its own sentinel too."""
    chosen = opensearch_kind.building(tmp_path / "home", opensearch_shards=3)
    site = Site(_engine(chosen), tmp_path)
    reader, at = _opened(site, people)
    with httpx2.Client(base_url=chosen.index, timeout=60.0, trust_env=False) as server:
        _writable(server, at.location)
        everything = {"query": {"match_all": {}}}
        emptied = server.post(
            f"/{at.location}/_delete_by_query", params={"preference": "_shards:1", "refresh": "true"}, json=everything
        )
        assert _did(emptied)["deleted"] > 50
    assert _refusals(reader, people) == ALL_REFUSED


def test_a_closed_index_is_named_with_the_way_out(site: Site, people: pl.DataFrame, server: httpx2.Client) -> None:
    reader, at = _opened(site, people)
    _did(server.post(f"/{at.location}/_close"))
    with pytest.raises(ClusterUnavailable) as closed:
        reader.candidates(keyed(_asked(people), limit=5))
    assert closed.value.reason == NOT_FOUND
    with pytest.raises(GenerationError, match="_open"):
        site.engine.open(at)
    _did(server.post(f"/{at.location}/_open"))
    assert site.engine.open(at).count() == PEOPLE


def test_an_index_of_another_release_is_refused_before_it_is_asked(
    site: Site, people: pl.DataFrame, server: httpx2.Client
) -> None:
    _, at = _opened(site, people)
    said = _did(server.get(f"/{at.location}"))[at.location]["mappings"]["_meta"]
    for change in ({"schema": "0" * 16}, {"more": 1}):
        _did(server.put(f"/{at.location}/_mapping", json={"_meta": {**said, **change}}))
        with pytest.raises(GenerationError, match="other fields"):
            site.engine.open(at)
        with pytest.raises(GenerationError, match="other fields"):
            site.engine.branch(at, site.at("next"))


def test_what_is_not_ours_is_neither_opened_nor_removed(
    site: Site,
    people: pl.DataFrame,
    server: httpx2.Client,
    opensearch_kind: EngineKind,
    chosen: Settings,
    tmp_path: Path,
) -> None:
    foreign = site.at("foreign")
    _did(server.put(f"/{foreign.location}"))
    with pytest.raises(GenerationError, match="no index of this product"):
        site.engine.open(foreign)
    for use in (site.engine.create, lambda at: site.engine.branch(_opened(site, people)[1], at)):
        with pytest.raises(PermanentFault, match="already"):
            use(foreign)
    with pytest.raises(Refused, match="not made by this installation"):
        site.engine.remove(foreign)
    other_home = _engine(chosen.model_copy(update={"home": tmp_path / "other"}))
    with pytest.raises(Refused, match="not made by this installation"):
        other_home.remove(site.at("served"))
    with pytest.raises(PermanentFault, match="already"):
        other_home.create(IndexPlace(tmp_path / "other" / "generation", site.at("served").location))
    assert site.engine.open(site.at("served")).count() == PEOPLE
    site.engine.remove(site.at("served"))
    assert server.head(f"/{site.at('served').location}").status_code == 404


def test_an_index_with_the_name_and_another_uuid_is_not_removed(site: Site, people: pl.DataFrame) -> None:
    _, at = _opened(site, people)
    site.engine.remove(replace(at, uuid="another"))
    assert site.engine.uuid(at) == at.uuid
    site.engine.remove(at)
    with pytest.raises(GenerationError):
        site.engine.uuid(at)


def test_more_keys_than_the_cluster_takes_in_one_clause(site: Site, people: pl.DataFrame) -> None:
    reader, _ = _opened(site, people)
    keys = [f"t{number}" for number in range(70_000)] + _asked(people)
    found = reader.candidates(keyed(keys, limit=5))
    assert found.numbers == reader.candidates(keyed(_asked(people), limit=5)).numbers
    assert found.numbers


def test_an_alias_is_never_served(site: Site, people: pl.DataFrame, server: httpx2.Client) -> None:
    _, at = _opened(site, people)
    alias = site.at("alias")
    actions = [{"add": {"index": at.location, "alias": alias.location}}]
    _did(server.post("/_aliases", json={"actions": actions}))
    for use in (site.engine.open, site.engine.create, site.engine.remove, site.engine.uuid):
        with pytest.raises(Refused, match="is an alias"):
            use(alias)


def test_an_index_that_disappears_while_it_is_filled_is_not_made_again_by_the_documents(
    site: Site, people: pl.DataFrame, server: httpx2.Client
) -> None:
    at = site.at("gone")
    writer = site.engine.create(at)
    _did(server.delete(f"/{at.location}"))
    writer.add(_made(people.head(5)))
    with pytest.raises(PermanentFault, match="index_not_found_exception"):
        writer.commit()
    found = _did(server.get(f"/{at.location}*", params={"expand_wildcards": "all"}))
    assert found == {}


def test_a_document_that_the_mapping_refuses_fails_at_once_and_is_not_quoted(
    site: Site, chosen: Settings, people: pl.DataFrame
) -> None:
    at = site.at("strict")
    site.engine.create(at)
    sender = Sender(cluster_of(chosen), f"{at.location}-loading", patience=60.0)
    with pytest.raises(PermanentFault, match="status 400, strict_dynamic_mapping_exception") as refused:
        sender.send([b'{"index":{"_id":"9"}}\n{"nhs":9,"surname":"Secretly"}\n'])
    assert "Secretly" not in str(refused.value)


def test_a_blocked_index_is_waited_for_then_the_filling_goes_on_where_it_stopped(
    site: Site, chosen: Settings, people: pl.DataFrame, server: httpx2.Client
) -> None:
    at = site.at("blocked")
    bulk = site.engine.bulk(at, Frequencies.build([people]), processes=1)
    bulk.add_frame(people.head(100))
    _wait_for(at, 100)
    _did(server.put(f"/{at.location}/_settings", json={"index.blocks.write": True}))
    bulk.add_frame(people.slice(100))
    with pytest.raises(ClusterUnavailable, match=r"for 0\.5 seconds") as blocked:
        bulk.commit()
    assert blocked.value.reason == BLOCKED
    with pytest.raises(GenerationError, match="never finished"):
        site.engine.open(at)
    again = site.engine.bulk(at, Frequencies.build([people]), processes=1)
    again.add_frame(people.head(100))
    again.add_frame(people.slice(100))
    assert again.commit() == PEOPLE
    assert _written(server, at) == PEOPLE


def _wait_for(at: IndexPlace, documents_sent: int) -> None:
    until = time.monotonic() + 120
    while acknowledged(at) < documents_sent:
        assert time.monotonic() < until
        time.sleep(0.02)


def _written(server: httpx2.Client, at: IndexPlace) -> int:
    """Documents written in all, the sentinels left out: each filling writes its sentinel anew."""
    stats = _did(server.get(f"/{at.location}/_stats/indexing"))
    return int(stats["_all"]["primaries"]["indexing"]["index_total"]) - 2


def test_copies_that_have_no_node_fail_the_build_with_the_reason(
    opensearch_kind: EngineKind, people: pl.DataFrame, tmp_path: Path
) -> None:
    settings = {"opensearch_replicas": 5, "opensearch_bulk_patience": 0.5}
    site = Site(_engine(opensearch_kind.building(tmp_path / "home", **settings)), tmp_path)
    writer = site.engine.create(site.at("copies"))
    writer.add(_made(people))
    with pytest.raises(PassingFault, match="have no node"):
        writer.commit()
    with pytest.raises(GenerationError, match="never finished"):
        site.engine.open(site.at("copies"))
    fewer = opensearch_kind.building(tmp_path / "home", opensearch_prefix=_prefix(site))
    again = Site(_engine(fewer), tmp_path)
    writer = again.engine.create(again.at("copies"))
    writer.add(_made(people))
    writer.commit()
    assert again.engine.open(again.at("copies")).count() == PEOPLE


def _prefix(site: Site) -> str:
    return site.engine.new_location("").removesuffix("patients-")


def test_other_documents_under_the_same_build_begin_anew(site: Site, people: pl.DataFrame) -> None:
    at = site.at("other")
    writer = site.engine.create(at)
    writer.add(_made(people.head(200)))
    writer.add(_made(people.slice(200, 5)))
    writer.delete([])
    second = site.engine.create(at)
    second.add(_made(people.reverse()))
    second.commit()
    assert site.engine.open(at).count() == PEOPLE


def test_other_frames_under_the_same_build_are_noticed(site: Site, people: pl.DataFrame) -> None:
    at = site.at("frames")
    first = site.engine.bulk(at, Frequencies.empty(), processes=1)
    first.add_frame(people.head(200))
    _wait_for(at, 200)
    second = site.engine.bulk(at, Frequencies.empty(), processes=1)
    with pytest.raises(PermanentFault, match="not those"):
        second.add_frame(people.tail(200))
    third = site.engine.bulk(at, Frequencies.empty(), processes=1)
    third.add_frame(people.tail(200))
    assert third.commit() == 200


def test_other_name_frequencies_are_another_build(site: Site, people: pl.DataFrame) -> None:
    at = site.at("counted")
    first = site.engine.bulk(at, Frequencies.empty(), processes=1)
    first.add_frame(people)
    _wait_for(at, PEOPLE)
    again = site.engine.bulk(at, Frequencies.build([people]), processes=1)
    assert acknowledged(at) == 0
    again.add_frame(people)
    assert again.commit() == PEOPLE


def test_a_finished_index_whose_build_was_not_recorded_is_gone_on_with(
    site: Site, people: pl.DataFrame, server: httpx2.Client
) -> None:
    _, at = _opened(site, people, "unrecorded")
    writer = site.engine.create(site.at("unrecorded"))
    with pytest.raises(GenerationError, match="never finished"):
        site.engine.open(at)
    writer.add(_made(people))
    writer.commit()
    assert site.engine.open(at).count() == PEOPLE
    assert _written(server, at) == PEOPLE


def test_a_difference_at_the_end_leaves_the_index_unfinished(
    site: Site, people: pl.DataFrame, server: httpx2.Client
) -> None:
    at = site.at("differs")
    writer = site.engine.create(at)
    writer.add(_made(people))
    writer.delete([])
    number = people["nhs_number"][5]
    _did(server.delete(f"/{at.location}/_doc/{number}"))
    with pytest.raises(PermanentFault, match=f"holds {PEOPLE - 1} documents where {PEOPLE} were sent"):
        writer.commit()
    with pytest.raises(GenerationError, match="never finished"):
        site.engine.open(at)


def test_progress_counts_what_is_furthest_and_leaves_out_a_torn_line(tmp_path: Path) -> None:
    at = IndexPlace(tmp_path / "build" / "generation", "patients-1")
    assert acknowledged(at) == 0
    progress = Progress(progress_path(at))
    progress.begin(Filling("uuid", "build"))
    for reached in (Reached(0, "a", 10, 9, "5"), Reached(1, "b", 4, 4, "f"), Reached(0, "a", 20, 18, "7")):
        progress.add(reached)
    progress.close()
    with progress_path(at).open("ab") as file:
        file.write(b'{"piece":1,"digest":"b","rows":9,"docu')
    again = Progress(progress_path(at))
    assert acknowledged(at) == 22
    again.add(Reached(1, "b", 8, 8, "3"))
    assert again.filling() == Filling("uuid", "build")
    assert acknowledged(at) == 26
    again.discard()
    assert (again.filling(), again.reached()) == (None, {})
