"""How many candidates are compared: what the engine's score tells of keys, and that nothing is lost where all are.

Belongs here: signs, promise and the stop of a tolerant search. Does not belong here: levels and weights, rarities.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search_api.index.frequencies import Frequencies
from search_api.index.provider import CandidateSet, IndexReader, KeyQuery
from search_api.matching import blocking, promise
from search_api.matching.asked import ask
from search_api.matching.looking import WHOLE, Effort
from search_api.matching.matcher import Matcher
from search_api.matching.questions import DateRange, Mode, Question
from search_api.matching.rarity import PARTS, weigh
from search_api.settings import Settings
from tests.lib.index import address, build, name, nhs_number, person

ALL = Effort(unseen_odds=0.0, most_compared=10_000)
ASKING_ALL = Effort(settled_odds=0.0)
DAY = "1980-03-07"
FAMILIES = ("Smith", "Smyth", "Jones", "Patel", "Okafor", "Taylor", "Tailor", "Brown", "Begum", "Khan", "Nowak", "Li")
GIVENS = ("John", "Jon", "Mary", "Maria", "Ann", "Anne", "James", "Jim", "Aisha", "Wei", "Jane", "Jean")
POSTCODES = (
    "LS1 4AP",
    "M25 7HD",
    "B9 5QR",
    "SW11 2TN",
    "EH3 8WX",
    "CF10 6JL",
    "NE4 9GU",
    "BS8 3PZ",
    "L17 0DY",
    "OX2 6BE",
    "G12 5RK",
)
calm = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Crowd:
    """People who are all born on one day, as many as sixty million people have on one."""

    index: IndexReader
    frequencies: Frequencies


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    folder: Path = tmp_path_factory.mktemp("crowd")
    people = [
        person(
            nhs_number(serial),
            name(family, given),
            born=DAY if (serial // 3) % 4 else "1980-11-22",
            gender="female" if serial % 2 else "male",
            addresses=[address(POSTCODES[serial % len(POSTCODES)])],
        )
        for serial, (family, given) in enumerate((family, given) for family in FAMILIES for given in GIVENS)
    ]
    # One in a hundred bears each name, as of a common one.
    bearers = dict.fromkeys((word.upper() for word in FAMILIES), 600_000)
    many = Frequencies(60_000_000, bearers, dict.fromkeys((word.upper() for word in GIVENS), 600_000))
    small = build(folder / "index", people)
    yield Crowd(small.reader, many)
    small.reader.close()


class Watched:
    """A reader that tells how many payloads were read; ``blind``: without the letters of names."""

    def __init__(self, index: IndexReader, *, blind: bool = False) -> None:
        self._index, self._blind = index, blind
        self.read = 0
        self.found = 0
        self.asked: list[set[str]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._index, name)

    def candidates(self, query: KeyQuery) -> CandidateSet:
        found = self._index.candidates(query)
        self.found += len(found.numbers)
        self.asked.append({key for key, _ in query.keys})
        return replace(found, payloads=_Counted(self, found), letters=() if self._blind else found.letters)


class _Counted(tuple[bytes, ...]):
    def __new__(cls, _watched: Watched, found: CandidateSet) -> _Counted:
        return super().__new__(cls, found.payloads)

    def __init__(self, watched: Watched, _found: CandidateSet) -> None:
        self._watched = watched

    def __getitem__(self, at: object) -> bytes:  # type: ignore[override]
        self._watched.read += 1
        return super().__getitem__(at)  # type: ignore[call-overload, no-any-return]


def question(family: str, given: str, mode: Mode = Mode.WIDE, postcode: str | None = None) -> Question:
    return Question(mode, family=family, given=(given,), gender="male", birth=DateRange(DAY, DAY), postcode=postcode)


def test_few_are_compared_of_a_day_that_many_were_born_on(crowd: Crowd) -> None:
    watched = Watched(crowd.index)
    answer = Matcher().answer(question("Okafor", "James", postcode="B9 5QR"), watched, crowd.frequencies)  # type: ignore[arg-type]
    assert answer.matches
    assert watched.found > 2 * WHOLE
    assert watched.read < watched.found / 2
    assert answer.counters["compared"] == watched.read
    assert not answer.truncated


def homes(crowd: Crowd) -> Iterator[Question]:
    """One question for each person, as they are held."""
    for serial, (family, given_name) in enumerate(product(FAMILIES, GIVENS)):
        asked = question(family, given_name, postcode=POSTCODES[serial % len(POSTCODES)])
        yield replace(asked, gender="female" if serial % 2 else "male")


def test_who_is_beyond_doubt_is_found_by_a_few_keys(crowd: Crowd) -> None:
    """The best is the same as where all keys are asked, with the same evidence; nobody is added."""
    settled = 0
    for asked in homes(crowd):
        watched = Watched(crowd.index)
        few = Matcher().answer(asked, watched, crowd.frequencies)  # type: ignore[arg-type]
        whole = Matcher(effort=ASKING_ALL).answer(asked, crowd.index, crowd.frequencies)
        assert "settled" not in whole.counters
        assert len({match.nhs_number for match in few.matches}) == len(few.matches)
        assert {match.nhs_number for match in few.matches} <= {match.nhs_number for match in whole.matches}
        if few.counters.get("settled"):
            settled += 1
            assert len(watched.asked[0]) <= 5
            assert few.matches[0].posterior > 0.999
            assert few.matches[0].evidence == whole.matches[0].evidence
            assert few.matches[0].grade is whole.matches[0].grade
    assert settled > 50


@pytest.mark.parametrize(
    ("family", "given_name", "postcode"),
    [("Smith", "John", None), ("Smith", "John", "ZZ99 3VZ"), ("Zzyx", "Wolfgang", "LS1 4AP"), ("Smiht", "Jhon", "X")],
)
def test_where_nobody_is_beyond_doubt_all_keys_are_asked(
    crowd: Crowd, family: str, given_name: str, postcode: str | None
) -> None:
    asked, watched = question(family, given_name, postcode=postcode), Watched(crowd.index)
    once, all_keys = Effort(second_look_documents=0), Effort(second_look_documents=0, settled_odds=0.0)
    answer = Matcher(effort=once).answer(asked, watched, crowd.frequencies)  # type: ignore[arg-type]
    whole = Matcher(effort=all_keys).answer(asked, crowd.index, crowd.frequencies)
    assert "settled" not in answer.counters
    assert watched.read == answer.counters["compared"], "nobody is fetched twice"
    assert [(match.nhs_number, match.weight) for match in answer.matches] == [
        (match.nhs_number, match.weight) for match in whole.matches
    ]


@pytest.mark.parametrize("mode", [Mode.WIDE, Mode.FUZZY])
@pytest.mark.parametrize(("family", "given_name"), [("Smiht", "John"), ("Okafur", "Mary"), ("Tailer", "Anne")])
def test_a_name_that_is_another_is_seen_from_its_letters(
    crowd: Crowd, family: str, given_name: str, mode: Mode
) -> None:
    """Of those who share day and given name with the question, few are fetched, and the likely ones are the same. A wide
    search fetches them all the same where nobody is likely: somebody may have changed their name."""
    seeing, blind = Watched(crowd.index), Watched(crowd.index, blind=True)
    asked = question(family, given_name, mode)
    answers = [Matcher().answer(asked, each, crowd.frequencies) for each in (seeing, blind)]  # type: ignore[arg-type]
    likely = [[match.nhs_number for match in answer.matches if match.posterior > 0.001] for answer in answers]
    assert likely[0] == likely[1]
    assert seeing.read < blind.read or (mode is Mode.WIDE and seeing.read == blind.read)


@pytest.mark.parametrize(
    ("family", "effort", "asked_alone"),
    [
        ("Okafor", Effort(), False),
        ("Okafor", Effort(unseen_odds=1e-9, unseen_odds_doubtful=1e-9), True),
        ("", Effort(), True),
    ],
    ids=["unlikely", "unlikely, but too likely for the setting", "no family name: may be near"],
)
def test_day_sex_and_initial_find_somebody_only_where_that_may_matter(
    crowd: Crowd, family: str, effort: Effort, asked_alone: bool
) -> None:
    watched = Watched(crowd.index)
    asked = question(family, "James", Mode.FUZZY)
    Matcher(effort=effort).answer(asked, watched, crowd.frequencies)  # type: ignore[arg-type]
    assert any(key.startswith("c") for keys in watched.asked for key in keys) is asked_alone


@pytest.mark.parametrize("mode", [Mode.WIDE, Mode.FUZZY])
@pytest.mark.parametrize("most", [1, 5, 13, 20])
def test_no_more_are_compared_than_the_limit(crowd: Crowd, mode: Mode, most: int) -> None:
    """Nor are they where letters set some aside, who may be compared in the end."""
    for family in ("Smiht", "Okafur", "Zzyx"):
        asked = question(family, "John", mode)
        found = Matcher(effort=Effort(most_compared=most, second_look_documents=0)).answer(
            asked, crowd.index, crowd.frequencies
        )
        assert found.counters["compared"] <= most


def test_a_search_that_its_limit_cuts_says_so(crowd: Crowd) -> None:
    asked = question("Smith", "John")
    fewer = Matcher(effort=Effort(unseen_odds=0.0, most_compared=8)).answer(asked, crowd.index, crowd.frequencies)
    assert fewer.truncated
    assert fewer.counters["compared"] == 8
    assert not Matcher(effort=ALL).answer(asked, crowd.index, crowd.frequencies).truncated


@calm
@given(
    family=st.sampled_from([*FAMILIES, "Smiht", "Okafur", "Zzyx"]),
    given_name=st.sampled_from([*GIVENS, "Jhon", "Mry", "Bob"]),
    mode=st.sampled_from([Mode.WIDE, Mode.FUZZY]),
    postcode=st.sampled_from([None, "LS1 4AP", "B9 5QR", "ZZ99 3VZ"]),
)
def test_who_is_more_likely_than_not_is_found_without_comparing_all(
    crowd: Crowd, family: str, given_name: str, mode: Mode, postcode: str | None
) -> None:
    asked = question(family, given_name, mode, postcode)
    fewer = Matcher().answer(asked, crowd.index, crowd.frequencies)
    every = Matcher(effort=ALL).answer(asked, crowd.index, crowd.frequencies)
    kept = {match.nhs_number: match for match in fewer.matches}
    # Who is on the edge of being listed may be, where fewer others share the odds.
    listed = {number for number, match in kept.items() if match.posterior > 0.001}
    assert listed <= {match.nhs_number for match in every.matches}
    for match in every.matches:
        if match.posterior > 0.5:
            assert kept[match.nhs_number].evidence == match.evidence
            assert kept[match.nhs_number].grade == match.grade


@calm
@given(family=st.sampled_from(FAMILIES), given_name=st.sampled_from(GIVENS))
def test_the_score_tells_which_keys_a_document_has(crowd: Crowd, family: str, given_name: str) -> None:
    asked = ask(question(family, given_name, postcode="B9 5QR"))
    codes = blocking.codes_of(asked, crowd.frequencies)
    marks = promise.signs(asked, *codes)
    if marks is None:
        assert codes[0].own == codes[1].own
        return
    weighed = weigh(blocking.keys(asked, Mode.WIDE, crowd.frequencies, codes), crowd.frequencies, 2_000)
    signed = promise.signed(weighed.keys, marks)
    found = crowd.index.candidates(KeyQuery(signed, open_only=False, limit=1_000))
    held: dict[int, set[str]] = {number: set() for number in found.numbers}
    for key in signed:
        for number in crowd.index.candidates(KeyQuery((key,), open_only=False, limit=1_000)).numbers:
            held[number].add(key.key)
    rarity = {key.key: int(key.rarity) for key in signed}
    for number, worth in zip(found.numbers, found.worths, strict=True):
        sign = 0
        for key in held[number]:
            sign |= marks.of.get(key, 0)
        assert (worth // PARTS, worth % PARTS) == (sum(rarity[key] for key in held[number]), sign)


def test_signs_are_told_apart_and_fit_a_score(crowd: Crowd) -> None:
    asked = ask(question("Smith-Jones", "Anne Marie", postcode="B9 5QR"))
    marks = promise.signs(asked, *blocking.codes_of(asked, crowd.frequencies))
    assert marks is not None
    kinds: dict[int, set[str]] = {}
    for key, sign in marks.of.items():
        kinds.setdefault(sign, set()).add(key[0])
        assert 0 < sign < PARTS
        assert sign & (sign - 1) == 0
    assert all(len(kind) == 1 for kind in kinds.values())
    assert all(
        len([key for key, each in marks.of.items() if each == sign]) == 1 or "c" in kinds[sign] for sign in kinds
    )


@pytest.mark.parametrize("birth", [None, "1980", "1900-01-01"])
def test_without_a_whole_day_all_are_compared(birth: str | None, crowd: Crowd) -> None:
    dates = DateRange(birth, birth) if birth else None
    asked = ask(Question(Mode.WIDE, family="Smith", given=("John",), birth=dates))
    assert promise.signs(asked, *blocking.codes_of(asked, crowd.frequencies)) is None


def test_the_settings_are_the_effort() -> None:
    assert Effort.of(Settings()) == Effort()
