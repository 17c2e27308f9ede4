"""Letters beside documents: what they say of names, and what is indexed of a patient.

Belongs here: ``matching/lettering.py`` and the columns made for it. Does not belong here: how many are compared
(``tests/property/test_looking.py``).
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search_api.index.documents import documents
from search_api.index.frequencies import Frequencies
from search_api.matching.comparisons import CLOSE, EXACT, family_levels, given_levels
from search_api.matching.lettering import ANY, HALF, UNKNOWN, Lettering, letters
from tests.lib.index import frame, name, nhs_number, person

NAMES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=22)


def beside(family: int, given: int) -> int:
    """What stands beside a document: the letters of all family names below, of all given names above."""
    return family | given << HALF


@st.composite
def slips(draw: st.DrawFn) -> tuple[str, str]:
    """A name and the same with up to three letters changed, added or left out."""
    text = draw(NAMES)
    other = list(text)
    for _ in range(draw(st.integers(0, 3))):
        at, letter = draw(st.integers(0, len(other) - 1)), draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        match draw(st.sampled_from(("change", "add", "leave"))):
            case "change":
                other[at] = letter
            case "add":
                other.insert(at, letter)
            case _ if len(other) > 2:
                del other[at]
    return text, "".join(other)


@given(slips())
@example(("CHRISTOPHERSON", "CHRISTOFFERSEN"))
@settings(max_examples=2000, deadline=None)
def test_names_that_are_near_are_never_ruled_out(pair: tuple[str, str]) -> None:
    asked, held = pair
    lettering = Lettering([asked], [asked])
    if family_levels(asked, (asked,))[held] in (EXACT, CLOSE):
        assert lettering.family_near(beside(letters(held), letters("QUX")))
    if given_levels(asked)[held] in (EXACT, CLOSE) and asked != "QUX":
        assert lettering.given_near(beside(letters("QUX"), letters(held)))


@pytest.mark.parametrize(
    ("asked", "family", "given_held", "near"),
    [
        (["SMITH"], "SMYTHE", "JOHN", True),
        (["SMITH"], "OKAFOR", "JOHN", False),
        # Exchanged: the family name asked for is a given name held.
        (["JOHN"], "OKAFOR", "JOHN", True),
        # One part of a joined name.
        (["OKAFORJONES", "OKAFOR", "JONES"], "JONES", "MARY", True),
        # Nothing is known of initials, of names in other letters, of no name.
        (["SMITH"], "O", "JOHN", True),
        (["SMITH"], "ØSTERGÅRD", "JOHN", True),
        (["ØSTERGÅRD"], "SMITH", "JOHN", True),
        ([""], "SMITH", "JOHN", True),
    ],
)
def test_when_letters_rule_a_family_name_out(asked: list[str], family: str, given_held: str, near: bool) -> None:
    held = beside(letters(family), letters(given_held))
    assert Lettering(asked, ()).family_near(held) == near


@pytest.mark.parametrize(
    ("names", "family", "given_names"),
    [
        ([name("Li", "Wei")], letters("LI"), letters("WEI")),
        ([name("O'Brien", "Anne-Marie", "Jane")], letters("OBRIEN"), letters("ANNE MARIE JANE")),
        ([name("Li", "Wei"), name("Khan", "Aisha", state="historic")], letters("LI KHAN"), letters("WEI AISHA")),
        ([name("Li", "Wei"), name("Khan", "Aisha", state="hidden")], letters("LI"), letters("WEI")),
        # A placeholder, an initial, no given name, no name at all: they rule nothing out.
        ([name("Li", "Baby")], letters("LI"), ANY),
        ([name("Li", "W")], letters("LI"), ANY),
        ([name("Li")], letters("LI"), ANY),
        ([name("Li", "Wei"), name("Khan", state="historic")], letters("LI KHAN"), letters("WEI") | ANY),
        ([], ANY, ANY),
    ],
)
def test_the_letters_of_every_name_ever_held_stand_beside_the_document(
    names: list[dict[str, Any]], family: int, given_names: int
) -> None:
    others = [person(nhs_number(serial), name("Brown", "Zoe"), born="1980-03-07") for serial in (1, 3)]
    people = [others[0], person(nhs_number(2), *names, born="1980-03-07"), others[1]]
    found = {each.nhs_number: each.letters for each in documents(frame(people), Frequencies.empty())}
    assert found[nhs_number(2)] == beside(family, given_names)
    assert found[nhs_number(1)] == found[nhs_number(3)] == beside(letters("BROWN"), letters("ZOE"))


def test_what_is_not_known_rules_nothing_out() -> None:
    assert Lettering(["SMITH"], ["JOHN"]).family_near(UNKNOWN)
    assert Lettering(["SMITH"], ["JOHN"]).given_near(UNKNOWN)
