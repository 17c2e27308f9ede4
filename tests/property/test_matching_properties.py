"""What must hold for any person and any question: found first, neutral when missing, never betrayed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from search_api.index.documents import documents
from search_api.index.frequencies import Frequencies
from search_api.matching import blocking
from search_api.matching.asked import ask, pattern
from search_api.matching.nicknames import related
from search_api.matching.questions import DateRange, Match, Mode, Question
from tests.lib.crowd import crowd
from tests.lib.index import SmallIndex, address, build, frame, name, nhs_number, person

COUNT = 2000
LETTERS = "ABCDEFGHIJKLMNOPRSTUVWY"
FORMAL = [
    "William",
    "Robert",
    "Elizabeth",
    "Margaret",
    "Joseph",
    "Katherine",
    "James",
    "Thomas",
    "Alexander",
    "Michael",
]
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _people() -> list[dict[str, Any]]:
    rows = crowd(COUNT, seed=11).to_dicts()
    for position, row in enumerate(rows):
        row["nhs_number"] = nhs_number(position + 1)
        if position % 10 == 0:
            row["names"][0]["given"][0] = FORMAL[position // 10 % len(FORMAL)]
    return rows


PEOPLE = _people()
OPEN = [row for row in PEOPLE if row["security"] == "U"]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallIndex]:
    small = build(tmp_path_factory.mktemp("properties"), PEOPLE)
    yield small
    small.reader.close()


def question(row: dict[str, Any], mode: Mode = Mode.WIDE) -> Question:
    """All of a person's current demographics."""
    current = row["names"][0]
    return Question(
        mode,
        family=current["family"],
        given=(current["given"][0],),
        gender=row["gender"],
        birth=DateRange(row["birth_date"], row["birth_date"]),
        postcode=row["addresses"][0]["postcode"],
    )


def answer(index: SmallIndex, asked: Question) -> tuple[Match, ...]:
    return index.matcher.answer(asked, index.reader, index.frequencies).matches


def is_first_or_tied(index: SmallIndex, asked: Question, row: dict[str, Any]) -> bool:
    found = answer(index, asked)
    best = [match.nhs_number for match in found if match.weight == found[0].weight]
    return row["nhs_number"] in best


people = st.sampled_from(OPEN)


@st.composite
def typos(draw: st.DrawFn, text: str) -> str:
    """One letter changed, dropped, added, or exchanged with the next."""
    at = draw(st.integers(0, len(text) - 1))
    letter = draw(st.sampled_from(LETTERS)).lower()
    kind = draw(st.sampled_from(["change", "drop", "add", "exchange"]))
    if kind == "change":
        return text[:at] + letter + text[at + 1 :]
    if kind == "drop" and len(text) > 2:
        return text[:at] + text[at + 1 :]
    if kind == "exchange" and at + 1 < len(text):
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + letter + text[at:]


@quick
@given(row=people, data=st.data())
@pytest.mark.parametrize("field", ["family", "given", "postcode"])
def test_one_typo_still_finds_the_person_first(
    index: SmallIndex, row: dict[str, Any], data: st.DataObject, field: str
) -> None:
    asked = question(row)
    if field == "given":
        asked = replace(asked, given=(data.draw(typos(asked.given[0])),))
    else:
        asked = replace(asked, **{field: data.draw(typos(getattr(asked, field)))})
    assert is_first_or_tied(index, asked, row)


@quick
@given(row=people, data=st.data())
def test_a_family_typo_without_location(index: SmallIndex, row: dict[str, Any], data: st.DataObject) -> None:
    asked = replace(question(row), postcode=None)
    asked = replace(asked, family=data.draw(typos(asked.family or "")))
    assert is_first_or_tied(index, asked, row)


@quick
@given(row=people)
def test_exchanged_names_find_the_person_first(index: SmallIndex, row: dict[str, Any]) -> None:
    asked = question(row)
    asked = replace(asked, family=asked.given[0], given=(asked.family or "",))
    assert is_first_or_tied(index, asked, row)


@quick
@given(row=people)
def test_exchanged_day_and_month_find_the_person_first(index: SmallIndex, row: dict[str, Any]) -> None:
    year, month, day = row["birth_date"].split("-")
    assume(int(day) <= 12)
    asked = replace(question(row), birth=DateRange(f"{year}-{day}-{month}", f"{year}-{day}-{month}"))
    assert is_first_or_tied(index, asked, row)


@quick
@given(row=people, data=st.data())
def test_one_wrong_digit_of_the_birth_date(index: SmallIndex, row: dict[str, Any], data: st.DataObject) -> None:
    year, month, day = row["birth_date"].split("-")
    wrong = data.draw(
        st.sampled_from(
            [f"{int(year) ^ 1}-{month}-{day}", f"{year}-{int(month) % 12 + 1:02d}-{day}", f"{year}-{month}-01"]
        )
    )
    assume(not (wrong.endswith("-31") or (wrong[5:7] == "02" and int(day) > 28)))
    asked = replace(question(row), birth=DateRange(wrong, wrong))
    assert is_first_or_tied(index, asked, row)


@quick
@given(row=st.sampled_from([row for row in OPEN if row["names"][0]["given"][0] in FORMAL]), data=st.data())
@pytest.mark.parametrize("mode", [Mode.WIDE, Mode.FUZZY])
def test_a_nickname_finds_the_person_first(
    index: SmallIndex, row: dict[str, Any], data: st.DataObject, mode: Mode
) -> None:
    nickname = data.draw(st.sampled_from(related(row["names"][0]["given"][0].upper())))
    asked = replace(question(row, mode), given=(nickname,))
    assert is_first_or_tied(index, asked, row)


@quick
@given(row=st.sampled_from([row for row in OPEN if len(row["names"]) > 1 and len(row["addresses"]) > 1]))
def test_old_name_and_old_address_find_the_person_first(index: SmallIndex, row: dict[str, Any]) -> None:
    asked = replace(question(row), family=row["names"][1]["family"], postcode=row["addresses"][1]["postcode"])
    assert is_first_or_tied(index, asked, row)
    match = next(match for match in answer(index, asked) if match.nhs_number == row["nhs_number"])
    assert any(item.previous for item in match.evidence)


@quick
@given(row=people, mode=st.sampled_from(list(Mode)))
def test_the_person_as_recorded_scores_one_in_pds_modes(index: SmallIndex, row: dict[str, Any], mode: Mode) -> None:
    found = answer(index, question(row, mode))
    assert found[0].nhs_number == row["nhs_number"]
    assert mode is Mode.WIDE or found[0].score == 1.0


AGREEING = ["gender", "postcode", "phone", "gp"]


@quick
@given(row=people, field=st.sampled_from(AGREEING))
def test_a_field_that_is_missing_in_the_record_lowers_nothing(
    tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any], field: str
) -> None:
    asked = replace(question(row), postcode=None, gp_code="X1", phones=("01130000009",), address_lines=("9 Elm",))
    asked = replace(asked, postcode="ZE3 9ZZ" if field == "postcode" else None)
    blank = {
        "gender": {"gender": None},
        "postcode": {"addresses": []},
        "phone": {"telecoms": []},
        "gp": {"gp_code": None},
    }
    bare = {**row, "gp_code": None, "telecoms": [], "addresses": [], **blank[field]}
    small = build(tmp_path_factory.mktemp("one"), [bare])
    with_field = answer(small, asked)[0].weight
    clean = replace(
        asked,
        gender=asked.gender if field != "gender" else None,
        postcode=None,
        gp_code=None,
        phones=(),
        address_lines=(),
    )
    without = answer(small, clean)[0].weight
    small.reader.close()
    assert with_field == without


@quick
@given(row=people, fields=st.sets(st.sampled_from(["gender", "postcode", "given"]), min_size=1))
def test_asking_less_of_what_agrees_never_finds_another_first(
    index: SmallIndex, row: dict[str, Any], fields: set[str]
) -> None:
    empty: dict[str, Any] = {"gender": None, "postcode": None, "given": ()}
    asked = replace(question(row), **{field: empty[field] for field in fields})
    found = answer(index, asked)
    assert row["nhs_number"] in [match.nhs_number for match in found]


@quick
@given(row=people, mode=st.sampled_from(list(Mode)), field=st.sampled_from(["postcode", "gp_code", "address_lines"]))
def test_restricted_people_never_appear_with_location(
    index: SmallIndex, row: dict[str, Any], mode: Mode, field: str
) -> None:
    values = {"postcode": "LS1 4AP", "gp_code": "Y12345", "address_lines": ("1 High Street",)}
    secret = next(other for other in PEOPLE if other["security"] == "R")
    asked = replace(question(secret, mode), postcode=None)
    assert secret["nhs_number"] in [match.nhs_number for match in answer(index, asked)]
    located = replace(asked, **{field: values[field]})
    assert secret["nhs_number"] not in [match.nhs_number for match in answer(index, located)]


@quick
@given(row=people, mode=st.sampled_from(list(Mode)))
def test_a_restricted_twin_changes_nothing_of_a_located_question(
    tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any], mode: Mode
) -> None:
    twin = {**row, "nhs_number": nhs_number(90_000), "security": "R"}
    counted = Frequencies.build([frame([row])])
    alone = build(tmp_path_factory.mktemp("alone"), [row], frequencies=counted)
    both = build(tmp_path_factory.mktemp("both"), [row, twin], frequencies=counted)
    asked = question(row, mode)
    one, other = (small.matcher.answer(asked, small.reader, small.frequencies) for small in (alone, both))
    alone.reader.close()
    both.reader.close()
    assert (one.matches, one.total, one.too_many, one.truncated) == (
        other.matches,
        other.total,
        other.too_many,
        other.truncated,
    )


@settings(max_examples=10, deadline=None)
@given(row=people, seed=st.integers(20, 10_000), mode=st.sampled_from([Mode.FUZZY, Mode.WIDE]))
def test_adding_unrelated_people_never_removes_a_match(
    tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any], seed: int, mode: Mode
) -> None:
    others = crowd(60, seed=seed).to_dicts()
    counted = Frequencies.build([frame([row])])
    alone = build(tmp_path_factory.mktemp("alone"), [row], frequencies=counted)
    crowded = build(tmp_path_factory.mktemp("crowded"), [*others, row], frequencies=counted)
    asked = question(row, mode)
    kept = [match.nhs_number for match in answer(alone, asked)]
    found = [match.nhs_number for match in answer(crowded, asked)]
    alone.reader.close()
    crowded.reader.close()
    assert kept == [row["nhs_number"]]
    assert kept[0] == found[0]


@quick
@given(row=people, mode=st.sampled_from(list(Mode)))
def test_the_same_question_gives_the_same_answer(index: SmallIndex, row: dict[str, Any], mode: Mode) -> None:
    asked = replace(question(row, mode), postcode=None, given=())
    first, second = (index.matcher.answer(asked, index.reader, index.frequencies) for _ in range(2))
    assert first == second
    order = [(-match.weight if mode is Mode.WIDE else -match.score, match.nhs_number) for match in first.matches]
    assert order == sorted(order)


@settings(max_examples=25, deadline=None)
@given(row=people, mode=st.sampled_from(list(Mode)))
def test_hidden_values_never_match(tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any], mode: Mode) -> None:
    hidden_name = name("Hiddenfamily", "Hiddengiven", state="hidden")
    cloaked = {
        **row,
        "names": [*row["names"], hidden_name],
        "addresses": [*row["addresses"], address("ZE3 9ZZ", state="hidden")],
    }
    small = build(tmp_path_factory.mktemp("hidden"), [cloaked])
    base = replace(question(row, mode), history=True)
    by_name = replace(base, family="Hiddenfamily", given=("Hiddengiven",), postcode=None)
    by_place = replace(base, postcode="ZE3 9ZZ")
    found_by_name, found_by_place = answer(small, by_name), answer(small, by_place)
    small.reader.close()
    assert not any(
        item.level == "exact"
        for match in found_by_name
        for item in match.evidence
        if item.comparison in ("family", "given")
    )
    assert mode is Mode.WIDE or found_by_name == ()
    assert not any(
        item.level.startswith("exact")
        for match in found_by_place
        for item in match.evidence
        if item.comparison == "postcode"
    )


@quick
@given(row=people)
def test_the_keys_of_a_question_are_keys_of_the_document(row: dict[str, Any]) -> None:
    """Both sides build the same words; a person asked for as recorded shares every own key."""
    document = next(documents(frame([row]), Frequencies.empty()))
    asked = ask(question(row))
    own = set(document.keys)
    wanted = blocking.keys(asked, Mode.WIDE, Frequencies.empty())
    for kind in "abcep":
        assert own & {key for key in wanted if key[0] == kind}, kind


@given(held=st.text("AB", max_size=9), typed=st.text("AB*", max_size=9))
def test_a_wildcard_means_any_letters_or_none(held: str, typed: str) -> None:
    text = f"{typed}*"
    assert bool(pattern(text).fullmatch(held)) == bool(re.fullmatch(text.replace("*", ".*"), held))


def test_many_wildcards_take_no_longer_than_few() -> None:
    """Tried at every place, sixteen wildcards over one letter would take days."""
    assert not pattern("A" + "*A" * 16 + "*B").fullmatch("A" * 60)


def test_a_question_without_enough_has_no_key() -> None:
    bare = ask(Question(Mode.WIDE, family="Smith"))
    assert blocking.keys(bare, Mode.WIDE, Frequencies.empty()) == []
    only_date = ask(Question(Mode.WIDE, birth=DateRange("1980-02-03", "1980-02-03")))
    assert blocking.keys(only_date, Mode.WIDE, Frequencies.empty()) == []


def test_wide_without_any_key_or_name_finds_nobody(index: SmallIndex) -> None:
    assert index.numbers(Mode.WIDE, gender="female") == []


def test_nobody_is_found_in_an_empty_index(tmp_path_factory: pytest.TempPathFactory) -> None:
    small = build(tmp_path_factory.mktemp("empty"), [person(nhs_number(1), security="REDACTED")])
    assert small.reader.count() == 0
    for mode in Mode:
        assert small.numbers(mode, family="Smith", given="John", birth="1980-02-03") == []
    assert small.reader.checksum() == "0" * 16
    small.reader.close()
