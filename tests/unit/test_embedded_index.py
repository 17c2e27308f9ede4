"""What is indexed of a patient, name frequencies, and the folders of the embedded engine.

What every engine does alike is in ``tests/integration/test_index_engines.py``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tantivy

from schemas.errors import GenerationError, PermanentFault
from search_api.index import parts
from search_api.index.documents import documents
from search_api.index.embedded import EmbeddedEngine
from search_api.index.embedded_reader import EmbeddedReader
from search_api.index.frequencies import Frequencies
from search_api.index.parallel import PartJob, work
from search_api.index.provider import SearchDocument
from search_api.matching.person import unpack
from tests.lib.crowd import crowd
from tests.lib.index import address, at, frame, name, nhs_number, person, telecom

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


def test_a_branch_leaves_every_byte_of_its_base(people: pl.DataFrame, tmp_path: Path) -> None:
    build(tmp_path / "base", people).close()
    before = digest(tmp_path / "base")
    writer = ENGINE.branch(at(tmp_path / "base"), at(tmp_path / "next"))
    writer.delete(people["nhs_number"].head(10).to_list())
    writer.add(documents(crowd(20, seed=9).with_columns(pl.col("nhs_number") + 500_000), Frequencies.empty()))
    writer.commit()
    assert digest(tmp_path / "base") == before


def digest(folder: Path) -> dict[str, str]:
    """Content of every file but the locks."""
    files = (file for file in folder.iterdir() if not file.name.endswith(".lock"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


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
    assert {key[0] for key in one(born="1980-02").keys} == {"e", "n"}
    assert {key[0] for key in one(born="1980", addresses=[address("LS1 4AP")]).keys} == {"e", "n", "p", "l"}


def test_poor_records_are_documents_too() -> None:
    document = one(names=[], born=None)
    assert document.keys == ()
    assert unpack(document.nhs_number, document.payload).names == ()
    assert one(names=[name(None)]).keys == ()
    assert one(names=[name("", "")]).terms["family"] == ()


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


def test_a_bulk_build_leaves_one_folder(people: pl.DataFrame, tmp_path: Path) -> None:
    writer = ENGINE.bulk(at(tmp_path / "index"), Frequencies.build([people]), processes=2)
    for start in range(0, people.height, 400):
        writer.add_frame(people.slice(start, 400))
    assert writer.commit() == people.height
    assert {file.suffix for file in (tmp_path / "index").iterdir()} >= {".json", ".store"}
    assert not list((tmp_path / "index").glob("part-*"))


def test_runs_of_one_size_are_put_together_and_the_same_people_found(people: pl.DataFrame, tmp_path: Path) -> None:
    frames = [people.slice(start, 100) for start in range(0, people.height, 100)]
    assert len(frames) >= 9
    waiting, counts = iter(frames), Frequencies.build([people])
    job = PartJob(tmp_path / "index", counts, show_very_restricted=False, heap_bytes=30_000_000, run_rows=100)
    assert work(job, lambda: next(waiting, None)).documents == people.height
    parts.joined(job.folder, [job.number])
    reader = ENGINE.open(at(tmp_path / "index"))
    held = json.loads((tmp_path / "index" / "meta.json").read_text("utf-8"))["segments"]
    assert len(held) < 8 < len(frames)
    expected = {each.nhs_number: each for each in documents(people, counts)}
    found = reader.find(list(expected))
    assert {number: (each.payload, each.fingerprint) for number, each in found.items()} == {
        number: (each.payload, each.fingerprint) for number, each in expected.items()
    }


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
