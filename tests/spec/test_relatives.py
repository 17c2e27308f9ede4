"""Who is like the one asked for by nature: relatives at one home, twins, namesakes.

Belongs here: which patterns take bits back, and what a search says of those people. Does not belong here: levels,
grades by themselves (``test_comparisons.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.errors import ConfigurationError
from search_api.index.frequencies import Frequencies
from search_api.matching.matcher import Matcher
from search_api.matching.questions import Evidence, Grade, Match, Mode
from search_api.matching.relatives import COMPARISON
from search_api.matching.weights import Weights, shipped, shipped_text
from tests.lib.index import SmallIndex, address, build, name, nhs_number, person

POPULATION = 63_000_000
PRIOR = shipped().prior(POPULATION)
NAMES = {"family": ("exact", 15.0), "given": ("exact", 12.0)}
OTHER_GIVEN = {"family": ("exact", 15.0), "given": ("other", -5.5)}
HOME = {"postcode": ("exact", 15.1)}
BORN, BORN_NEAR, BORN_FAR = ("exact", 13.9), ("within_5_years", -4.4), ("other", -8.6)

Reached = dict[str, tuple[str, float]]


def taken_back(reached: Reached) -> dict[str, float]:
    """Pattern and bits, of evidence on the prior of 63 million."""
    evidence = [Evidence(comparison, *each) for comparison, each in reached.items()]
    return {item.level: item.weight for item in shipped().relatives.found(evidence, PRIOR)}


@pytest.mark.parametrize(
    ("reached", "level", "left"),
    [
        # Family name and home: one to two others of the household.
        ({**OTHER_GIVEN, **HOME, "birth_date": BORN_FAR}, "household", -1.0),
        ({**OTHER_GIVEN, **HOME, "birth_date": BORN_NEAR, "gp": ("exact", 3.3)}, "household", -1.0),
        # The birth date as well: one to three in a hundred.
        ({**OTHER_GIVEN, **HOME, "birth_date": BORN}, "twin", 5.06),
        ({**OTHER_GIVEN, "birth_date": BORN}, None, 0.0),
        ({**OTHER_GIVEN, "birth_date": BORN, "postcode": ("same_outcode", 6.4)}, "twin", 5.06),
        # Both names and home, another birth date: father and son.
        ({**NAMES, **HOME, "birth_date": BORN_FAR}, "one_name_at_home", 4.32),
        ({**NAMES, **HOME, "given": ("middle_name", 1.3), "birth_date": BORN_NEAR}, "one_name_at_home", 4.32),
        # Both names, another birth date, no home.
        ({**NAMES, "birth_date": BORN_NEAR}, "namesake", -2.0),
        # Nothing of the kind: the same person as far as can be told.
        ({**NAMES, **HOME, "birth_date": BORN}, None, 0.0),
        ({**NAMES, **HOME, "birth_date": ("one_digit", 3.3)}, None, 0.0),
        ({**OTHER_GIVEN, **HOME, "family": ("other", -4.6), "birth_date": BORN}, None, 0.0),
        ({**NAMES, **HOME, "given": ("initial", -2.2), "birth_date": BORN}, None, 0.0),
        # Within the bound.
        ({**OTHER_GIVEN, "family": ("exact", 6.0), "birth_date": BORN}, None, 0.0),
    ],
)  # fmt: skip
def test_agreement_is_worth_no_more_than_how_few_share_it(reached: Reached, level: str | None, left: float) -> None:
    """``left``: odds, in bits, that prior and what is counted of the pattern come down to."""
    found = taken_back(reached)
    assert list(found) == ([level] if level else [])
    if level:
        [kind] = [each for each in shipped().relatives.kinds if each.level == level]
        counted = sum(bits for comparison, (_, bits) in reached.items() if comparison in kind.counted)
        assert PRIOR + counted + found[level] == pytest.approx(left, abs=0.01)


def home(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    """A mother, a father, their twins, and a son of the father's name, at one address."""
    place = {"addresses": [address("LS1 4AP", "12 Hill Road")]}
    return [
        person(nhs_number(1), name("Ferreira", "Odette"), born="1971-04-16", gender="female", **place),
        person(nhs_number(2), name("Ferreira", "Anselm"), born="1969-11-02", gender="male", **place),
        person(nhs_number(3), name("Ferreira", "Junia"), born="2004-07-09", gender="female", **place),
        person(nhs_number(4), name("Ferreira", "Tamsin"), born="2004-07-09", gender="female", **place),
        person(nhs_number(5), name("Ferreira", "Anselm"), born="2001-03-21", gender="male", **place),
    ]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallIndex]:
    rare = {"ANSELM": 300, "ODETTE": 800, "JUNIA": 90, "TAMSIN": 4000}
    small = build(
        tmp_path_factory.mktemp("relatives"), home(), frequencies=Frequencies(POPULATION, {"FERREIRA": 900}, rare)
    )
    yield small
    small.reader.close()


def asked(index: SmallIndex, given: str, born: str, gender: str) -> tuple[Match, ...]:
    """Everybody found for a member of the family at home."""
    fields = {"family": "Ferreira", "given": given, "birth": born, "gender": gender, "postcode": "LS1 4AP"}
    return index.ask(Mode.WIDE, **fields).matches


@pytest.mark.parametrize(
    ("given", "born", "gender", "most"),
    [
        ("Bronwen", "2004-07-09", "female", 0.9),
        ("Lucius", "2002-05-30", "male", 0.1),
        ("Anselm", "2035-01-08", "male", 0.1),
    ],
)
def test_somebody_absent_of_the_family_is_not_taken_for_another(
    index: SmallIndex, given: str, born: str, gender: str, most: float
) -> None:
    """A third of the twins' day, a brother, a grandson of one name: those at home are possible, none is likely."""
    found = asked(index, given, born, gender)
    assert found
    assert all(match.posterior < most for match in found)
    assert any(item.comparison == COMPARISON for item in found[0].evidence)


@pytest.mark.parametrize("at", range(5))
def test_everybody_of_the_family_is_certain_of_their_own(index: SmallIndex, at: int) -> None:
    one = home()[at]
    held = one["names"][0]
    found = asked(index, held["given"][0], one["birth_date"], one["gender"])
    assert found[0].nhs_number == int(one["nhs_number"])
    assert found[0].grade is Grade.CERTAIN
    assert not any(item.comparison == COMPARISON for item in found[0].evidence)


def test_a_file_of_an_earlier_release_takes_nothing_back(index: SmallIndex) -> None:
    raw = json.loads(shipped_text())
    del raw["relatives"]
    before = index.matcher
    index.matcher = Matcher(Weights.parse(json.dumps(raw)))
    try:
        [first, *_] = asked(index, "Bronwen", "2004-07-09", "female")
    finally:
        index.matcher = before
    assert first.posterior > 0.4
    assert not any(item.comparison == COMPARISON for item in first.evidence)


@pytest.mark.parametrize("change", [{"people": 0}, {"people": "many"}, {"agree": None}])
def test_a_broken_pattern_is_refused(change: dict[str, Any]) -> None:
    raw = json.loads(shipped_text())
    raw["relatives"]["kinds"][0].update(change)
    with pytest.raises(ConfigurationError):
        Weights.parse(json.dumps(raw))
