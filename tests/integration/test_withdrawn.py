"""A generation without those who were withdrawn: who else is found, and what holds when the list cannot be asked.

Belongs here: index and records of one generation. Does not belong here: answers (``tests/api/test_withdrawn.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from search_api.generations import Generations
from search_api.index.provider import CandidateSet
from search_api.matching.questions import Mode, Question
from search_api.matching.rarity import WeighedKey
from search_api.opened import Generation
from search_api.withdrawn import Withdrawn, withdrawn_now
from tests.lib.index import KeyQuery
from tests.lib.validated import NUMBERS, Home, change, patient, summary

EVERYBODY = KeyQuery([WeighedKey("lLS14AP", 1)], open_only=False, limit=50)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.extract("pds_patient", [patient(number) for number in NUMBERS[:6]], "full")
    made.extract("pds_number_change", [change(NUMBERS[10], NUMBERS[1])])
    made.extract("scr_summary", [summary(number) for number in NUMBERS[:6]], "full")
    made.build()
    return made


@pytest.fixture
def generation(home: Home) -> Iterator[Generation]:
    with Generations(home.settings, home.engine) as generations, generations.pin() as pinned:
        yield pinned


def withdraw(home: Home, *numbers: str) -> None:
    entry = home.extract("pds_number_change", [change(number, None) for number in numbers])
    home.ledger.record(entry, frozenset(map(int, numbers)))


def seen(found: CandidateSet) -> list[tuple[Any, ...]]:
    return list(
        zip(found.numbers, found.payloads, found.worths or found.numbers, found.letters or found.numbers, strict=True)
    )


def test_everybody_else_is_found_as_before(home: Home, generation: Generation) -> None:
    before, (first, second) = generation.index.candidates(EVERYBODY), NUMBERS[0:2]
    assert len(before.numbers) == 6
    withdraw(home, first, second)
    left = withdrawn_now(home.settings).over(generation)
    others = [each for each in seen(before) if each[0] not in (int(first), int(second))]
    assert seen(left.index.candidates(EVERYBODY)) == others
    assert left.index.key_counts(["lLS14AP"]) == generation.index.key_counts(["lLS14AP"])


def test_a_non_fuzzy_search_lists_as_many_as_may_be_shown_all_the_same(home: Home, generation: Generation) -> None:
    question = Question(Mode.FILTER, postcode="LS1 4AP")
    (first, *others) = generation.index.select(question, 4).numbers
    withdraw(home, str(first))
    left = withdrawn_now(home.settings).over(generation)
    assert left.index.select(question, 3).numbers == tuple(others)


def test_nothing_stands_for_a_withdrawn_number(home: Home, generation: Generation) -> None:
    old, gone = int(NUMBERS[10]), int(NUMBERS[1])
    assert generation.replica.current_number(old) == gone
    withdraw(home, NUMBERS[1])
    left = withdrawn_now(home.settings).over(generation).replica
    assert (left.patient(gone), left.summary(gone), left.related(gone)) == (None, None, [])
    assert left.patients([gone, int(NUMBERS[2])]).keys() == {int(NUMBERS[2])}
    assert (left.current_number(gone), left.current_number(old)) == (None, None)
    assert left.current_number(int(NUMBERS[2])) == int(NUMBERS[2])


def test_what_was_known_holds_on_while_the_list_cannot_be_asked(
    home: Home, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("search_api.logging.event", lambda code, *_, **__: said.append(code))
    withdraw(home, NUMBERS[0])
    followed = Withdrawn(home.ledger.engine)
    followed.look()
    with home.ledger.engine.begin() as connection:
        connection.execute(text("ALTER TABLE withdrawn_number RENAME TO elsewhere"))
    followed.look()
    followed.look()
    assert said == ["GEN008"]
    assert followed.over(generation).replica.patient(int(NUMBERS[0])) is None
    with home.ledger.engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO withdrawn_number"))
    withdraw(home, NUMBERS[1])
    followed.look()
    assert followed.over(generation).replica.patient(int(NUMBERS[1])) is None


def test_a_generation_is_answered_from_as_it_is_where_nothing_was_withdrawn(home: Home, generation: Generation) -> None:
    assert withdrawn_now(home.settings).over(generation) is generation
