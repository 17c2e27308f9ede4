"""Labelled questions: who is asked about, who is held out, which mistakes are made."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from schemas.identifiers import is_nhs_number
from search_api.matching.questions import DateRange, Question
from tests.lib import index
from tests.performance.quality import febrl, labelled, mixes, seeded, slips, strata
from tests.performance.quality.cases import Labelled
from tests.performance.quality.errors import MISTAKES, Hand, Pools
from tests.performance.quality.febrl import febrl3, febrl4

PEOPLE = 1500


@pytest.fixture(scope="module")
def people() -> pl.DataFrame:
    dice = random.Random(5)
    families = ("Smith", "Begum", "Wong", "O'Brien", "Ward-Hill", "Núñez", "Taylor", "Jones", "Okafor")
    rows = []
    for serial in range(PEOPLE):
        sex = dice.choice(("male", "female"))
        born = f"{dice.randint(1935, 2020)}-{dice.randint(1, 12):02d}-{dice.choice((1, 3, 17, 28)):02d}"
        given = dice.sample(("Amina", "Ruth", "Tom", "William", "Wei", "Zoë", "Kate"), 2)
        family = dice.choice(families)
        names = [index.name(family, *given)]
        if serial % 5 == 0:
            names.append(index.name(dice.choice(families), *given, state="historic", use="maiden"))
        homes = [index.address(f"LS{dice.randint(1, 9)} {dice.randint(1, 9)}AB", "1 High Street")]
        homes.append(index.address(f"YO{dice.randint(1, 9)} 4DT", "8 Albert Road", state="historic"))
        rows.append(index.person(index.nhs_number(serial), *names, born=born, gender=sex, addresses=homes))
    return index.frame(rows)


@pytest.fixture(scope="module")
def sets(people: pl.DataFrame) -> dict[str, Labelled]:
    return {each.name: each for each in labelled.from_people(people, frozenset(), 400, 3)}


def test_half_of_every_stratum_is_absent_and_nobody_absent_is_indexed(
    people: pl.DataFrame, sets: dict[str, Labelled]
) -> None:
    for each in sets.values():
        held = set(each.people["nhs_number"].to_list())
        truths = [query.truth for query in each.queries if query.truth is not None]
        assert set(truths) <= held
        assert len(truths) == len(set(truths))
        counts = Counter((query.stratum, query.truth is None) for query in each.queries)
        if each.name.endswith("_hard"):
            assert all(abs(counts[name, True] - counts[name, False]) <= 1 for name, _ in counts)
    absent = sum(query.truth is None for name in ("own", "own_hard", "own_copies") for query in sets[name].queries)
    added = sets["own"].people.height - (people.height - absent)
    assert added > 0


def test_both_mixes_ask_about_the_same_people(sets: dict[str, Labelled]) -> None:
    for plain, harsh in (("own", "own_justice"), ("own_hard", "own_justice_hard")):
        assert [q.truth for q in sets[plain].queries] == [q.truth for q in sets[harsh].queries]
        assert sum(bool(q.errors) for q in sets[plain].queries) < sum(bool(q.errors) for q in sets[harsh].queries)


def test_the_seed_decides_everything(people: pl.DataFrame, sets: dict[str, Labelled]) -> None:
    again = labelled.from_people(people, frozenset(), 400, 3)
    assert [each.queries for each in again] == [each.queries for each in sets.values()]
    assert again[0].people.equals(sets["own"].people)
    other = labelled.from_people(people, frozenset(), 400, 4)
    assert [each.queries for each in other] != [each.queries for each in sets.values()]


def test_added_people_have_valid_numbers_of_the_synthetic_range_once(sets: dict[str, Labelled]) -> None:
    numbers = sets["own"].people["nhs_number"].to_list()
    assert len(numbers) == len(set(numbers))
    assert all(is_nhs_number(str(number)) and str(number)[0] == "9" for number in numbers)


@pytest.mark.parametrize(("stratum", "alike"), [("twins", strata.TWINS), ("same_name_and_birth", strata.LOOK_ALIKES)])
def test_hard_negatives_stay(sets: dict[str, Labelled], stratum: str, alike: tuple[str, ...]) -> None:
    """Of each pair of whom one is asked about and present, the other is in the population as well."""
    told = strata.facts(sets["own"].people, frozenset())
    asked = [query.truth for query in sets["own_hard"].queries if query.stratum == stratum and query.truth is not None]
    mates = told.filter(pl.len().over(alike) > 1)["nhs_number"].to_list()
    assert asked
    assert len(set(asked) - set(mates)) <= len(asked) // 10


def test_absent_twins_leave_a_twin_behind(people: pl.DataFrame, sets: dict[str, Labelled]) -> None:
    held = {
        (q.question.family, q.question.birth)
        for q in sets["own_hard"].queries
        if q.stratum == "twins" and q.truth is None
    }
    told = strata.facts(sets["own"].people, frozenset())
    there = {(family, DateRange(born, born)) for family, born in told.select("family", "birth_date").iter_rows()}
    unchanged = [each for each in held if each in there]
    assert len(unchanged) >= len(held) // 2


def test_look_alikes_are_made_of_names_as_often_as_chance_makes_them() -> None:
    """A name of nine has eight times the pairs a head of a name of two; a name borne once has none."""
    rows = [{"nhs_number": at, "namesakes": 9 if at < 500 else 2 if at < 1000 else 1} for at in range(1500)]
    bearers = pl.col("namesakes")
    seeder = seeded.Seeder(seeded.look_alike, bearers.gt(1), bearers - 1)
    drawn = [seeded.models(seeder, pl.DataFrame(rows), 20, seed)["namesakes"].to_list() for seed in range(100)]
    counts = Counter(value for each in drawn for value in each)
    assert counts[1] == 0
    assert counts[9] / counts[2] == pytest.approx(8, rel=0.3)


def test_superseding_numbers_are_a_stratum(people: pl.DataFrame) -> None:
    replaced = frozenset(people["nhs_number"].to_list()[:200])
    found = labelled.from_people(people, replaced, 400, 3)[1]
    truths = [query.truth for query in found.queries if query.stratum == "superseded" and query.truth is not None]
    assert truths
    assert set(truths) <= replaced


ROW: dict[str, Any] = index.person(
    index.nhs_number(1),
    index.name("Ward-Hill", "William", "Thomas"),
    index.name("Okafor", "William", state="historic", use="old"),
    born="1980-03-07",
    gender="male",
    addresses=[
        index.address("SO15 0OS", "1 High Street"),
        index.address("YO10 4DT", "8 Albert Road", state="historic"),
    ],
)
POOLS = Pools(("Taylor",), {"male": ("Peter",), "female": ("Ruth",)}, ("AB1 2CD",), {}, {})


@pytest.mark.parametrize("kind", MISTAKES)
def test_every_mistake_changes_a_question_and_only_its_part(kind: str) -> None:
    hand = Hand(random.Random(11), POOLS)
    asked = mixes.plain(ROW, hand)
    assert (asked.family, asked.gender, asked.postcode) == ("Ward-Hill", "male", "SO15 0OS")
    changed = next((made for _ in range(50) if (made := MISTAKES[kind](asked, ROW, hand)) != asked), asked)
    assert changed != asked
    parts = {"names": ("family", "given"), "birth": ("birth",), "sex": ("gender",), "postcode": ("postcode",)}[
        mixes.PART[kind]
    ]
    blank: dict[str, Any] = {part: getattr(Question(asked.mode), part) for part in parts}
    assert replace(changed, **blank) == replace(asked, **blank)


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_leaves_an_empty_question_alone(kind: str) -> None:
    empty = Question(mixes.plain(ROW, Hand(random.Random(1), POOLS)).mode)
    poor = index.person(index.nhs_number(2))
    changed = MISTAKES[kind](empty, poor, Hand(random.Random(1), POOLS))
    assert replace(changed, family=None) == empty


def test_shares_of_the_mixes_are_as_told() -> None:
    """Of an old person about a fifth have a postcode mistake in the NHS mix; of a young one about half."""
    hand = Hand(random.Random(2), POOLS)
    young = {**ROW, "birth_date": "2015-03-07"}
    for row, share in ((ROW, 0.20), (young, 0.53)):
        made = [mixes.with_mistakes(mixes.plain(row, hand), row, mixes.NHS, hand)[1] for _ in range(4000)]
        seen = sum(any(mixes.PART[kind] == "postcode" for kind in kinds) for kinds in made) / len(made)
        assert seen == pytest.approx(share, abs=0.03)


def test_slips_of_digits_give_another_date_near_by() -> None:
    dice, day = random.Random(4), date(1980, 3, 7)
    for change in (slips.one_digit, slips.digits_exchanged):
        made = change(day, dice)
        assert made is not None
        differing = sum(a != b for a, b in zip(made.isoformat(), day.isoformat(), strict=True))
        assert 1 <= differing <= 2


def test_febrl_sets_are_whole_and_hold_no_national_identifier() -> None:
    for each, people, asked, files in (
        (febrl4(), 5000, 5000, ("dataset4a", "dataset4b")),
        (febrl3(), 2000, 3000, ("dataset3",)),
    ):
        assert (each.people.height, len(each.queries)) == (people, asked)
        held = set(each.people["nhs_number"].to_list())
        assert {query.truth for query in each.queries} <= held
        assert all(is_nhs_number(str(number)) for number in held)
        national = {row["soc_sec_id"] for file in files for row in febrl.rows(file)}
        words = set(re.findall(r"[0-9]{7}", f"{each.people.to_dicts()} {[query.question for query in each.queries]}"))
        assert len(national) > 1900
        assert not national & words


def test_febrl_labels_agree_with_the_rows() -> None:
    """Nearly every duplicate shares birth date or family name with whom it is said to be."""
    for each in (febrl3(), febrl4()):
        held = {row["nhs_number"]: row for row in each.people.to_dicts()}
        alike = 0
        for query in each.queries:
            row = held[query.truth or 0]
            alike += (query.question.birth and query.question.birth.low) == row[
                "birth_date"
            ] or query.question.family == row["names"][0]["family"]
        assert alike / len(each.queries) > 0.95
