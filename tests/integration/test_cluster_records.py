"""Records in a real cluster: the same answers as the replica's, each proved, or none.

What is compared is every number of a home with superseded chains, invalidated numbers, several summaries of
one person and waiting ones, through both readers, on one shard and on three.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import ClusterUnavailable, GenerationError, PermanentFault
from schemas.generation import REPLICA_NAME, GenerationManifest, RecordsState
from search_api import db
from search_api.cluster import records_form as form
from search_api.cluster import records_rows
from search_api.cluster.client import Cluster
from search_api.cluster.records import ClusterRecords
from search_api.cluster.records_writer import BaseRecords, RecordsStore, replica_identity
from search_api.cluster.shared import close_all, cluster_of
from search_api.index.opensearch_form import sentinel_id
from search_api.index.provider import IndexPlace, checksum_of
from search_api.replica import ReplicaReader
from search_api.settings import Settings
from tests.lib.validated import NUMBERS, Home, change, patient, removal, summary

N = NUMBERS
ASKED = [int(number) for number in NUMBERS[:420]]
READS = ("patient", "related", "number_change", "current_number", "summary")


@dataclass
class Records:
    """A home built on files, and a store of its records in the cluster."""

    home: Home
    settings: Settings
    places: dict[str, IndexPlace] = field(default_factory=dict)

    @property
    def cluster(self) -> Cluster:
        return cluster_of(self.settings)

    @property
    def store(self) -> RecordsStore:
        return RecordsStore(self.cluster, self.settings)

    def replica(self, manifest: GenerationManifest) -> Path:
        return self.home.stores.generations / manifest.generation / REPLICA_NAME

    def place(self, build: str) -> IndexPlace:
        folder = self.home.folder / "building" / build / "generation"
        folder.mkdir(parents=True, exist_ok=True)
        return self.places.setdefault(build, IndexPlace(folder, self.store.new_location(build)))

    @contextmanager
    def connection(self, manifest: GenerationManifest) -> Iterator[db.Connection]:
        """A replica as a builder has it: a copy that may be written to, with other files in reach."""
        copied = self.home.folder / f"copy-{manifest.generation}"
        shutil.copytree(self.replica(manifest).parent, copied, dirs_exist_ok=True)
        with db.builder(copied / REPLICA_NAME, db.Limits(0.5, 1, self.home.folder / "spill")) as connection:
            yield connection

    def write(self, manifest: GenerationManifest, build: str) -> RecordsState:
        identity = replica_identity([table.checksum for table in manifest.tables])
        with self.connection(manifest) as connection:
            return self.store.write(self.place(build), connection, identity)

    def branch(self, manifest: GenerationManifest, build: str, base: BaseRecords) -> RecordsState:
        with self.connection(manifest) as connection:
            return self.store.branch(self.place(build), connection, base)

    def unlocked(self, state: RecordsState) -> str:
        """The name of an index that may be damaged."""
        self.cluster.call("PUT", f"/{state.location}/_settings", {"index.blocks.write": None}, budget=30)
        return state.location

    def damage(self, state: RecordsState, method: str, document: str, body: Any, routing: str) -> None:
        path = f"/{self.unlocked(state)}/{'_doc' if method == 'DELETE' else '_update'}/{document}"
        answer = self.cluster.call(method, path, body, params={"routing": routing, "refresh": "true"}, budget=30)
        assert answer.status == 200, answer


def _fill(home: Home) -> GenerationManifest:
    home.extract("pds_patient", [patient(number) for number in N[:300]], "full")
    home.extract("pds_patient", [patient(N[300], 3, security="REDACTED"), patient(N[301], security="R")])
    renumbered = [change(N[1], N[2]), change(N[3], N[1]), change(N[4], None), change(N[5], N[4]), change(N[400], N[6])]
    home.extract("pds_number_change", renumbered)
    days = {1: 3, 2: 1, 3: 2, 6: 5, 400: 5}
    held = [summary(number, days.get(at, at % 4)) for at, number in enumerate(N[:60])]
    home.extract("scr_summary", [*held, summary(N[400], 5), summary(N[410], 1)], "full")
    manifest = home.build().manifest
    assert manifest is not None
    return manifest


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, GenerationManifest]:
    home = Home(tmp_path_factory.mktemp("records"))
    return home, _fill(home)


def _records(home: Home, url: str, prefix: str, **more: Any) -> Records:
    chosen = {"index": url, "opensearch_prefix": prefix, "opensearch_replicas": 0, "search_deadline_ms": 30_000}
    return Records(home, home.settings.model_copy(update={**chosen, **more}))


@pytest.fixture(autouse=True)
def _no_connection_stays() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture(params=[1, 3], ids=["one shard", "three shards"])
def records(
    request: pytest.FixtureRequest, built: tuple[Home, GenerationManifest], opensearch_url: str, opensearch_prefix: str
) -> Records:
    return _records(built[0], opensearch_url, opensearch_prefix, opensearch_shards=request.param)


@pytest.fixture
def manifest(built: tuple[Home, GenerationManifest]) -> GenerationManifest:
    return built[1]


def assert_same(records: Records, manifest: GenerationManifest, state: RecordsState) -> None:
    """Every read of every number gives the same from both."""
    with closing(ReplicaReader(records.replica(manifest))) as replica, closing(records.store.open(state)) as found:
        for read in READS:
            for number in ASKED:
                assert getattr(found, read)(number) == getattr(replica, read)(number), (read, number)
        assert found.patients([*ASKED, ASKED[0]]) == replica.patients(ASKED)
        for table in manifest.tables:
            assert found.count(table.table) == table.rows == replica.count(table.table)


def test_both_readers_give_the_same(records: Records, manifest: GenerationManifest) -> None:
    state = records.write(manifest, "000001-aa")
    assert state.documents == sum(table.rows for table in manifest.tables if table.table in form.TABLES.values())
    assert_same(records, manifest, state)
    with closing(records.store.open(state)) as found:
        # What the comparison would not show if both held nothing.
        assert found.current_number(int(N[3])) == int(N[2])
        assert found.current_number(int(N[5])) is None
        assert found.summary(int(N[2])) is not None
        assert found.count("replica__waiting") > 0
    records.store.verify(state)
    with pytest.raises(GenerationError, match="content"):
        records.store.verify(state.model_copy(update={"checksum": "0" * 16}))


def test_a_delta_on_a_copy_and_a_full_give_the_same(
    tmp_path: Path, opensearch_url: str, opensearch_prefix: str
) -> None:
    """With changed and removed patients, a new owner of two summaries, a newer summary, and none of these."""
    home = Home(tmp_path)
    first = _fill(home)
    records = _records(home, opensearch_url, opensearch_prefix, opensearch_shards=2)
    base = BaseRecords(records.write(first, "000001-aa"), records.replica(first))
    home.extract("pds_patient", [patient(N[7], 2), removal(N[8], version_id=2), patient(N[310]), patient(N[410])])
    home.extract("pds_number_change", [change(N[9], N[10]), change(N[2], N[11]), change(N[311], N[312])])
    home.extract("scr_summary", [summary(N[10], 9), summary(N[12], 9), removal(N[13]), summary(N[9], 9.5)])
    second = home.build().manifest
    assert second is not None
    assert second.base == first.generation
    # The base is served meanwhile.
    with closing(ReplicaReader(base.replica)), closing(records.store.open(base.state)) as served:
        branched = records.branch(second, "000002-bb", base)
        assert served.patient(int(N[8])) is not None
    full = records.write(second, "000002-cc")
    assert (branched.documents, branched.checksum) == (full.documents, full.checksum)
    assert branched.checksum != base.state.checksum
    assert_same(records, second, branched)
    assert_same(records, second, full)
    assert_same(records, first, base.state)
    again = records.branch(second, "000003-dd", BaseRecords(branched, records.replica(second)))
    assert (again.documents, again.checksum) == (full.documents, full.checksum)


def test_a_filling_goes_on_at_the_document_it_stopped_at(
    records: Records, manifest: GenerationManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.settings = records.settings.model_copy(update={"opensearch_bulk_bytes": 10_000})
    rows = records_rows.documents

    def stop_after(count: int) -> None:
        def some(connection: db.Connection) -> Iterator[form.Document]:
            for number, document in enumerate(rows(connection)):
                if number == count:
                    raise KeyboardInterrupt
                yield document

        monkeypatch.setattr(records_rows, "documents", some)

    for count in (150, 280):
        stop_after(count)
        with pytest.raises(KeyboardInterrupt):
            records.write(manifest, "000001-aa")
        with pytest.raises(GenerationError, match="never finished"):
            records.store.open(_state(records, "000001-aa"))
    uuid = records.store.uuid(records.place("000001-aa"))
    monkeypatch.undo()
    state = records.write(manifest, "000001-aa")
    assert state.uuid == uuid, "gone on with, not made anew"
    stats = records.cluster.call("GET", f"/{state.location}/_stats/indexing", budget=30)
    written = stats.body["_all"]["primaries"]["indexing"]["index_total"]
    shards = records.settings.opensearch_shards
    # Sentinels are written at each of three beginnings; what was on its way at a stop may be sent twice.
    assert state.documents < written < state.documents + 3 * shards + 1 + 60
    assert_same(records, manifest, state)


def test_a_filling_of_another_replica_begins_anew(
    records: Records, manifest: GenerationManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_connection: db.Connection) -> Iterator[form.Document]:
        yield form.patient(int(N[0]), 99, "U", "{}", None)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, records.connection(manifest) as connection:
        patched.setattr(records_rows, "documents", none)
        with pytest.raises(KeyboardInterrupt):
            records.store.write(records.place("000001-aa"), connection, "another")
    uuid = records.store.uuid(records.place("000001-aa"))
    state = records.write(manifest, "000001-aa")
    assert state.uuid != uuid
    assert_same(records, manifest, state)


def test_a_finished_index_is_never_written_to_again(records: Records, manifest: GenerationManifest) -> None:
    state = records.write(manifest, "000001-aa")
    path = f"/{state.location}/_doc/p1"
    assert records.cluster.call("PUT", path, {"kind": "patient"}, params={"routing": "0"}).status == 403
    records.place("000001-aa").folder.parent.joinpath(f"{state.location}.progress").unlink()
    with pytest.raises(PermanentFault, match="already"):
        records.write(manifest, "000001-aa")
    records.store.open(state)


def test_without_the_proof_nobody_is_said_to_be_absent(records: Records, manifest: GenerationManifest) -> None:
    """A shard that lost its content answers "not found" for everybody; the sentinel is lost with it."""
    state = records.write(manifest, "000001-aa")
    unknown = int(N[390])
    with closing(records.store.open(state)) as found:
        assert found.patient(unknown) is None
        routes = found._routes
        shard = form.shard_of(routes, unknown)
        records.damage(state, "DELETE", sentinel_id(shard), None, routes[shard])
        for ask in (found.patient, found.related, found.number_change, found.current_number, found.summary):
            with pytest.raises(ClusterUnavailable):
                ask(unknown)
        with pytest.raises(ClusterUnavailable):
            found.patients([unknown])
    with pytest.raises(GenerationError):
        records.store.open(state)


def test_another_index_of_the_name_is_refused(records: Records, manifest: GenerationManifest) -> None:
    """Built the same way from the same replica, and still not the one that was published."""
    state = records.write(manifest, "000001-aa")
    with closing(records.store.open(state)) as found:
        found.confirm()
        records.store.remove(records.place("000001-aa"))
        for ask in (lambda: found.patient(ASKED[0]), lambda: found.patients(ASKED[:3]), found.confirm):
            with pytest.raises(GenerationError, match="gone"):
                ask()
        other = records.write(manifest, "000001-aa")
        assert (other.checksum, other.location) == (state.checksum, state.location)
        with pytest.raises(GenerationError, match="gone"):
            found.confirm()
        with pytest.raises(ClusterUnavailable):
            found.patient(ASKED[0])
    with pytest.raises(GenerationError, match="gone"):
        records.store.open(state)


def test_a_record_that_was_changed_is_not_answered(records: Records, manifest: GenerationManifest) -> None:
    state = records.write(manifest, "000001-aa")
    with closing(records.store.open(state)) as found:
        routes = found._routes
        routing = routes[form.shard_of(routes, ASKED[0])]
        records.damage(state, "POST", f"p{ASKED[0]}", {"doc": {"body": {"version": 9}}}, routing)
        with pytest.raises(GenerationError, match="damaged"):
            found.patient(ASKED[0])
        assert found.patient(ASKED[10]) is not None


def test_missing_records_show_in_the_counts(records: Records, manifest: GenerationManifest) -> None:
    state = records.write(manifest, "000001-aa")
    with closing(records.store.open(state)) as found:
        before, routes = found.count(form.TABLES[form.PATIENT]), found._routes
    number = ASKED[0]
    records.damage(state, "DELETE", f"p{number}", None, routes[form.shard_of(routes, number)])
    with closing(records.store.open(state)) as found:
        assert found.count(form.TABLES[form.PATIENT]) == before - 1
    with pytest.raises(GenerationError, match="content"):
        records.store.verify(state)


def test_a_closed_reader_answers_nothing(records: Records, manifest: GenerationManifest) -> None:
    found = records.store.open(records.write(manifest, "000001-aa"))
    found.close()
    with pytest.raises(GenerationError, match="closed"):
        found.patient(ASKED[0])


def test_a_cluster_that_cannot_be_reached_is_no_answer(records: Records, manifest: GenerationManifest) -> None:
    state = records.write(manifest, "000001-aa")
    with closing(records.store.open(state)) as found:
        away = ClusterRecords.__new__(ClusterRecords)
        away.__dict__.update(found.__dict__)
        nowhere = records.settings.model_copy(update={"index": "http://127.0.0.1:9", "search_deadline_ms": 300})
        away.__dict__["_cluster"] = cluster_of(nowhere)
        for ask in (away.patient, away.related, away.number_change, away.summary):
            with pytest.raises(ClusterUnavailable):
                ask(ASKED[0])
        with pytest.raises(ClusterUnavailable):
            away.confirm()


def test_the_checksum_is_that_of_the_rows(records: Records, manifest: GenerationManifest) -> None:
    state = records.write(manifest, "000001-aa")
    with records.connection(manifest) as connection:
        documents = list(records_rows.documents(connection))
    assert state.checksum == checksum_of(document.fingerprint for document in documents)
    assert len({document.id for document in documents}) == len(documents) == state.documents


def _state(records: Records, build: str) -> RecordsState:
    at = records.place(build)
    return RecordsState(engine=form.ENGINE, location=at.location, uuid=records.store.uuid(at), documents=0, checksum="")
