"""The table of keys and the parts of an index, against plain dictionaries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import GenerationError
from search_api.index import keytable, parts
from search_api.index.hashing import hash_of, hashes
from search_api.index.keytable import RUN_DOCUMENTS, KeyRuns, KeyTable
from search_api.index.parts import Keyed, Parts, PartWriter
from search_api.index.people import Some
from search_api.matching.rarity import PARTS, WeighedKey

calm = settings(max_examples=60, deadline=None)
WORDS = [f"k{number}" for number in range(30)]
# What documents have, by ordinals some of which are a run and more apart.
Held = dict[int, set[str]]
held_documents = st.dictionaries(
    st.integers(0, 40).map(lambda at: at * (RUN_DOCUMENTS // 9)), st.sets(st.sampled_from(WORDS[:20])), max_size=40
)


@contextmanager
def fresh() -> Iterator[Path]:
    """A folder for one example."""
    with TemporaryDirectory() as made:
        yield Path(made)


@pytest.fixture
def folder() -> Iterator[Path]:
    with fresh() as made:
        yield made


def table(folder: Path, held: Held) -> KeyTable:
    """A table of these, a few documents at a time."""
    runs = KeyRuns(folder, 0)
    for ordinal in sorted(held):
        words = sorted(held[ordinal])
        runs.add(hashes(pl.Series(values=words, dtype=pl.String)), np.full(len(words), ordinal))
    runs.finish()
    return KeyTable(folder, 0)


def asked(made: KeyTable) -> dict[str, list[int]]:
    return {word: sorted(made.holders(hash_of(word))) for word in WORDS}


@calm
@given(held=held_documents, many=st.booleans())
def test_who_has_a_key_is_found(held: Held, many: bool) -> None:
    """In a table of either form; ``many``: of that of a large one."""
    with fresh() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(keytable, "MANY", 1 if many else keytable.MANY)
        made = table(folder, held)
    expected = {word: sorted(at for at, words in held.items() if word in words) for word in WORDS}
    assert asked(made) == expected
    assert len(made) == sum(map(len, held.values()))


@calm
@given(held=held_documents)
def test_a_table_can_be_made_again_from_what_it_tells(held: Held) -> None:
    with fresh() as folder:
        made, again = table(folder, held), KeyRuns(folder, 1)
        for portion in made.portions():
            again.add(*portion)
        again.finish()
        remade = KeyTable(folder, 1)
    assert asked(remade) == asked(made)


def test_a_key_of_thousands_does_not_hide_the_others_of_its_bucket(folder: Path) -> None:
    """A long bucket is searched by halving. All keys of 300 documents fall into some 500 buckets."""
    held: Held = {at: {f"own{at}", "all"} for at in range(3_000)}
    made = table(folder, held)
    assert sorted(made.holders(hash_of("all"))) == list(range(3_000))
    assert [made.holders(hash_of(f"own{at}")) for at in range(3_000)] == [[at] for at in range(3_000)]
    assert made.holders(hash_of("none")) == []


def test_writers_side_by_side_make_one_part(folder: Path) -> None:
    """Each numbers its people from 0 on; the part has those of the first, then those of the second."""
    for number, people in ((0, 3), (1, 4)):
        writer = PartWriter(folder, number)
        keyed = Keyed(hashes(pl.Series(WORDS[:people])), np.arange(people))
        some = Some(np.arange(people) * 2 + number, np.arange(people), np.arange(people), np.arange(people) != 1)
        writer.add(some, keyed, range(number << 40, (number << 40) + people))
        writer.pause()
    parts.joined(folder, [0, 1])
    made = Parts(folder)
    assert len(parts.numbers_of(folder)) == 1
    assert [made.having([word], open_only=False)[0].tolist() for word in WORDS[:5]] == [
        [0, 1], [2, 3], [4, 5], [7], [],
    ]  # fmt: skip
    assert made.having(WORDS, open_only=True)[1].tolist() == [0, 1 << 40, 2, (1 << 40) + 2, (1 << 40) + 3]
    named = [made.named(number) for number in (4, 5, 6)]
    assert [entry and entry.place for entry in named] == [2, (1 << 40) + 2, None]


class Model:
    """What an index of several parts should say, as one dictionary by number."""

    def __init__(self) -> None:
        self.people: dict[int, tuple[int, set[str], bool, int]] = {}


some_people = st.dictionaries(
    st.integers(1, 25), st.tuples(st.sets(st.sampled_from(WORDS[:8]), min_size=1), st.booleans()), max_size=12
)


@calm
@given(
    generations=st.lists(some_people, min_size=1, max_size=7),
    questions=st.lists(st.tuples(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.booleans()), max_size=6),
)
def test_parts_are_asked_as_one(generations: list[Any], questions: list[Any]) -> None:
    """Each generation replaces people and adds others, and a few small parts are put together."""
    model, place = Model(), 0
    with fresh() as folder:
        for generation in generations:
            place = _delta(folder, model, generation, place)
        made, numbers = Parts(folder), parts.numbers_of(folder)
    assert len(numbers) <= parts.MOST_SMALL
    assert made.count() == len(model.people)
    assert made.checksum() == sum(mark for *_, mark in model.people.values())
    for keys, beside, open_only in questions:
        _ask(made, model, ([WORDS[key] for key in keys], [WORDS[key] for key in beside - keys]), open_only)
    for number in range(1, 27):
        found, told = made.named(number), model.people.get(number)
        expected = None if told is None else (told[0], number * 7, told[3], told[2])
        assert (None if found is None else tuple(found)) == expected


def _delta(folder: Path, model: Model, generation: Any, first: int) -> int:
    base = Parts(folder)
    gone = np.concatenate([base.gone, base.places_of(sorted(generation))])
    writer, numbers = PartWriter(folder, parts.next_number(folder)), list(generation)
    rows = [row for row, number in enumerate(numbers) for _ in generation[number][0]]
    words = [word for number in numbers for word in sorted(generation[number][0])]
    marks = [(number * 1_000_003 + first) << 32 | 0xFFFFFFFF for number in numbers]
    is_open = np.array([generation[number][1] for number in numbers], bool)
    some = Some(np.array(numbers, np.int64), np.array(numbers, np.int64) * 7, np.array(marks, np.int64), is_open)
    keyed = Keyed(hashes(pl.Series(values=words, dtype=pl.String)), np.array(rows, np.int64))
    places = range(first, first + len(numbers))
    writer.add(some, keyed, places)
    writer.finish()
    parts.write_gone(folder, gone)
    parts.put_together(folder)
    for number, place, mark in zip(numbers, places, marks, strict=True):
        model.people[number] = place, generation[number][0], generation[number][1], mark
    # Places of two files are never next to each other.
    return places.stop + 3


def _ask(made: Parts, model: Model, asked_for: tuple[list[str], list[str]], open_only: bool) -> None:
    keys, beside = asked_for
    weights = {word: float(WORDS.index(word) + 1) for word in WORDS}
    found = made.candidates(
        parts.weighed([WeighedKey(key, weights[key]) for key in keys]),
        parts.weighed([WeighedKey(key, weights[key]) for key in beside]),
        open_only=open_only,
    )
    expected = {
        number: (sum(weights[key] for key in {*keys, *beside} & held) * PARTS, place)
        for number, (place, held, is_open, _) in model.people.items()
        if held & set(keys) and (is_open or not open_only)
    }
    assert {each.number: (-each.worth, made.place(each.address)) for each in found} == expected
    assert {each.number: each.letters for each in found} == {number: number * 7 for number in expected}
    assert len(found) == len(expected)
    numbers, places = made.having(keys, open_only=open_only)
    assert numbers.tolist() == sorted(expected)
    assert places.tolist() == [model.people[number][0] for number in sorted(expected)]


def test_damaged_files_are_named(folder: Path) -> None:
    writer = PartWriter(folder, 0)
    some = Some(*(np.arange(5),) * 3, np.ones(5, bool))
    writer.add(some, Keyed(hashes(pl.Series(WORDS[:5])), np.arange(5)), range(5))
    writer.finish()
    assert Parts(folder).count() == 5
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        for damaged in (content[:-1], content[:20], b""):
            path.write_bytes(damaged)
            with pytest.raises(GenerationError, match=path.name):
                Parts(folder)
        path.write_bytes(content)
