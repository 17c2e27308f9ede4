"""Comparison levels, weights, grades and explanations (matching.md 2.3 to 2.5)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import ConfigurationError
from search_api import matching
from search_api.index.frequencies import Frequencies
from search_api.matching import comparisons as compare
from search_api.matching.explain import previous_fields, waterfall
from search_api.matching.grading import grades, posterior
from search_api.matching.person import Person
from search_api.matching.questions import Evidence, Grade, Mode
from search_api.matching.rules import PdsRules
from search_api.matching.scoring import Scored
from search_api.matching.weights import Weights, shipped
from tests.lib.index import SmallIndex, address, build, name, nhs_number, person, telecom


@pytest.mark.parametrize(
    ("asked", "parts", "held", "level"),
    [
        ("SMITH", ("SMITH",), "SMITH", "exact"),
        ("SMITHJONES", ("SMITH", "JONES"), "SMITH JONES", "exact"),
        ("SMITHJONES", ("SMITHJONES",), "SMITH JONES", "exact"),
        ("SMITH", ("SMITH",), "SMITH JONES", "joined_or_split"),
        ("SMITHJONES", ("SMITH", "JONES"), "JONES", "joined_or_split"),
        ("SMIHT", ("SMIHT",), "SMITH", "close"),
        ("SMITT", ("SMITT",), "SMITH", "close"),
        ("SMYTHE", ("SMYTHE",), "SMITH", "sounds_alike"),
        ("CATTERALL", ("CATTERALL",), "COTTRELL", "sounds_alike"),
        ("WILLIAMSON", ("WILLIAMSON",), "WILKINSON", "similar"),
        ("SMITH", ("SMITH",), "PATEL", "other"),
        ("LI", ("LI",), "LU", "sounds_alike"),
        ("LI", ("LI",), "NG", "other"),
    ],
)
def test_family_levels(asked: str, parts: tuple[str, ...], held: str, level: str) -> None:
    assert compare.family_levels(asked, parts)[held] == level


@pytest.mark.parametrize(
    ("asked", "held", "level"),
    [
        ("JOSEPH", "JOSEPH", "exact"),
        ("JOE", "JOSEPH", "nickname"),
        ("BILL", "WILLIAM", "nickname"),
        ("J", "JOSEPH", "initial"),
        ("JOSEPH", "J", "initial"),
        ("K", "JOSEPH", "other"),
        ("JUSTEN", "JUSTIN", "close"),
        ("ANNEMARIE", "ANNE MARIE", "exact"),
        ("SHAUN", "SIAN", "sounds_alike"),
        ("PETER", "JOHN", "other"),
    ],
)
def test_given_levels(asked: str, held: str, level: str) -> None:
    assert compare.given_levels(asked)[held] == level


@pytest.mark.parametrize(
    ("asked", "held", "level"),
    [
        (19800203, 19800203, "exact"),
        (19800101, 19800101, "exact_1_january"),
        (19800203, 19800302, "day_month_swapped"),
        (19800203, 19800204, "one_digit"),
        (19800203, 19810203, "one_digit"),
        (19800203, 19800215, "two_parts"),
        (19800203, 19670203, "two_parts"),
        (19800203, 19830419, "within_5_years"),
        (19800203, 19530419, "other"),
        (19800000, 19800203, "partial_same_year"),
        (19800200, 19800203, "partial_same_month"),
        (19800203, 19800200, "partial_same_month"),
        (19800203, 19800000, "partial_same_year"),
        (19800300, 19800203, "within_5_years"),
        (19700000, 19800203, "other"),
        (19800203, 0, None),
        (19000101, 19800203, None),
        (19800203, 19000101, None),
    ],
)
def test_birth_levels(asked: int, held: int, level: str | None) -> None:
    assert compare.birth_level(asked, asked, held) == level


@pytest.mark.parametrize(
    ("asked", "held", "level"),
    [
        ("LS14AP", [("LS14AP", "")], ("exact", False)),
        ("LS14AP", [("LS14AP", "h")], ("exact_previous", True)),
        ("LS14AP", [("DN152BJ", ""), ("LS14AP", "h")], ("exact_previous", True)),
        ("LS14AP", [("LS14AP", "h"), ("LS14AP", "")], ("exact", False)),
        ("LS14AP", [("LS14AB", "")], ("one_character", False)),
        ("LS14AP", [("LS41AP", "")], ("one_character", False)),
        ("LS14AP", [("LS14XY", "")], ("same_sector", False)),
        ("LS14AP", [("LS19XY", "h")], ("same_outcode", True)),
        ("LS14AP", [("DN152BJ", "h")], ("other", False)),
        ("LS14AP", [], None),
        ("LS14AP", [("ZZ993VZ", "")], None),
        ("ZZ993VZ", [("ZZ993VZ", "")], None),
        ("DN15258JY", [("DN158JY", "")], ("other", False)),
        ("", [("LS14AP", "")], None),
    ],
)
def test_postcode_levels(asked: str, held: list[tuple[str, str]], level: tuple[str, bool] | None) -> None:
    assert compare.postcode_level(asked, held) == level


@pytest.mark.parametrize(
    ("asked", "held", "level"),
    [
        (("ANNE",), ("ANNE",), "exact"),
        (("ANNE",), ("JANE", "ANNE"), "exact"),
        (("ANNE", "JANE"), ("JANE", "ANNE"), "exact"),
        (("A",), ("ANNE",), "initial"),
        (("ANNE",), ("A",), "initial"),
        (("ANNA",), ("ANNE",), "close"),
        (("ANNE",), ("PETER",), "other"),
        (("ANNE", "PETER"), ("ANNE",), "other"),
        ((), ("ANNE",), None),
        (("ANNE",), (), None),
    ],
)
def test_middle_levels(asked: tuple[str, ...], held: tuple[str, ...], level: str | None) -> None:
    assert compare.middle_level(asked, held) == level


@pytest.mark.parametrize(
    ("asked", "held", "level"),
    [
        (("01130000001",), [("01130000001", "")], ("exact", False)),
        (("01130000001",), [("01130000001", "h")], ("exact", True)),
        (("01130000001",), [("01130000002", "")], ("one_digit", False)),
        (("01130000001",), [("07700900999", "")], ("other", False)),
        (("01130000001",), [], None),
        ((), [("01130000001", "")], None),
        (("07777777778",), [("07777777777", "p")], None),
        (("01130000001",), [("07777777777", "p"), ("01130000001", "h")], ("exact", True)),
    ],
)
def test_contact_levels(asked: tuple[str, ...], held: list[tuple[str, str]], level: tuple[str, bool] | None) -> None:
    assert compare.contact_level(asked, held, "one_digit", 1) == level


# Levels that a pair can reach only when one side is of a certain kind; their shares are of such pairs.
ON_CONDITION = {
    "exact_1_january",
    "partial_same_month",
    "partial_same_year",
    "misspelt",
    "same_area",
    "near_area",
}


@pytest.mark.parametrize("name", list(shipped().levels))
def test_shares_of_each_comparison_add_up(name: str) -> None:
    levels = shipped().levels[name].values()
    alternatives = [level for level in levels if level.name not in ON_CONDITION]
    assert sum(level.m for level in alternatives) == pytest.approx(1.0, abs=0.02)
    assert sum(level.u for level in alternatives) == pytest.approx(1.0, abs=0.02)


def test_closer_levels_weigh_more() -> None:
    for comparison, levels in shipped().levels.items():
        weights = [level.weight for level in levels.values()]
        assert weights[0] > 0 > weights[-1], comparison


def test_weights_are_those_of_the_file() -> None:
    level = shipped().levels["sex"]["exact"]
    assert level.weight == pytest.approx(math.log2(0.994 / 0.5))
    assert shipped().prior(63_000_000) == pytest.approx(-25.9, abs=0.05)


def test_a_broken_weights_file_is_refused(tmp_path: Path) -> None:
    source = Path(str(matching.__file__)).with_name("weights.json")
    raw = json.loads(source.read_text())
    raw["comparisons"]["sex"][0]["u"] = 0
    (tmp_path / "weights.json").write_text(json.dumps(raw))
    with pytest.raises(ConfigurationError):
        Weights.load(tmp_path / "weights.json")
    del raw["grades"]
    (tmp_path / "weights.json").write_text(json.dumps(raw))
    with pytest.raises(ConfigurationError):
        Weights.load(tmp_path / "weights.json")


def test_a_broken_rules_file_is_refused(tmp_path: Path) -> None:
    source = Path(str(matching.__file__)).with_name("pds_rules.json")
    raw = json.loads(source.read_text())
    raw["given_position"]["value"] = "last"
    (tmp_path / "rules.json").write_text(json.dumps(raw))
    with pytest.raises(ConfigurationError):
        PdsRules.load(tmp_path / "rules.json")
    del raw["scan_limit"]
    (tmp_path / "rules.json").write_text(json.dumps(raw))
    with pytest.raises(ConfigurationError):
        PdsRules.load(tmp_path / "rules.json")


@pytest.mark.parametrize(("weight", "probability"), [(0.0, 0.5), (-1.0, 1 / 3), (10.0, 1024 / 1025), (5000.0, 1.0), (-5000.0, 0.0)])  # fmt: skip
def test_posterior(weight: float, probability: float) -> None:
    assert posterior(weight) == pytest.approx(probability)


def scored(number: int, **levels: tuple[str, float]) -> Scored:
    """A candidate with made-up evidence, on the prior of 63 million."""
    evidence = tuple(Evidence(comparison, level, bits) for comparison, (level, bits) in levels.items())
    prior = shipped().prior(63_000_000)
    someone = Person(number)
    return Scored(someone, evidence, prior + sum(item.weight for item in evidence))


FULL: dict[str, tuple[str, float]] = {
    "family": ("exact", 12.0),
    "given": ("exact", 8.0),
    "birth_date": ("exact", 13.9),
    "postcode": ("exact", 15.1),
}


def first_grade(*candidates: Scored) -> Grade:
    return grades(candidates, shipped().grades)[0]


def test_full_evidence_is_certain() -> None:
    assert first_grade(scored(1, **FULL)) is Grade.CERTAIN


def test_name_and_birth_alone_are_not_certain_unless_the_name_is_rare() -> None:
    common = {**FULL, "family": ("exact", 9.7), "given": ("exact", 7.0)}
    rare = {**FULL, "family": ("exact", 15.5), "given": ("exact", 13.0)}
    del common["postcode"], rare["postcode"]
    assert first_grade(scored(1, **common)) is not Grade.CERTAIN
    assert first_grade(scored(1, **rare)) is Grade.CERTAIN


def test_two_close_candidates_are_never_certain() -> None:
    near = {**FULL, "given": ("exact", 4.0)}
    assert first_grade(scored(1, **FULL), scored(2, **near)) is Grade.PROBABLE
    assert first_grade(scored(1, **FULL), scored(2, family=("exact", 12.0))) is Grade.CERTAIN


def test_at_most_one_is_certain() -> None:
    found = grades([scored(1, **FULL), scored(2, **FULL)], shipped().grades)
    assert found.count(Grade.CERTAIN) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"given": ("other", -5.0)},
        {"given": ("close", 2.0)},
        {"birth_date": ("other", -8.6)},
        {"sex": ("other", -6.0)},
    ],
)
def test_disagreement_that_tells_forbids_certainty(change: dict[str, tuple[str, float]]) -> None:
    strong = {**FULL, "phone": ("exact", 8.0), "email": ("exact", 10.0), **change}
    assert first_grade(scored(1, **strong)) is not Grade.CERTAIN


@pytest.mark.parametrize("missing", ["given", "family", "birth_date"])
def test_certainty_needs_names_and_birth_date(missing: str) -> None:
    strong = {**FULL, "phone": ("exact", 8.0), "email": ("exact", 10.0)}
    del strong[missing]
    assert first_grade(scored(1, **strong)) is not Grade.CERTAIN


@pytest.mark.parametrize(
    ("bits", "grade"), [(30.0, Grade.PROBABLE), (20.0, Grade.POSSIBLE), (5.0, Grade.CERTAINLY_NOT)]
)
def test_grades_by_posterior(bits: float, grade: Grade) -> None:
    assert first_grade(scored(1, family=("exact", bits))) is grade


PEOPLE = [
    person(nhs_number(1), name("Ferreira", "Odette", "Mary"), name("Hallam", "Odette", state="historic"),
           born="1971-04-16", gender="female", gp="A20047",
           addresses=[address("LS1 4AP", "12 Hill Road"), address("DN15 2BJ", "3 Mill Lane", state="historic")],
           telecoms=[telecom("phone", "0113 4960001"), telecom("email", "odette@example.com")]),
    person(nhs_number(2), name("Smith", "John"), born="1971-04-16", gender="male"),
    person(nhs_number(3), name("Smith", "Jane"), born="1985-01-01", gender="female"),
]  # fmt: skip


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallIndex]:
    small = build(tmp_path_factory.mktemp("scoring"), PEOPLE, frequencies=Frequencies(
        63_000_000, {"FERREIRA": 900, "HALLAM": 5000, "SMITH": 720_000}, {"ODETTE": 800, "JOHN": 1_300_000, "JANE": 400_000}
    ))  # fmt: skip
    yield small
    small.reader.close()


FULL_ASK: dict[str, Any] = {
    "family": "Ferreira",
    "given": ("Odette", "Mary"),
    "birth": "1971-04-16",
    "gender": "female",
    "postcode": "LS1 4AP",
    "address_lines": ("12 Hill Road",),
    "gp_code": "A20047",
    "phones": "01134960001",
    "emails": "odette@example.com",
    "mode": Mode.WIDE,
}


def test_prior_and_evidence_sum_to_the_weight_exactly(index: SmallIndex) -> None:
    for ask in (FULL_ASK, {**FULL_ASK, "family": "Hallam", "postcode": "DN15 2BJ"}, {**FULL_ASK, "family": "Odette"}):
        answer = index.ask(**ask)
        for match in answer.matches:
            assert answer.prior + sum(item.weight for item in match.evidence) == match.weight
            assert match.posterior == posterior(match.weight)


def test_every_field_is_explained_once(index: SmallIndex) -> None:
    match = index.ask(**FULL_ASK).matches[0]
    compared = [item.comparison for item in match.evidence]
    assert sorted(compared) == sorted(set(compared))
    assert set(compared) == set(shipped().levels) - {"death_date"}
    assert {item.level for item in match.evidence} == {"exact", "as_given"}
    assert match.grade is Grade.CERTAIN


def test_waterfall_runs_from_prior_to_weight(index: SmallIndex) -> None:
    answer = index.ask(**FULL_ASK)
    match = answer.matches[0]
    steps = waterfall(match, answer.prior)
    assert steps[0].comparison == "prior"
    assert steps[0].total == answer.prior
    assert steps[-1].total == match.weight
    assert len(steps) == len(match.evidence) + 1


def test_previous_values_are_named(index: SmallIndex) -> None:
    match = index.ask(**{**FULL_ASK, "family": "Hallam", "given": "Odette", "postcode": "DN15 2BJ"}).matches[0]
    assert {"family", "postcode"} <= set(previous_fields(match))
    assert previous_fields(index.ask(**FULL_ASK).matches[0]) == ()


def test_a_rare_name_weighs_more_than_a_common_one(index: SmallIndex) -> None:
    rare = index.ask(Mode.WIDE, family="Ferreira", given="Odette", birth="1971-04-16").matches[0].evidence[0]
    common = index.ask(Mode.WIDE, family="Smith", given="John", birth="1971-04-16").matches[0].evidence[0]
    assert rare.comparison == common.comparison == "family"
    assert rare.weight - common.weight == pytest.approx(math.log2(720_000 / 900), abs=0.5)


def test_a_first_of_january_weighs_less(index: SmallIndex) -> None:
    match = index.ask(Mode.WIDE, family="Smith", given="Jane", birth="1985-01-01").matches[0]
    level = next(item for item in match.evidence if item.comparison == "birth_date")
    assert level.level == "exact_1_january"
    assert level.weight < shipped().levels["birth_date"]["exact"].weight


def test_common_name_and_birth_date_are_not_certain(index: SmallIndex) -> None:
    match = index.ask(Mode.WIDE, family="Smith", given="John", birth="1971-04-16", gender="male").matches[0]
    assert match.grade is not Grade.CERTAIN


def test_exchanged_names_are_said_to_be(index: SmallIndex) -> None:
    match = index.ask(Mode.WIDE, family="Odette", given="Ferreira", birth="1971-04-16").matches[0]
    assert ("name_order", "swapped") in {(item.comparison, item.level) for item in match.evidence}


ALONE = {"family": ("exact", 14.0), "given": ("exact", 9.0), "birth_date": ("exact", 13.9)}


@pytest.mark.parametrize(
    ("place", "margin", "others", "grade"),
    [
        (None, 14.5, None, Grade.CERTAIN),
        (None, 13.5, None, Grade.PROBABLE),
        (None, 13.5, 1, Grade.CERTAIN),
        (None, 12.5, 1, Grade.PROBABLE),
        (None, 11.5, 0, Grade.CERTAIN),
        (None, 10.5, 0, Grade.PROBABLE),
        (("other", -2.6), 15.5, None, Grade.CERTAIN),
        (("other", -2.6), 14.5, None, Grade.PROBABLE),
        (("other", -2.6), 11.5, 0, Grade.CERTAIN),
        (("other", -2.6), 10.5, 0, Grade.PROBABLE),
        (("same_outcode", 6.4), 15.5 + 6.4, None, Grade.CERTAIN),
        (("same_outcode", 6.4), 14.5 + 6.4, None, Grade.PROBABLE),
        (("same_outcode", 6.4), 11.5 + 6.4, 0, Grade.CERTAIN),
        (("same_outcode", 6.4), 10.5 + 6.4, 0, Grade.PROBABLE),
        (("exact", 15.1), 11.5, None, Grade.CERTAIN),
    ],
)
def test_how_much_is_asked_depends_on_place_and_namesakes(
    place: tuple[str, float] | None, margin: float, others: int | None, grade: Grade
) -> None:
    """``margin``: bits of evidence and prior together; ``others``: how many bear the name, None where too many to count."""
    placed = {"postcode": place} if place else {}
    evidence = tuple(Evidence(name, *reached) for name, reached in (ALONE | placed).items())
    assert _alone(evidence, margin, others) is grade


@pytest.mark.parametrize(
    ("others", "grade"),
    [(None, Grade.CERTAIN), (4, Grade.CERTAIN), (8, Grade.CERTAIN), (9, Grade.PROBABLE), (60, Grade.PROBABLE)],
)
def test_a_name_that_many_bear_is_no_rarer_than_they_are_many(others: int | None, grade: Grade) -> None:
    """23 bits of name among 2**22 people: half a person was to be expected; each doubling of those found takes a bit."""
    evidence = tuple(Evidence(name, *reached) for name, reached in (ALONE | {"sex": ("exact", 2.1)}).items())
    assert _alone(evidence, 39.0 - 22.0, others) is grade


def _alone(evidence: tuple[Evidence, ...], margin: float, others: int | None) -> Grade:
    someone = Person(1)
    return grades([Scored(someone, evidence, margin)], shipped().grades, lambda _: others)[0]


@pytest.mark.parametrize(
    ("change", "grade"),
    [
        ({"birth_date": ("two_parts", 1.5)}, Grade.PROBABLE),
        ({"given": ("nickname", 3.3), "middle_names": ("other", -3.5)}, Grade.PROBABLE),
        ({"given": ("nickname", 3.3), "middle_names": ("exact", 6.0)}, Grade.CERTAIN),
        ({"given": ("similar", -1.3)}, Grade.PROBABLE),
        ({"family": ("misspelt", 7.5), "postcode": ("one_character", 9.3)}, Grade.PROBABLE),
        ({"middle_names": ("other", -3.5)}, Grade.CERTAIN),
    ],
)
def test_what_relatives_have_in_common_is_not_enough(change: dict[str, tuple[str, float]], grade: Grade) -> None:
    """Father and son of one birthday, twins of names alike; one slip is allowed, two are not."""
    assert first_grade(scored(1, **{**FULL, "family": ("exact", 16.0), "phone": ("exact", 8.1), **change})) is grade


def test_a_file_of_an_earlier_release_grades_as_it_did() -> None:
    """A generation pins its weights, and may be rolled back to."""
    raw = json.loads(Path(str(matching.__file__)).with_name("weights.json").read_text())
    del raw["grades"]["certain_alone_odds_bits"]
    raw["grades"]["certain_evidence_alone_bits"] = 34.0
    rule = Weights.parse(json.dumps(raw)).grades
    someone = Person(1)
    for bits, grade in ((34.5, Grade.CERTAIN), (33.5, Grade.PROBABLE)):
        evidence = (
            Evidence("family", "exact", bits - 22.9),
            Evidence("given", "exact", 9.0),
            Evidence("birth_date", "exact", 13.9),
        )
        assert grades([Scored(someone, evidence, 13.0)], rule)[0] is grade


def test_equals_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    people = [person(nhs_number(at), name("Ferreira", "Odette"), born="1971-04-16") for at in (5, 3, 9, 1)]
    small = build(tmp_path, people)
    numbers = [
        match.nhs_number
        for match in small.ask(Mode.WIDE, family="Ferreira", given="Odette", birth="1971-04-16").matches
    ]
    assert numbers == sorted(nhs_number(at) for at in (5, 3, 9, 1))
    small.reader.close()


def test_placeholders_are_no_evidence(tmp_path: Path) -> None:
    """Name, date and postcode that stand for nothing are not compared, though both sides have the same."""
    people = [
        person(
            nhs_number(1),
            name("Ferreira", "Baby"),
            born="1900-01-01",
            addresses=[address("ZZ99 3VZ", "No fixed abode")],
            telecoms=[telecom("phone", "0113 4960001")],
        )
    ]
    small = build(tmp_path, people)
    ask = {
        "family": "Ferreira",
        "given": "Baby",
        "birth": "1900-01-01",
        "postcode": "ZZ99 3VZ",
        "phones": "01134960001",
    }
    (match,) = small.ask(Mode.WIDE, **ask).matches
    assert [item.comparison for item in match.evidence] == ["family", "phone"]
    small.reader.close()
