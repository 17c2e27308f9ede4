"""The rivals find whom their rules find, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from search_api.matching.questions import DateRange, Mode, Question
from tests.lib.index import address, frame, name, nhs_number, person
from tests.performance.quality.cases import CERTAIN, Query, Ranked
from tests.performance.quality.pds_rules import MOST_SHOWN, PdsRules
from tests.performance.quality.plain_people import fold, outcode, soundex

ONE, TWO, THREE = nhs_number(1), nhs_number(2), nhs_number(3)
PEOPLE = [
    person(
        ONE,
        name("Robinson", "Samuel", "Matthew"),
        name("Blogs", "Samuel", state="historic"),
        name("Hidden", "Samuel", state="hidden"),
        born="1980-03-04",
        gender="male",
        addresses=[address("LS1 4AP"), address("YO1 7HH", state="historic")],
    ),
    person(TWO, name("Smith", "Anne"), born="1975-02", gender="female", addresses=[address("LS1 4AP")]),
    person(
        THREE, name("Jones", "Peter"), born="1990-05-06", gender="male", security="R", addresses=[address("LS2 7UE")]
    ),
]
ASKED = Question(
    Mode.WIDE, family="Robinson", given=("Samuel",), gender="male", birth=DateRange("1980-03-04", "1980-03-04")
)


def answers(question: Question, *, people: list[dict[str, Any]] = PEOPLE, second_attempt: bool = False) -> list[Ranked]:
    rival = PdsRules(second_attempt=second_attempt)
    rival.prepare(frame(people))
    (found,) = rival.rank([Query("q", question, None, "", ())])
    return found


def numbers(**changes: Any) -> list[int]:
    return [each.nhs_number for each in answers(replace(ASKED, **changes))]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"family": "Robbinson"},
        {"family": "Blogs"},
        {"family": "Bloggs"},
        {"family": "Róbinson"},
        {"family": "Samuel", "given": ("Robinson",)},
        {"given": ("Matt",), "postcode": "LS1 4AP"},
        {"given": ("Matthew",)},
        {"given": ("Samuel J",)},
        {"family": "Married", "postcode": "YO1 7HH"},
        {"given": (), "postcode": "ls14ap"},
        {"postcode": "LS1 5AP"},
        {"gender": "female"},
    ],
)
def test_pds_tolerates_what_it_is_known_to(changes: dict[str, Any]) -> None:
    assert numbers(**changes) == [ONE]


@pytest.mark.parametrize(
    "changes",
    [
        {"birth": DateRange("1980-04-03", "1980-04-03")},
        {"birth": DateRange("1980-03-05", "1980-03-05")},
        {"birth": None},
        {"family": "Rohinson"},
        {"family": "Hidden", "given": ("Zoe",)},
        {"family": "Married"},
        {"given": ("Peter",)},
        {"family": "Married", "postcode": "YO1 7HJ"},
        {"family": "Married", "gender": "female", "postcode": "YO1 7HH"},
        {"postcode": "ZZ99 7CZ"},
    ],
)
def test_pds_tolerates_no_more(changes: dict[str, Any]) -> None:
    assert numbers(**changes) == []


def test_the_basic_search_follows_where_the_fuzzy_one_finds_nobody() -> None:
    asked = replace(ASKED, given=("Peter",))
    assert not answers(asked)
    assert [each.nhs_number for each in answers(asked, second_attempt=True)] == [ONE]


def test_a_partial_birth_date_means_each_day_in_it_and_restricted_people_have_no_postcode() -> None:
    assert [each.nhs_number for each in answers(replace(ASKED, birth=DateRange("1980-03", "1980-03")))] == [ONE]
    restricted = replace(ASKED, family="Jones", given=("Peter",), birth=DateRange("1990-05-06", "1990-05-06"))
    assert [each.nhs_number for each in answers(restricted)] == [THREE]
    assert not answers(replace(restricted, postcode="LS2 7UE"))


def test_exact_is_one_and_certain_unless_two_are() -> None:
    (found,) = answers(ASKED)
    assert (found.probability, found.grade) == (1.0, CERTAIN)
    twins = [person(nhs_number(serial), name("Khan", "Ali"), born="2001-01-01", gender="male") for serial in (8, 9)]
    asked = replace(ASKED, family="Khan", given=("Ali",), birth=DateRange("2001-01-01", "2001-01-01"))
    both = answers(asked, people=twins)
    assert [each.nhs_number for each in both] == sorted(each["nhs_number"] for each in twins)
    assert {each.grade for each in both} == {"probable"}


def test_too_many_are_not_shown() -> None:
    crowd = [
        person(nhs_number(at), name("Khan", "Ali"), born="2001-01-01", gender="male") for at in range(MOST_SHOWN + 1)
    ]
    asked = replace(ASKED, family="Khan", given=("Ali",), birth=DateRange("2001-01-01", "2001-01-01"))
    assert not answers(asked, people=crowd)
    assert len(answers(asked, people=crowd[1:])) == MOST_SHOWN


def test_plain_forms() -> None:
    assert fold("O'Néill-Smith ") == "ONEILLSMITH"
    assert [outcode(code) for code in ("LS14AP", "EC1A1BB", "2600")] == ["LS1", "EC1A", "26"]
    assert soundex("SMYTHE") == soundex("SMITH") == "S530"
    assert soundex("123") == ""
