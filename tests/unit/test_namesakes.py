"""Name and birth date alone: enough where nobody else in the index bears the name, not where somebody does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search_api.index.frequencies import Frequencies
from search_api.matching import namesakes
from search_api.matching.asked import ask
from search_api.matching.matcher import Matcher
from search_api.matching.person import Person, unpack
from search_api.matching.questions import DateRange, Grade, Mode, Question
from search_api.matching.weights import shipped
from tests.lib.index import SmallIndex, build, name, nhs_number, person

BORN = "1961-05-17"
ASKED: dict[str, Any] = {"family": "Wetherby", "given": "Alaric", "birth": BORN, "gender": "male"}
# Of a million people so many bear the names: with the birth date enough where nobody else bears both, and no more.
COUNTED = Frequencies(1_000_000, {"WETHERBY": 2_200, "SMITH": 12_000}, {"ALARIC": 2_400, "JOHN": 30_000})
MEANT = person(nhs_number(1), name("Wetherby", "Alaric"), born=BORN, gender="male")
FILLER = [person(nhs_number(at), name("Smith", "John"), born="1980-01-01", gender="male") for at in range(10, 20)]
NAMESAKE = person(nhs_number(2), name("Wetherby", "Alaric"), born="1990-11-02", gender="male")
OTHERS: dict[str, tuple[list[dict[str, Any]], bool]] = {
    "nobody else": ([], True),
    "somebody else of the name": ([NAMESAKE], False),
    "somebody who had the name": (
        [
            person(
                nhs_number(2),
                name("Smith", "Alaric"),
                name("Wetherby", "Alaric", state="historic"),
                born="1990-11-02",
                gender="male",
            )
        ],
        False,
    ),
    "a name that sounds alike": ([person(nhs_number(2), name("Wetherbee", "Alaric"), born="1990-11-02")], True),
    "another given name": ([person(nhs_number(2), name("Wetherby", "John"), born="1990-11-02")], True),
    "too many of the sounds to look at": (
        [person(nhs_number(at), name("Wetherbee", "Alaric"), born="1990-11-02") for at in range(30, 140)],
        False,
    ),
}


@pytest.fixture(params=OTHERS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[SmallIndex, bool]]:
    others, certain = OTHERS[request.param]
    index = build(tmp_path, [MEANT, *FILLER, *others], frequencies=COUNTED)
    yield index, certain
    index.reader.close()


@pytest.mark.parametrize("mode", [Mode.WIDE, Mode.FUZZY, Mode.FILTER])
def test_certain_of_a_name_that_is_borne_once(made: tuple[SmallIndex, bool], mode: Mode) -> None:
    index, certain = made
    first = index.ask(mode, **ASKED).matches[0]
    rule = shipped().grades
    assert first.nhs_number == nhs_number(1)
    assert rule.certain_sole_odds["silent"] <= first.weight < rule.certain_counted_odds["silent"], first.weight
    assert (first.grade is Grade.CERTAIN) == certain


@pytest.mark.parametrize("mode", [Mode.WIDE, Mode.FUZZY, Mode.FILTER])
def test_who_wants_no_grades_gets_the_same_answer_without(made: tuple[SmallIndex, bool], mode: Mode) -> None:
    """And nobody is looked for who bears the name."""
    index, _ = made
    whole, bare = index.ask(mode, **ASKED), index.ask(mode, **ASKED, graded=False)
    assert [replace(match, grade=None) for match in whole.matches] == list(bare.matches)
    assert (whole.total, whole.prior, whole.counters) == (bare.total, bare.prior, bare.counters)
    with pytest.raises(ValueError, match="no grades"):
        _ = bare.matches[0].graded


def test_a_crowded_name_is_taken_as_shared(tmp_path: Path) -> None:
    """Where the sounds of a name are left out of questions, nobody can see that it is borne once."""
    index = build(tmp_path, [MEANT, *FILLER], frequencies=COUNTED)
    names = namesakes.full_names(ask(Question(Mode.WIDE, family="Wetherby", given=("Alaric",))), _held(index))
    crowded = Frequencies(
        COUNTED.population, COUNTED.family, COUNTED.given, dict.fromkeys(namesakes.keys(names), 5_000)
    )
    question = Question(Mode.WIDE, family="Wetherby", given=("Alaric",), birth=DateRange(BORN, BORN), gender="male")
    graded = [Matcher().answer(question, index.reader, each).matches[0].grade for each in (COUNTED, crowded)]
    assert graded == [Grade.CERTAIN, Grade.PROBABLE]
    index.reader.close()


def _held(index: SmallIndex) -> Person:
    number = nhs_number(1)
    return unpack(number, index.reader.find([number])[number].payload)
