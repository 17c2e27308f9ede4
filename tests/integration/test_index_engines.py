"""What every index engine does alike: create, branch, delete, candidates, selection, checksum, errors.

Belongs here: one suite, run over each engine. Does not belong here: what one engine does in its own way
(``test_embedded_index.py``, ``test_opensearch_index.py``), whether two give the same (``test_index_agreement.py``).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

import polars as pl
import pytest

from schemas.errors import GenerationError, PermanentFault
from search_api.index.documents import documents
from search_api.index.embedded import EmbeddedEngine
from search_api.index.engines import index_engine
from search_api.index.frequencies import Frequencies
from search_api.index.opensearch import OpenSearchEngine
from search_api.index.provider import IndexReader, checksum_of
from search_api.matching.person import unpack
from search_api.matching.questions import DateRange, Mode, Question
from tests.lib.crowd import crowd
from tests.lib.engines import EngineKind
from tests.lib.index import Site, frame, keyed, name, nhs_number, person


@pytest.fixture(scope="module")
def people() -> pl.DataFrame:
    return crowd(3000, seed=5)


@pytest.fixture(scope="module", params=["embedded", "opensearch with one shard", "opensearch with three shards"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("engines")
    if request.param == "embedded":
        return Site(EmbeddedEngine(heap_bytes=30_000_000, threads=1), folder)
    kind: EngineKind = request.getfixturevalue("opensearch_kind")
    shards = 3 if request.param.endswith("three shards") else 1
    engine = index_engine(kind.building(folder / "home", opensearch_shards=shards))
    assert isinstance(engine, OpenSearchEngine)
    return Site(engine, folder)


@pytest.fixture(scope="module")
def reader(site: Site, people: pl.DataFrame) -> Iterator[IndexReader]:
    opened = site.build("people", people)
    yield opened
    opened.close()


def test_count(reader: IndexReader, people: pl.DataFrame) -> None:
    assert reader.count() == people.height


def test_find_gives_back_what_was_indexed(reader: IndexReader, people: pl.DataFrame) -> None:
    frequencies = Frequencies.build([people])
    wanted = {document.nhs_number: document for document in documents(people, frequencies)}
    found = reader.find([*wanted, 1])
    assert set(found) == set(wanted)
    assert not all(document.open for document in wanted.values())
    for number, document in found.items():
        expected = wanted[number]
        assert (document.payload, document.fingerprint) == (expected.payload, expected.fingerprint)
        assert (document.open, document.numbers) == (expected.open, expected.numbers)


def test_candidates_come_by_rarity_then_number(reader: IndexReader, people: pl.DataFrame) -> None:
    target = next(documents(people.slice(7, 1), Frequencies.empty()))
    found = reader.candidates(keyed(target.keys, limit=50))
    assert found.numbers[0] == target.nhs_number
    assert len(set(found.numbers)) == len(found.numbers)
    assert unpack(found.numbers[0], found.payloads[0]).names


def test_candidates_are_cut_at_the_limit_and_say_so(reader: IndexReader, people: pl.DataFrame) -> None:
    keys = [key for document in documents(people.head(40), Frequencies.empty()) for key in document.keys]
    all_found = reader.candidates(keyed(keys, limit=5000))
    cut = reader.candidates(keyed(keys, limit=10))
    assert not all_found.truncated
    assert cut.truncated
    assert cut.numbers == all_found.numbers[:10]
    assert cut.counters["candidates"] == 10


def test_exactly_as_many_as_the_limit_are_not_cut(reader: IndexReader, people: pl.DataFrame) -> None:
    keys = [key for document in documents(people.head(5), Frequencies.empty()) for key in document.keys]
    many = len(reader.candidates(keyed(keys, limit=5000)).numbers)
    whole, cut = (reader.candidates(keyed(keys, limit=limit)) for limit in (many, many - 1))
    assert (len(whole.numbers), whole.truncated) == (many, False)
    assert (len(cut.numbers), cut.truncated) == (many - 1, True)


def test_equals_beyond_the_limit_are_kept_by_number(site: Site) -> None:
    count = 700
    rows = frame([person(nhs_number(n), name("Smith", "John"), born="1980-01-02") for n in range(count)]).reverse()
    opened = site.build("equals", rows)
    found = opened.candidates(keyed(["a19800102S530"], limit=300))
    assert found.numbers == tuple(nhs_number(n) for n in range(300))
    assert found.truncated
    opened.close()


def test_keys_are_counted_exactly(reader: IndexReader, people: pl.DataFrame) -> None:
    held = Counter(key for document in documents(people, Frequencies.empty()) for key in document.keys)
    wanted = dict(held.most_common(30)) | {"e1900S530J500": 0}
    assert reader.key_counts(list(wanted)) == wanted


def test_an_unknown_key_finds_nobody(reader: IndexReader) -> None:
    found = reader.candidates(keyed(["a19000203Q999"], limit=5))
    assert found.numbers == ()
    assert not found.truncated


def test_restricted_people_are_left_out_inside_the_query(site: Site) -> None:
    rows = frame(
        [
            person(nhs_number(1), name("Smith", "John"), born="1980-01-02", security="R"),
            person(nhs_number(2), name("Smith", "John"), born="1980-01-02"),
        ]
    )
    opened = site.build("restricted", rows)
    keys = ["a19800102S530"]
    assert opened.candidates(keyed(keys, limit=1)).numbers == (nhs_number(1),)
    only_open = opened.candidates(keyed(keys, limit=1, open_only=True))
    assert only_open.numbers == (nhs_number(2),)
    assert not only_open.truncated
    assert [document.open for document in opened.find([nhs_number(1), nhs_number(2)]).values()] == [False, True]
    located = Question(Mode.FILTER, family="Smith", birth=DateRange("1980-01-02", "1980-01-02"), located=True)
    assert opened.select(located, 5).numbers == (nhs_number(2),)
    opened.close()


def test_full_and_incremental_builds_agree(site: Site, people: pl.DataFrame) -> None:
    frequencies = Frequencies.build([people])
    changed = people.slice(100, 50).with_columns(pl.lit("2001-02-03").alias("birth_date"))
    gone, extra = people["nhs_number"][7], crowd(20, seed=9).with_columns(pl.col("nhs_number") + 500_000)
    after = pl.concat([people.filter(~pl.col("nhs_number").is_in([gone, *changed["nhs_number"]])), changed, extra])

    base = site.build("base", people, frequencies)
    before = (base.count(), base.checksum())
    writer = site.engine.branch(site.at("base"), site.at("next"))
    writer.delete([gone, *changed["nhs_number"].to_list(), 123])
    writer.add(documents(pl.concat([changed, extra]), frequencies))
    writer.commit()
    branched, full = site.engine.open(site.at("next")), site.build("full", after, frequencies)

    assert branched.count() == full.count() == after.height
    assert branched.checksum() == full.checksum()
    for document in documents(pl.concat([changed, extra, people.head(20)]), frequencies):
        asked = keyed(document.keys, limit=20)
        assert branched.candidates(asked) == full.candidates(asked)
    assert (base.count(), base.checksum()) == before != (full.count(), full.checksum())
    again = site.engine.open(site.at("base"))
    assert (again.count(), again.checksum()) == before
    for opened in (base, again, branched, full):
        opened.close()


def test_a_reader_sees_one_generation_while_the_next_is_written(site: Site, people: pl.DataFrame) -> None:
    opened = site.build("seen", people)
    checksum, count = opened.checksum(), opened.count()
    writer = site.engine.branch(site.at("seen"), site.at("seen-next"))
    writer.delete(people["nhs_number"].head(500).to_list())
    writer.commit()
    assert (opened.checksum(), opened.count()) == (checksum, count)
    assert site.engine.open(site.at("seen-next")).count() == count - 500
    opened.close()


def test_what_was_added_can_be_taken_out_again(site: Site, people: pl.DataFrame) -> None:
    writer = site.engine.create(site.at("taken-out"))
    writer.add(documents(people.head(30), Frequencies.empty()))
    writer.delete([*people["nhs_number"].head(10).to_list(), 7])
    writer.add(documents(people.slice(30, 5), Frequencies.empty()))
    writer.commit()
    opened = site.engine.open(site.at("taken-out"))
    kept = [document.fingerprint for document in documents(people.slice(10, 25), Frequencies.empty())]
    assert (opened.count(), opened.checksum()) == (25, checksum_of(kept))
    opened.close()


def test_the_checksum_does_not_depend_on_order_or_frequencies(site: Site, people: pl.DataFrame) -> None:
    forwards = site.build("forwards", people)
    backwards = site.build("backwards", people.reverse(), Frequencies.empty())
    assert forwards.checksum() == backwards.checksum()
    assert len(forwards.checksum()) == 16


def test_the_checksum_is_that_of_the_documents(reader: IndexReader, people: pl.DataFrame) -> None:
    made = documents(people, Frequencies.empty())
    assert reader.checksum() == checksum_of(document.fingerprint for document in made)


def test_selection_is_in_ascending_number_and_stops_at_the_limit(reader: IndexReader, people: pl.DataFrame) -> None:
    families = people["names"].list.first().struct.field("family").value_counts(sort=True)
    question = Question(Mode.FILTER, family=families["family"][0], birth=DateRange(None, None))
    everyone = reader.select(question, 500).numbers
    assert list(everyone) == sorted(everyone)
    assert len(everyone) > 2
    assert reader.select(question, 2).numbers == everyone[:2]


def test_a_suffix_asked_for_hides_nobody(site: Site) -> None:
    """No name is held with it, so its letters need not be there."""
    rows = frame([person(nhs_number(1), name("O'Bryan", "Oliver"), born="1980-01-02")])
    opened = site.build("suffixes", rows)
    for family, given in (("O'Bryan III", "Oliver"), ("OBryan", "Oliver Jr"), ("O'Br*", "Oliver Jr")):
        question = Question(Mode.FILTER, family=family, given=(given,), birth=DateRange("1980-01-02", "1980-01-02"))
        assert opened.select(question, 10).numbers == (nhs_number(1),), (family, given)


def test_selection_scans_past_pages(site: Site) -> None:
    many = 3_000
    rows = frame(
        [person(nhs_number(n), name("Smith", "Ann" if n == 2999 else "John"), born="1980-01-02") for n in range(many)]
    )
    opened = site.build("pages", rows)
    question = Question(Mode.FILTER, family="Smith", given=("An*",), birth=DateRange("1980-01-02", "1980-01-02"))
    found = opened.select(question, 10)
    assert (found.numbers, found.counters, found.truncated) == ((nhs_number(2999),), {"looked_at": many}, False)
    opened.close()


def test_a_question_that_narrows_nothing_finds_nobody(reader: IndexReader) -> None:
    found = reader.select(Question(Mode.FILTER, gender="female"), 5)
    assert (found.numbers, found.counters) == ((), {"looked_at": 0})


def test_one_reader_serves_many_threads(reader: IndexReader, people: pl.DataFrame) -> None:
    wanted = list(documents(people.head(60), Frequencies.empty()))
    wrong: list[int] = []

    def ask() -> None:
        for document in wanted:
            found = reader.candidates(keyed(document.keys, limit=20))
            if found.numbers[0] != document.nhs_number:
                wrong.append(document.nhs_number)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_finished_index_is_never_written_again(site: Site, people: pl.DataFrame) -> None:
    site.build("finished", people.head(5)).close()
    elsewhere = Site(site.engine, site.folder / "elsewhere" if site.engine.name == "opensearch" else site.folder)
    with pytest.raises(PermanentFault, match=r"not empty|already"):
        site.engine.create(elsewhere.at("finished"))
    with pytest.raises(PermanentFault, match=r"not empty|already"):
        site.engine.branch(site.at("finished"), elsewhere.at("finished"))
    assert site.engine.open(site.at("finished")).count() == 5


def test_a_missing_index_is_named(site: Site) -> None:
    with pytest.raises(GenerationError):
        site.engine.open(site.at("nowhere"))
    with pytest.raises(GenerationError):
        site.engine.branch(site.at("nowhere"), site.at("nowhere-next"))
    site.engine.remove(site.at("nowhere"))


def test_an_index_that_was_not_committed_cannot_be_opened(site: Site, people: pl.DataFrame) -> None:
    writer = site.engine.create(site.at("cut-short"))
    writer.add(documents(people.head(5), Frequencies.empty()))
    if site.engine.name == "opensearch":
        with pytest.raises(GenerationError, match="never finished"):
            site.engine.open(site.at("cut-short"))
    writer.commit()
    assert site.engine.open(site.at("cut-short")).count() == 5


def test_a_bulk_build_equals_a_single_one(site: Site, people: pl.DataFrame, reader: IndexReader) -> None:
    writer = site.engine.bulk(site.at("bulk"), Frequencies.build([people]), processes=2)
    for start in range(0, people.height, 400):
        writer.add_frame(people.slice(start, 400))
    assert writer.commit() == people.height
    opened = site.engine.open(site.at("bulk"))
    assert (opened.count(), opened.checksum()) == (reader.count(), reader.checksum())
    for document in documents(people.slice(9, 30), Frequencies.empty()):
        asked = keyed(document.keys, limit=20)
        assert opened.candidates(asked) == reader.candidates(asked)
    opened.close()


def test_a_bulk_build_leaves_out_who_is_not_indexed_and_can_be_branched(site: Site, people: pl.DataFrame) -> None:
    hidden = (
        people.head(1000)
        .with_row_index("at")
        .with_columns(pl.when(pl.col("at") % 10 == 0).then(pl.lit("V")).otherwise("security").alias("security"))
    )
    bulk = site.engine.bulk(site.at("bulk-base"), Frequencies.empty(), processes=2)
    bulk.add_frame(hidden.head(500).drop("at"))
    bulk.add_frame(hidden.slice(500).drop("at"))
    assert bulk.commit() == 900
    writer = site.engine.branch(site.at("bulk-base"), site.at("bulk-next"))
    writer.delete(people["nhs_number"].head(11).to_list())
    writer.add(documents(people.slice(2000, 30), Frequencies.empty()))
    writer.commit()
    assert site.engine.open(site.at("bulk-next")).count() == 900 - 9 + 30
    assert site.engine.open(site.at("bulk-base")).count() == 900


def test_a_frame_that_cannot_be_indexed_fails_the_bulk_build(site: Site, people: pl.DataFrame) -> None:
    writer = site.engine.bulk(site.at("broken"), Frequencies.empty(), processes=1)
    writer.add_frame(people.head(3).drop("names"))
    with pytest.raises(PermanentFault, match="could not be built"):
        writer.commit()
    with pytest.raises(GenerationError):
        site.engine.open(site.at("broken"))
