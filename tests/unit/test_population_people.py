"""The synthetic people: British frequencies, households, rates within tolerance."""

from functools import lru_cache

import numpy as np
import polars as pl
import pytest

from sandbox.population.communities import COMMUNITIES, NAMES
from sandbox.population.dates import NEVER, REFERENCE, day_number
from sandbox.population.demographics import people
from sandbox.population.family_names import family_names
from sandbox.population.households import CHILD, PARTNER
from sandbox.population.people import FEMALE, People, Population
from sandbox.population.places import places
from sandbox.population.rates import RATES, Rates

COUNT, SEED = 200_000, 11


@lru_cache(maxsize=1)
def crowd() -> pl.DataFrame:
    return people(COUNT, SEED)


@lru_cache(maxsize=1)
def codes() -> People:
    return Population(SEED).people(0, COUNT)


def share_of(column: str, value: str) -> float:
    return float((crowd()[column] == value).mean())


def test_family_names_have_the_real_skew() -> None:
    shares = crowd()["family"].value_counts()["count"].to_numpy() / COUNT
    assert 0.0100 < float((shares**2).sum()) * 10 < 0.0125
    assert 0.0110 < share_of("family", "Smith") < 0.0132
    assert share_of("family", "Jones") > share_of("family", "Taylor") > share_of("family", "Metcalfe")


def test_the_tail_has_very_many_spellings() -> None:
    tail = codes().family >= family_names().body
    assert 0.10 < tail.mean() < 0.15
    assert len(np.unique(codes().family[tail])) > 0.5 * tail.sum() / 2.4


@pytest.mark.parametrize(("name", "community"), [("Begum", "muslim"), ("Kaur", "sikh"), ("Patel", "hindu"), ("Chan", "chinese")])  # fmt: skip
def test_names_follow_communities(name: str, community: str) -> None:
    bearers = crowd().filter(pl.col("family") == name)
    assert len(bearers) > 20
    assert float((bearers["community"] == community).mean()) > 0.4


def test_women_and_men_bear_different_names_where_custom_has_it() -> None:
    kaur, singh = (crowd().filter(pl.col("family") == name)["gender"] for name in ("Kaur", "Singh"))
    assert float((kaur == "female").mean()) > 0.95
    assert float((singh == "male").mean()) > 0.75


def test_no_mohammed_obrien() -> None:
    given = crowd().filter(pl.col("given").is_in(["Mohammed", "Muhammad", "Mohammad"]))
    assert float((given["community"].is_in(["muslim", "arabic", "african"])).mean()) > 0.9


def test_given_names_follow_the_year_of_birth() -> None:
    british = crowd().filter(pl.col("community") == "british")
    year = british["birth_date"].str.slice(0, 4).cast(pl.Int64)
    old, young = british.filter(year < 1950), british.filter(year > 2015)
    for name, era, other in (("Margaret", old, young), ("Olivia", young, old), ("John", old, young)):
        assert float((era["given"] == name).mean()) > 5 * float((other["given"] == name).mean())


def test_communities_have_their_shares_and_gather() -> None:
    for community in COMMUNITIES:
        assert share_of("community", community.name) == pytest.approx(community.share, rel=0.15)
    start, authorities = places().start, places().authorities
    muslim = codes().place[codes().community == NAMES.index("muslim")]
    homes = [authorities[place] for place in np.searchsorted(start, muslim, side="right") - 1]
    wanted = set(COMMUNITIES[NAMES.index("muslim")].areas)
    assert 0.5 < np.mean([home in wanted for home in homes]) < 0.8


def test_postcodes_are_real_english_ones() -> None:
    assert crowd()["postcode"].str.contains(r"^[A-Z]{1,2}[0-9][0-9A-Z]? [0-9][A-Z]{2}$").all()
    assert all(code.startswith("E") for code in places().authorities)
    assert {area for community in COMMUNITIES for area in community.areas} <= set(places().authorities)
    assert crowd()["postcode"].n_unique() > 50_000


def test_ages_are_plausible() -> None:
    living = codes().death == NEVER
    age = (day_number(REFERENCE) - codes().birth[living]) / 365.25
    assert 0.18 < (age < 18).mean() < 0.26
    assert 0.16 < (age >= 65).mean() < 0.22
    assert age.min() >= 0
    assert age.max() < 110
    assert 0.06 < 1 - living.mean() < 0.11
    dead = ~living
    assert np.all(codes().death[dead] >= codes().birth[dead])
    assert np.all(codes().death[dead] < day_number(REFERENCE))


def test_first_of_january_is_a_spike() -> None:
    share = float(crowd()["birth_date"].str.ends_with("-01-01").mean())
    assert 3 / 365 < share < 8 / 365


def test_households_share_an_address_and_often_a_name() -> None:
    made = codes()
    for column in (made.place, made.house):
        assert np.array_equal(column, column[made.head])
    children = np.flatnonzero(made.role == CHILD)
    assert 0.85 < (made.family[children] == made.family[made.head[children]]).mean() < 0.97
    size = COUNT / len(np.unique(made.head))
    assert 2.2 < size < 2.5


def test_twins_are_as_frequent_as_they_should_be() -> None:
    made = codes()
    children = (made.role == CHILD).sum()
    second = np.flatnonzero(made.twin == 2)
    maternities = children - len(second)
    assert len(second) / maternities == pytest.approx(RATES.twin_maternities, rel=0.2)
    assert np.array_equal(made.birth[second], made.birth[second - 1])
    assert np.array_equal(made.place[second], made.place[second - 1])
    assert np.array_equal(made.head[second], made.head[second - 1])


def test_married_women_have_a_name_of_birth() -> None:
    made = codes()
    wives = (made.role == PARTNER) & (made.sex == FEMALE)
    assert 0.5 < (made.family[wives] != made.own_family[wives]).mean() < 0.85


def test_rates_refuse_impossible_values() -> None:
    with pytest.raises(ValueError, match="restricted"):
        Rates(restricted=1.5)


def test_other_rates_make_other_people() -> None:
    many = Population(SEED, Rates(dead_single=0.9))
    few = Population(SEED, Rates(dead_single=0.0))
    assert (many.people(0, 5_000).death < NEVER).sum() > 3 * (few.people(0, 5_000).death < NEVER).sum()


def test_twins_have_names_of_their_own() -> None:
    made = Population(SEED).people(0, 400_000)
    second = np.flatnonzero(made.twin == 2)
    assert len(second) > 1_000
    assert not np.any(made.given[second] == made.given[second - 1])
