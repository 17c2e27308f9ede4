"""Properties of grades: what may never make anybody certain, whatever the evidence."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from search_api.matching.explain import waterfall
from search_api.matching.grading import grades, posteriors
from search_api.matching.person import Person
from search_api.matching.questions import Evidence, Grade, Match
from search_api.matching.scoring import Scored
from search_api.matching.weights import shipped

RULE = shipped().grades
POPULATIONS = st.integers(1, 100_000_000)
ORDER = list(Grade)


@st.composite
def evidence(draw: st.DrawFn) -> tuple[Evidence, ...]:
    """Any levels of the shipped file; a name is worth what its frequency makes it."""
    found = []
    for comparison, levels in shipped().levels.items():
        level = draw(st.sampled_from([None, *levels.values()]))
        if level is not None:
            bits = draw(st.floats(5, 17)) if level.frequency else level.weight
            found.append(Evidence(comparison, level.name, bits))
    return tuple(found)


@st.composite
def strong(draw: st.DrawFn) -> tuple[Evidence, ...]:
    """Names, birth date and sex as held, of any frequency: enough or not quite."""
    names = (Evidence(name, "exact", draw(st.floats(5, 17))) for name in ("family", "given"))
    return (*names, Evidence("birth_date", "exact", 13.9), Evidence("sex", "exact", 1.0))


def scored(held: tuple[Evidence, ...], population: int = 1_000_000, number: int = 1) -> Scored:
    someone = Person(number)
    return Scored(someone, held, shipped().prior(population) + sum(item.weight for item in held))


def certain(held: tuple[Evidence, ...], population: int = 1_000_000) -> bool:
    return grades([scored(held, population)], RULE)[0] is Grade.CERTAIN


def place(level: str) -> Evidence:
    return Evidence("postcode", level, shipped().levels["postcode"][level].weight)


@given(st.lists(evidence(), min_size=1, max_size=5), POPULATIONS)
def test_at_most_the_first_is_certain_and_grades_never_rise_again(
    held: list[tuple[Evidence, ...]], people: int
) -> None:
    ranked = sorted((scored(each, people, at) for at, each in enumerate(held)), key=lambda item: -item.weight)
    found = grades(ranked, RULE)
    assert Grade.CERTAIN not in found[1:]
    places = [ORDER.index(grade) for grade in found]
    assert places == sorted(places)


@given(st.lists(evidence(), max_size=6), POPULATIONS)
def test_chances_are_shares_of_one_whole(held: list[tuple[Evidence, ...]], people: int) -> None:
    chances = posteriors([scored(each, people).weight for each in held])
    assert all(0 <= chance <= 1 for chance in chances)
    assert sum(chances) <= 1 + 1e-9


@given(st.one_of(evidence(), strong()), POPULATIONS, POPULATIONS)
def test_more_people_never_make_anybody_certain(held: tuple[Evidence, ...], one: int, other: int) -> None:
    if certain(held, max(one, other)):
        assert certain(held, min(one, other))


@given(strong(), POPULATIONS, st.sampled_from(["other", "same_outcode", "same_sector", "near_area"]))
def test_a_place_that_does_not_agree_never_makes_certain_what_is_not_so_without_it(
    held: tuple[Evidence, ...], people: int, level: str
) -> None:
    """Namesakes live near each other: to be near is no reason, and to be elsewhere is one against."""
    if certain((*held, place(level)), people):
        assert certain(held, people)


@given(strong(), POPULATIONS)
def test_a_place_that_agrees_never_takes_certainty_away(held: tuple[Evidence, ...], people: int) -> None:
    if certain(held, people):
        assert certain((*held, place("exact")), people)


@given(evidence(), st.sampled_from(sorted((name, level) for name, levels in RULE.never.items() for level in levels)))
def test_a_level_that_forbids_certainty_does(held: tuple[Evidence, ...], forbidden: tuple[str, str]) -> None:
    name, level = forbidden
    others = tuple(item for item in held if item.comparison != name)
    assert not certain((*others, Evidence(name, level, 40.0)))


@given(evidence(), st.sampled_from(sorted(RULE.needs)))
def test_nobody_is_certain_without_what_certainty_needs(held: tuple[Evidence, ...], missing: str) -> None:
    assert not certain(tuple(replace(item, weight=40.0) for item in held if item.comparison != missing))


@given(strong(), st.floats(0, 20))
def test_a_runner_up_who_comes_closer_never_makes_the_first_certain(held: tuple[Evidence, ...], behind: float) -> None:
    first = scored((*held, place("exact")))
    near, far = (scored(held, number=2)._replace(weight=first.weight - gap) for gap in (behind, behind + 5))
    if grades([first, near], RULE)[0] is Grade.CERTAIN:
        assert grades([first, far], RULE)[0] is Grade.CERTAIN


@given(evidence(), POPULATIONS)
def test_the_explanation_adds_up_to_the_score(held: tuple[Evidence, ...], people: int) -> None:
    item, prior = scored(held, people), shipped().prior(people)
    steps = waterfall(Match(1, 1.0, 1.0, item.weight, Grade.POSSIBLE, held), prior)
    assert steps[-1].total == item.weight
    assert [step.comparison for step in steps] == ["prior", *(each.comparison for each in held)]
