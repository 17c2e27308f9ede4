"""The embedded engine: create, branch, delete, candidates, selection, checksum, errors."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tantivy

from schemas.errors import GenerationError, PermanentFault
from search_api.index.documents import documents
from search_api.index.embedded import EmbeddedEngine
from search_api.index.embedded_reader import EmbeddedReader
from search_api.index.frequencies import Frequencies
from search_api.index.provider import SearchDocument, checksum_of
from search_api.matching.person import unpack
from search_api.matching.questions import DateRange, Mode, Question
from tests.lib.crowd import crowd
from tests.lib.index import address, at, frame, keyed, name, nhs_number, person, telecom

ENGINE = EmbeddedEngine(heap_bytes=30_000_000, threads=1)


def build(folder: Path, rows: pl.DataFrame, frequencies: Frequencies | None = None) -> EmbeddedReader:
    writer = ENGINE.create(at(folder))
    assert writer.add(documents(rows, frequencies or Frequencies.build([rows]))) > 0
    writer.commit()
    return ENGINE.open(at(folder))


def one(**fields: Any) -> SearchDocument:
    """The document of one person."""
    names = fields.pop("names", [name("Smith", "John")])
    rows = frame([person(nhs_number(1), *names, **fields)])
    return next(documents(rows, Frequencies.empty()))


@pytest.fixture(scope="module")
def people() -> pl.DataFrame:
    return crowd(3000, seed=5)


@pytest.fixture(scope="module")
def reader(people: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedReader]:
    opened = build(tmp_path_factory.mktemp("embedded") / "index", people)
    yield opened
    opened.close()


def test_count(reader: EmbeddedReader, people: pl.DataFrame) -> None:
    assert reader.count() == people.height


def test_find_gives_back_what_was_indexed(reader: EmbeddedReader, people: pl.DataFrame) -> None:
    frequencies = Frequencies.build([people])
    wanted = {document.nhs_number: document for document in documents(people.head(50), frequencies)}
    found = reader.find([*wanted, 1])
    assert set(found) == set(wanted)
    for number, document in found.items():
        expected = wanted[number]
        assert (document.payload, document.fingerprint) == (expected.payload, expected.fingerprint)
        assert (document.open, document.numbers) == (expected.open, expected.numbers)


def test_candidates_come_by_rarity_then_number(reader: EmbeddedReader, people: pl.DataFrame) -> None:
    target = next(documents(people.slice(7, 1), Frequencies.empty()))
    found = reader.candidates(keyed(target.keys, limit=50))
    assert found.numbers[0] == target.nhs_number
    assert len(set(found.numbers)) == len(found.numbers)
    assert unpack(found.numbers[0], found.payloads[0]).names


def test_candidates_are_cut_at_the_limit_and_say_so(reader: EmbeddedReader, people: pl.DataFrame) -> None:
    keys = [key for document in documents(people.head(40), Frequencies.empty()) for key in document.keys]
    all_found = reader.candidates(keyed(keys, limit=5000))
    cut = reader.candidates(keyed(keys, limit=10))
    assert not all_found.truncated
    assert cut.truncated
    assert cut.numbers == all_found.numbers[:10]
    assert cut.counters["candidates"] == 10


def test_an_unknown_key_finds_nobody(reader: EmbeddedReader) -> None:
    found = reader.candidates(keyed(["a19000203Q999"], limit=5))
    assert found.numbers == ()
    assert not found.truncated


def test_restricted_people_are_left_out_inside_the_query(tmp_path: Path) -> None:
    rows = frame(
        [
            person(nhs_number(1), name("Smith", "John"), born="1980-01-02", security="R"),
            person(nhs_number(2), name("Smith", "John"), born="1980-01-02"),
        ]
    )
    opened = build(tmp_path / "index", rows)
    keys = ["a19800102S530"]
    assert opened.candidates(keyed(keys, limit=1)).numbers == (nhs_number(1),)
    only_open = opened.candidates(keyed(keys, limit=1, open_only=True))
    assert only_open.numbers == (nhs_number(2),)
    assert not only_open.truncated
    assert [document.open for document in opened.find([nhs_number(1), nhs_number(2)]).values()] == [False, True]
    opened.close()


def test_full_and_incremental_builds_agree(people: pl.DataFrame, tmp_path: Path) -> None:
    frequencies = Frequencies.build([people])
    changed = people.slice(100, 50).with_columns(pl.lit("2001-02-03").alias("birth_date"))
    gone, extra = people["nhs_number"][7], crowd(20, seed=9).with_columns(pl.col("nhs_number") + 500_000)
    after = pl.concat([people.filter(~pl.col("nhs_number").is_in([gone, *changed["nhs_number"]])), changed, extra])

    build(tmp_path / "base", people, frequencies).close()
    before = digest(tmp_path / "base")
    writer = ENGINE.branch(at(tmp_path / "base"), at(tmp_path / "next"))
    writer.delete([gone, *changed["nhs_number"].to_list(), 123])
    writer.add(documents(pl.concat([changed, extra]), frequencies))
    writer.commit()
    branched = ENGINE.open(at(tmp_path / "next"))
    full = build(tmp_path / "full", after, frequencies)

    assert branched.count() == full.count() == after.height
    assert branched.checksum() == full.checksum()
    assert digest(tmp_path / "base") == before
    assert ENGINE.open(at(tmp_path / "base")).checksum() != full.checksum()
    branched.close()
    full.close()


def digest(folder: Path) -> dict[str, str]:
    """Content of every file but the locks."""
    files = (file for file in folder.iterdir() if not file.name.endswith(".lock"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_reader_sees_one_generation_while_the_next_is_written(people: pl.DataFrame, tmp_path: Path) -> None:
    opened = build(tmp_path / "base", people)
    checksum, count = opened.checksum(), opened.count()
    writer = ENGINE.branch(at(tmp_path / "base"), at(tmp_path / "next"))
    writer.delete(people["nhs_number"].head(500).to_list())
    writer.commit()
    assert (opened.checksum(), opened.count()) == (checksum, count)
    assert ENGINE.open(at(tmp_path / "next")).count() == count - 500
    opened.close()


def test_the_checksum_does_not_depend_on_order_or_frequencies(people: pl.DataFrame, tmp_path: Path) -> None:
    forwards = build(tmp_path / "a", people)
    backwards = build(tmp_path / "b", people.reverse(), Frequencies.empty())
    assert forwards.checksum() == backwards.checksum()
    assert len(forwards.checksum()) == 16


@pytest.mark.parametrize(
    "change",
    [
        {"born": "1980-01-03"},
        {"gender": "female"},
        {"security": "R"},
        {"names": [name("Smith", "Jon")]},
        {"names": [name("Smith", "John", state="historic")]},
        {"names": [name("Smith", "John"), name("Brown", "John", state="historic")]},
        {"addresses": [address("LS1 4AP")]},
        {"telecoms": [telecom("phone", "01130000001")]},
        {"telecoms": [telecom("email", "a@example.com")]},
        {"gp": "A20047"},
        {"died": "2020-01-01"},
    ],
)
def test_every_indexed_value_is_in_the_fingerprint(change: dict[str, Any]) -> None:
    assert (
        one(**{"born": "1980-01-02", "gender": "male", **change}).fingerprint
        != one(born="1980-01-02", gender="male").fingerprint
    )


def test_the_fingerprint_is_the_same_in_every_build() -> None:
    assert one(born="1980-01-02", gender="male").fingerprint == 3232773487656144077


def test_hidden_values_change_nothing() -> None:
    hidden = one(
        born="1980-01-02",
        names=[name("Smith", "John"), name("Secret", "Sam", state="hidden")],
        addresses=[address("LS1 4AP", "1 Lane", state="hidden")],
        telecoms=[telecom("phone", "01130000001", "hidden"), telecom("email", "a@example.com", "hidden")],
    )
    assert hidden == one(born="1980-01-02")


def test_restricted_documents_hold_no_location() -> None:
    fields: dict[str, Any] = {
        "born": "1980-01-02",
        "gp": "A20047",
        "addresses": [address("LS1 4AP", "1 High Street"), address("DN15 2BJ", state="historic")],
    }
    restricted, bare = one(security="R", **fields), one(security="R", born="1980-01-02")
    assert restricted == bare
    text = f"{restricted.payload!r}{restricted.keys}{restricted.terms}"
    for value in ("LS1", "DN15", "HIGH", "A20047"):
        assert value not in text
        assert value in f"{one(**fields).payload!r}"


def test_contacts_are_indexed_of_restricted_people_but_not_of_very_restricted_ones() -> None:
    contacts = [telecom("phone", "01130000001"), telecom("email", "a@example.com")]
    assert "01130000001" in f"{one(security='R', telecoms=contacts).payload!r}"
    rows = frame([person(nhs_number(1), name("Smith", "John"), born="1980-01-02", security="V", telecoms=contacts)])
    (very,) = documents(rows, Frequencies.empty(), show_very_restricted=True)
    assert "01130000001" not in f"{very.payload!r}{very.keys}{very.terms}"


@pytest.mark.parametrize(
    ("security", "shown", "count"),
    [("U", False, 1), (None, False, 1), ("R", False, 1), ("V", False, 0), ("V", True, 1), ("REDACTED", True, 0)],
)
def test_who_is_indexed(security: str | None, shown: bool, count: int) -> None:
    rows = frame([person(nhs_number(1), name("Smith", "John"), born="1980-01-02", security=security)])
    made = list(documents(rows, Frequencies.empty(), show_very_restricted=shown))
    assert len(made) == count
    assert all(document.open == (security in ("U", None)) for document in made)


def test_an_unknown_label_hides() -> None:
    assert not one(security="X", gp="A20047", born="1980-01-02").open
    assert "gp" not in one(security="X", gp="A20047", born="1980-01-02").terms


def test_placeholders_make_no_key() -> None:
    document = one(names=[name("Unknown", "Baby")], born="1900-01-01", addresses=[address("ZZ99 3VZ")])
    assert document.keys == ()
    assert document.terms["family"] == ("UNKNOWN",)


def test_a_partial_birth_date_makes_only_keys_of_its_year() -> None:
    assert {key[0] for key in one(born="1980-02").keys} == {"e"}
    assert {key[0] for key in one(born="1980", addresses=[address("LS1 4AP")]).keys} == {"e", "p"}


def test_poor_records_are_documents_too() -> None:
    document = one(names=[], born=None)
    assert document.keys == ()
    assert unpack(document.nhs_number, document.payload).names == ()
    assert one(names=[name(None)]).keys == ()
    assert one(names=[name("", "")]).terms["family"] == ()


def test_selection_is_in_ascending_number_and_stops_at_the_limit(reader: EmbeddedReader, people: pl.DataFrame) -> None:
    families = people["names"].list.first().struct.field("family").value_counts(sort=True)
    family = families["family"][0]
    question = Question(Mode.FILTER, family=family, birth=DateRange(None, None))
    everyone = reader.select(question, 500).numbers
    assert list(everyone) == sorted(everyone)
    assert len(everyone) > 2
    assert reader.select(question, 2).numbers == everyone[:2]


def test_selection_scans_past_a_page(tmp_path: Path) -> None:
    rows = frame(
        [person(nhs_number(n), name("Smith", "Ann" if n == 699 else "John"), born="1980-01-02") for n in range(700)]
    )
    opened = build(tmp_path / "index", rows)
    question = Question(Mode.FILTER, family="Smith", given=("An*",), birth=DateRange("1980-01-02", "1980-01-02"))
    assert opened.select(question, 10).numbers == (nhs_number(699),)
    opened.close()


def test_one_reader_serves_many_threads(reader: EmbeddedReader, people: pl.DataFrame) -> None:
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


def test_paths_are_never_reused(people: pl.DataFrame, tmp_path: Path) -> None:
    build(tmp_path / "index", people.head(5)).close()
    with pytest.raises(PermanentFault, match="not empty"):
        ENGINE.create(at(tmp_path / "index"))
    with pytest.raises(PermanentFault, match="not empty"):
        ENGINE.branch(at(tmp_path / "index"), at(tmp_path / "index"))


def test_a_missing_or_broken_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(GenerationError):
        ENGINE.open(at(tmp_path / "nowhere"))
    with pytest.raises(GenerationError):
        ENGINE.branch(at(tmp_path), at(tmp_path / "next"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "meta.json").write_text("{")
    with pytest.raises(GenerationError):
        ENGINE.open(at(tmp_path / "broken"))


def test_an_index_of_another_release_is_refused_before_it_is_asked(tmp_path: Path) -> None:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("keys", stored=False)
    tantivy.Index(builder.build(), path=str(_folder(tmp_path / "other"))).writer().commit()
    for use in (lambda base: ENGINE.open(at(base)), lambda base: ENGINE.branch(at(base), at(tmp_path / "next"))):
        with pytest.raises(GenerationError, match="other fields"):
            use(tmp_path / "other")


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_frequencies_survive_the_file(people: pl.DataFrame, tmp_path: Path) -> None:
    built = Frequencies.build([people.head(1000), people.tail(2000)])
    built.save(tmp_path / "names.parquet")
    loaded = Frequencies.load(tmp_path / "names.parquet")
    assert loaded == built
    assert built.population == 3000
    with pytest.raises(GenerationError):
        Frequencies.load(tmp_path / "nothing.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"no")
    with pytest.raises(GenerationError):
        Frequencies.load(tmp_path / "bad.parquet")


def test_frequencies_leave_out_hidden_names_and_placeholders() -> None:
    rows = frame(
        [person(nhs_number(1), name("Smith", "Baby"), name("Secret", "Sam", state="hidden"), name("Unknown", "Jo"))]
    )
    counted = Frequencies.build([rows])
    assert counted.family == {"SMITH": 1}
    assert counted.given == {"JO": 1}


def test_a_rare_name_has_more_steps_than_a_common_one() -> None:
    counted = Frequencies(1_000_000, {"SMITH": 11_500, "RARE": 1}, {"JOHN": 20_000})
    smith, rare, unseen = (counted.family_steps(text) for text in ("SMITH", "RARE", "NEVERSEEN"))
    assert smith < rare <= unseen
    assert smith == pytest.approx(6.45 * 4, abs=1)


@pytest.mark.parametrize(
    ("word", "near"),
    [("SMTIH", "SMITH"), ("SMIT", "SMITH"), ("SMITTH", "SMITH"), ("SMXTH", "SMITH"), ("MITH", "SMITH")],
)
def test_spelling_neighbours(word: str, near: str) -> None:
    counted = Frequencies(10, {"SMITH": 5, "SMYTH": 9, "JONES": 3}, {})
    found = [text for text, _ in counted.family_spelling.neighbours(word, 5)]
    assert near in found
    assert "JONES" not in found
    assert word not in found


def test_spelling_neighbours_most_borne_first() -> None:
    counted = Frequencies(10, {"SMITH": 5, "SMYTH": 9}, {})
    assert counted.family_spelling.neighbours("SMETH", 5) == [("SMYTH", 9), ("SMITH", 5)]
    assert counted.given_spelling.neighbours("SMETH", 5) == []


def test_the_checksum_is_that_of_the_documents(reader: EmbeddedReader, people: pl.DataFrame) -> None:
    made = documents(people, Frequencies.empty())
    assert reader.checksum() == checksum_of(document.fingerprint for document in made)


def test_a_bulk_build_equals_a_single_one(people: pl.DataFrame, reader: EmbeddedReader, tmp_path: Path) -> None:
    writer = ENGINE.bulk(at(tmp_path / "index"), Frequencies.build([people]), processes=2)
    for start in range(0, people.height, 400):
        writer.add_frame(people.slice(start, 400))
    assert writer.commit() == people.height
    opened = ENGINE.open(at(tmp_path / "index"))
    assert (opened.count(), opened.checksum()) == (reader.count(), reader.checksum())
    keys = next(documents(people.slice(9, 1), Frequencies.empty())).keys
    asked = keyed(keys, limit=20)
    assert opened.candidates(asked) == reader.candidates(asked)
    assert {file.suffix for file in (tmp_path / "index").iterdir()} >= {".json", ".store"}
    assert not list((tmp_path / "index").glob("part-*"))
    opened.close()


def test_a_bulk_build_can_be_branched_and_merged(people: pl.DataFrame, tmp_path: Path) -> None:
    bulk = ENGINE.bulk(at(tmp_path / "base"), Frequencies.empty(), processes=2)
    bulk.add_frame(people.head(500))
    bulk.add_frame(people.slice(500, 500))
    assert bulk.commit() == 1000
    before = digest(tmp_path / "base")
    writer = ENGINE.branch(at(tmp_path / "base"), at(tmp_path / "next"))
    writer.delete(people["nhs_number"].head(10).to_list())
    writer.add(documents(people.slice(2000, 30), Frequencies.empty()))
    writer.commit()
    assert ENGINE.open(at(tmp_path / "next")).count() == 1020
    assert digest(tmp_path / "base") == before


def test_a_frame_that_cannot_be_indexed_fails_the_bulk_build(people: pl.DataFrame, tmp_path: Path) -> None:
    writer = ENGINE.bulk(at(tmp_path / "index"), Frequencies.empty(), processes=1)
    writer.add_frame(people.head(3).drop("names"))
    with pytest.raises(PermanentFault, match="could not be built"):
        writer.commit()
    with pytest.raises(GenerationError):
        ENGINE.open(at(tmp_path / "index"))
