"""Crowded keys: every one is found whoever saw which document, and counted exactly in the end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from assets.index.fold import Recipe, suspects
from search_api.index import crowding
from search_api.index.crowding import CrowdCounter, batches, counted, floor_of
from search_api.index.documents import documents
from search_api.index.embedded import EmbeddedEngine
from search_api.index.frequencies import Frequencies
from search_api.index.provider import SearchDocument
from tests.lib.crowd import crowd
from tests.lib.index import at

ENGINE = EmbeddedEngine(heap_bytes=30_000_000, threads=1)


def of_keys(*keys: str) -> SearchDocument:
    return SearchDocument(1, True, keys, {}, {}, b"", 0)


def watched(made: Sequence[SearchDocument], floor: int, parts: int, seed: int = 1) -> set[str]:
    """Suspects when documents go to the parts at random."""
    dice = random.Random(seed)
    hands: list[list[SearchDocument]] = [[] for _ in range(parts)]
    for document in made:
        dice.choice(hands).append(document)
    found: set[str] = set()
    for hand in hands:
        counter = CrowdCounter(floor, parts)
        assert [each for batch in counter.watch(hand) for each in batch] == hand
        found.update(counter.take())
    return found


@pytest.fixture(scope="module")
def people() -> pl.DataFrame:
    """All born on one of twenty days, so that many keys are shared."""
    return crowd(3000, seed=21).with_columns(
        birth_date=pl.format("1980-03-{}", (pl.int_range(3000) % 20 + 10).cast(pl.String))
    )


@pytest.fixture(scope="module")
def made(people: pl.DataFrame) -> list[SearchDocument]:
    return list(documents(people, Frequencies.empty()))


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
@pytest.mark.parametrize("floor", [1, 2, 3, 4, 5, 8, 13])
def test_no_crowded_key_is_overlooked(made: list[SearchDocument], floor: int, parts: int) -> None:
    true = Counter(key for document in made for key in document.keys)
    crowded = {key for key, count in true.items() if count >= floor}
    assert crowded
    assert crowded <= watched(made, floor, parts, seed=floor)


def test_a_key_at_the_floor_is_found_however_it_is_dealt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst there is: equal shares, and one document a batch, so that no batch helps."""
    monkeypatch.setattr(crowding, "BATCH", 1)
    for floor in range(1, 12):
        for parts in range(1, 5):
            counters = [CrowdCounter(floor, parts) for _ in range(parts)]
            for turn in range(floor):
                list(counters[turn % parts].watch([of_keys("a19700105S530")]))
            assert {key for counter in counters for key in counter.take()} == {"a19700105S530"}, (floor, parts)


def test_rare_keys_are_not_kept() -> None:
    rare = [of_keys(*(f"t{number}{nth}" for nth in range(15))) for number in range(20_000)]
    common = [of_keys("c19700101MJ") for _ in range(1000)]
    assert watched([*rare, *common], 1000, 2) == {"c19700101MJ"}


def test_full_counters_do_not_hide_a_crowded_key(made: list[SearchDocument], monkeypatch: pytest.MonkeyPatch) -> None:
    """With eight counters for all keys nearly every key is suspected, and no crowded one is missed."""
    monkeypatch.setattr(crowding, "FIRST_BITS", 3)
    monkeypatch.setattr(crowding, "SECOND_BITS", 3)
    true = Counter(key for document in made for key in document.keys)
    assert {key for key, count in true.items() if count >= 5} <= watched(made, 5, 2)


def test_each_suspect_is_told_once() -> None:
    counter = CrowdCounter(2)
    list(counter.watch([of_keys("a"), of_keys("a"), of_keys("b")]))
    assert counter.take() == ["a"]
    list(counter.watch([of_keys("a", "b")]))
    assert counter.take() == ["b"]
    assert counter.take() == []


def test_documents_without_keys_and_no_documents_are_no_trouble() -> None:
    counter = CrowdCounter(1)
    assert list(counter.watch([])) == []
    assert list(counter.watch([of_keys()])) == [[of_keys()]]
    assert counter.take() == []


def test_batches_keep_order_and_all(made: list[SearchDocument]) -> None:
    parts = list(batches(iter(made)))
    assert [document for part in parts for document in part] == made
    assert {len(part) for part in parts[:-1]} == {crowding.BATCH}


def test_the_floor_is_never_above_the_cap() -> None:
    assert [floor_of(cap) for cap in (1, 1000, 2000, 50_000)] == [1, 1000, 1000, 1000]


@pytest.fixture
def index_folder(people: pl.DataFrame, tmp_path: Path) -> Path:
    writer = ENGINE.create(at(tmp_path / "index"))
    writer.add(documents(people, Frequencies.empty()))
    writer.commit()
    return tmp_path / "index"


def test_what_is_kept_is_exact_whoever_was_suspected(
    people: pl.DataFrame, made: list[SearchDocument], index_folder: Path
) -> None:
    true = Counter(key for document in made for key in document.keys)
    expected = {key: count for key, count in true.items() if count >= 4}
    assert len(expected) > 100
    reader = ENGINE.open(at(index_folder))
    pieces = [people.slice(start, 400) for start in range(0, people.height, 400)]
    for processes in (1, 2):
        found = suspects(pieces, Recipe(Frequencies.empty(), show_very_restricted=False, floor=4), processes)
        assert found >= set(expected)
        assert counted(Frequencies.empty(), found, reader, 4).crowded == expected
    reader.close()


def test_deleted_documents_are_not_counted(people: pl.DataFrame, index_folder: Path) -> None:
    writer = ENGINE.branch(at(index_folder), at(index_folder.parent / "next"))
    writer.delete(people["nhs_number"].head(1500).to_list())
    writer.commit()
    true = Counter(key for document in documents(people.tail(1500), Frequencies.empty()) for key in document.keys)
    asked = [key for document in documents(people.head(1500), Frequencies.empty()) for key in document.keys][:3000]
    assert {true[key] > 0 for key in asked} == {True, False}
    reader = ENGINE.open(at(index_folder.parent / "next"))
    assert reader.key_counts(asked) == {key: true[key] for key in asked}
    reader.close()


def test_a_writer_of_several_processes_watches_every_key(
    people: pl.DataFrame, made: list[SearchDocument], tmp_path: Path
) -> None:
    writer = ENGINE.bulk(at(tmp_path / "bulk"), Frequencies.empty(), processes=2, floor=4)
    for start in range(0, people.height, 400):
        writer.add_frame(people.slice(start, 400))
    writer.commit()
    true = Counter(key for document in made for key in document.keys)
    assert writer.suspects is not None
    assert writer.suspects >= {key for key, count in true.items() if count >= 4}
