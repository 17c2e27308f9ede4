"""PDS's parameter rules, one row each: pds.md 1.1, 1.2, 1.6 and 4.2.

Belongs here: what a search's parameters lead to before anybody is searched for. Rows marked "ours" are
choices where the sheet is silent. The same rules over HTTP: ``test_pds_search_api.py``.
"""

from __future__ import annotations

from typing import Any

import pytest

from search_api.access.context import AccessMode
from search_api.errors import SpineError
from search_api.matching.questions import DateRange, Mode
from search_api.patients.asked import Search, check_mode, read_search
from search_api.patients.parameters import BY_NAME, PARAMETERS
from search_api.settings import Settings

Items = list[tuple[str, str]]

HCW, APP, PRIVILEGED = AccessMode.HEALTHCARE_WORKER, AccessMode.APPLICATION, AccessMode.PRIVILEGED_APPLICATION
BASE: Items = [("family", "Smith"), ("birthdate", "eq2010-10-22")]
FUZZY: Items = [("_fuzzy-match", "true"), ("family", "Smith"), ("given", "Jane"), ("birthdate", "eq2010-10-22")]
NO_BIRTH = "Missing value - 'birth_date/birth_date_range_start/birth_date_range_end'"
NO_SEARCH = (
    "Invalid search data provided - 'No searches were performed as the search criteria did not meet the minimum "
    "requirements'"
)
NO_FUZZY = (
    "Invalid search data provided - 'A fuzzy search was requested however the data given did not meet the fuzzy "
    "search criteria'"
)


def extra(name: str) -> str:
    return f"Invalid request with error - Additional properties are not allowed ({name} unexpected)"


def invalid(value: str, field: str) -> str:
    return f"Invalid value - '{value}' in field '{field}'"


REFUSED: list[tuple[str, Items, str, str | None]] = [
    # pds.md 1.2: what is said when the minimum is not met
    ("1.2 no parameters", [], "UNSUPPORTED_SERVICE", None),
    ("1.2 only gender", [("gender", "female")], "MISSING_VALUE", NO_BIRTH),
    ("1.2 only email and phone", [("email", "j@example.com"), ("phone", "0163")], "MISSING_VALUE", NO_BIRTH),
    ("1.2 birthdate only", [("birthdate", "eq2010-10-22")], "INVALID_SEARCH_DATA", NO_SEARCH),
    ("1.2 no family", [("given", "Jane"), ("birthdate", "eq2010-10-22")], "INVALID_SEARCH_DATA", NO_SEARCH),
    ("1.2 postcode only", [("address-postalcode", "LS1 4AP")], "MISSING_VALUE", NO_BIRTH),
    ("1.2 fuzzy wildcard", [*FUZZY[:2], ("given", "Jan*"), FUZZY[3]], "INVALID_SEARCH_DATA", NO_FUZZY),
    ("1.2 fuzzy wildcard postcode", [*FUZZY, ("address-postalcode", "LS*")], "INVALID_SEARCH_DATA", NO_FUZZY),
    ("1.2 fuzzy early wildcard", [*FUZZY[:2], ("given", "J*"), FUZZY[3]], "INVALID_SEARCH_DATA", NO_FUZZY),
    ("1.2 fuzzy family and birthdate", [FUZZY[0], *BASE], "INVALID_SEARCH_DATA", NO_FUZZY),
    ("1.2 fuzzy without postcode", [FUZZY[0], *BASE, ("gender", "female")], "INVALID_SEARCH_DATA", NO_FUZZY),
    ("1.2 fuzzy without birthdate", FUZZY[:3], "MISSING_VALUE", NO_BIRTH),
    (
        "1.2 date format",
        [("family", "Smith"), ("birthdate", "20101022")],
        "INVALID_VALUE",
        invalid("20101022", "birthdate"),
    ),
    ("1.2 death date format", [*BASE, ("death-date", "20101022")], "INVALID_VALUE", invalid("20101022", "death-date")),
    ("1.2 one unknown", [*BASE, ("year", "2003")], "ADDITIONAL_PROPERTIES", extra("'year' was")),
    (
        "1.2 several unknown",
        [("manufacturer", "Ford"), ("model", "focus"), ("year", "2003")],
        "ADDITIONAL_PROPERTIES",
        extra("'manufacturer', 'model', 'year' were"),
    ),
    # pds.md 1.2: the order of checks
    (
        "1.2 order: unknown before dates",
        [("year", "1"), ("birthdate", "x")],
        "ADDITIONAL_PROPERTIES",
        extra("'year' was"),
    ),
    (
        "1.2 order: birth before death",
        [("death-date", "d"), ("birthdate", "b")],
        "INVALID_VALUE",
        invalid("b", "birthdate"),
    ),
    ("1.2 order: death date before missing birth", [("death-date", "d")], "INVALID_VALUE", invalid("d", "death-date")),
    ("1.2 order: birth before family", [("given", "Jane")], "MISSING_VALUE", NO_BIRTH),
    # pds.md 1.1: single parameters
    ("1.1 family of 36", [("family", "S" * 36), BASE[1]], "INVALID_VALUE", invalid("S" * 36, "family")),
    ("1.1 given of 36", [*BASE, ("given", "J" * 36)], "INVALID_VALUE", invalid("J" * 36, "given")),
    ("1.1 wildcard first", [("family", "*mith"), BASE[1]], "INVALID_VALUE", invalid("*mith", "family")),
    ("1.1 wildcard second", [("family", "S*"), BASE[1]], "INVALID_VALUE", invalid("S*", "family")),
    ("1.1 wildcard in given", [*BASE, ("given", "J*")], "INVALID_VALUE", invalid("J*", "given")),
    (
        "1.1 wildcard in postcode",
        [*BASE, ("address-postalcode", "L*")],
        "INVALID_VALUE",
        invalid("L*", "address-postalcode"),
    ),
    ("1.1 gender", [*BASE, ("gender", "mal")], "INVALID_VALUE", invalid("mal", "gender")),
    (
        "1.1 managing-organization",
        [*BASE, ("managing-organization", "Y1")],
        "ADDITIONAL_PROPERTIES",
        extra("'managing-organization' was"),
    ),
    ("1.1 max-results 0", [*BASE, ("_max-results", "0")], "INVALID_VALUE", invalid("0", "_max-results")),
    ("1.1 max-results 51", [*BASE, ("_max-results", "51")], "INVALID_VALUE", invalid("51", "_max-results")),
    ("1.1 max-results word", [*BASE, ("_max-results", "ten")], "INVALID_VALUE", invalid("ten", "_max-results")),
    ("1.1 fuzzy-match word", [*BASE, ("_fuzzy-match", "yes")], "INVALID_VALUE", invalid("yes", "_fuzzy-match")),
    ("1.1 history word", [*BASE, ("_history", "1")], "INVALID_VALUE", invalid("1", "_history")),
    ("1.1 exact-match word", [*BASE, ("_exact-match", "")], "INVALID_VALUE", invalid("", "_exact-match")),
    (
        "1.1 prefix gt",
        [("family", "Smith"), ("birthdate", "gt2010-10-22")],
        "INVALID_VALUE",
        invalid("gt2010-10-22", "birthdate"),
    ),
    (
        "1.1 date with time",
        [("family", "Smith"), ("birthdate", "2010-10-22T00:00")],
        "INVALID_VALUE",
        invalid("2010-10-22T00:00", "birthdate"),
    ),
    ("1.1 year only", [("family", "Smith"), ("birthdate", "2010")], "INVALID_VALUE", invalid("2010", "birthdate")),
    # ours, where the sheet is silent
    (
        "ours: both postcodes",
        [*BASE, ("address-postcode", "LS1"), ("address-postalcode", "LS1")],
        "INVALID_SEARCH_DATA",
        None,
    ),
    (
        "ours: no such day",
        [("family", "Smith"), ("birthdate", "2010-02-30")],
        "INVALID_VALUE",
        invalid("2010-02-30", "birthdate"),
    ),
    ("ours: empty birthdate", [("family", "Smith"), ("birthdate", "")], "INVALID_VALUE", invalid("", "birthdate")),
    ("ours: empty family", [("family", ""), BASE[1]], "INVALID_VALUE", invalid("", "family")),
    ("ours: blank given", [*BASE, ("given", " ")], "INVALID_VALUE", invalid(" ", "given")),
    (
        "ours: two families",
        [*BASE, ("family", "Jones")],
        "TOO_MANY_VALUES_SUBMITTED",
        "Too many values submitted - ['Smith', 'Jones'] in field 'family'",
    ),
    ("ours: three birthdates", [*BASE, BASE[1], BASE[1]], "TOO_MANY_VALUES_SUBMITTED", None),
    ("ours: control character", [("family", "Smi\x00th"), BASE[1]], "INVALID_VALUE", None),
    ("ours: unknown mode", [*BASE, ("_ncrs-mode", "wild")], "INVALID_VALUE", invalid("wild", "_ncrs-mode")),
    ("ours: wide with one field", [("_ncrs-mode", "wide"), ("family", "Smith")], "INVALID_SEARCH_DATA", None),
    ("ours: wide with a wildcard", [("_ncrs-mode", "wide"), ("family", "Sm*"), BASE[1]], "INVALID_SEARCH_DATA", None),
]


@pytest.mark.parametrize(("rule", "items", "code", "diagnostics"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(rule: str, items: Items, code: str, diagnostics: str | None) -> None:
    with pytest.raises(SpineError) as raised:
        read_search(items, HCW, Settings())
    assert raised.value.spine_code == code, rule
    assert raised.value.status == 400
    if diagnostics is not None or code == "UNSUPPORTED_SERVICE":
        assert raised.value.diagnostics == diagnostics


ACCEPTED: list[tuple[str, Items, dict[str, Any]]] = [
    (
        "1.2 family and birthdate",
        BASE,
        {"mode": Mode.FILTER, "family": "Smith", "birth": DateRange("2010-10-22", "2010-10-22")},
    ),
    ("1.1 prefix left out", [BASE[0], ("birthdate", "2010-10-22")], {"birth": DateRange("2010-10-22", "2010-10-22")}),
    ("1.1 ge", [BASE[0], ("birthdate", "ge2010-10-22")], {"birth": DateRange("2010-10-22", None)}),
    ("1.1 le", [BASE[0], ("birthdate", "le2010-10-22")], {"birth": DateRange(None, "2010-10-22")}),
    (
        "1.1 range",
        [BASE[0], ("birthdate", "le2010-10-23"), ("birthdate", "ge2010-10-21")],
        {"birth": DateRange("2010-10-21", "2010-10-23")},
    ),
    ("1.1 death range", [*BASE, ("death-date", "le2019-02-28")], {"death": DateRange(None, "2019-02-28")}),
    ("1.1 given repeats", [*BASE, ("given", "John Paul"), ("given", "James")], {"given": ("John Paul", "James")}),
    ("1.1 wildcard third", [("family", "Sm*"), BASE[1]], {"family": "Sm*"}),
    ("1.1 family of 35", [("family", "S" * 35), BASE[1]], {"family": "S" * 35}),
    ("1.1 old postcode name", [*BASE, ("address-postcode", "LS1 4AP")], {"postcode": "LS1 4AP"}),
    ("1.1 malformed postcode is no error", [*BASE, ("address-postalcode", "DN15258JY")], {"postcode": "DN15258JY"}),
    ("1.1 practice", [*BASE, ("general-practitioner", "y12345")], {"gp_code": "y12345"}),
    (
        "1.1 phone and email",
        [*BASE, ("phone", "01632"), ("email", "A@b.c")],
        {"phones": ("01632",), "emails": ("A@b.c",)},
    ),
    ("1.1 history", [*BASE, ("_history", "true")], {"history": True}),
    ("1.1 no history by default", BASE, {"history": False, "exact_only": False, "limit": 50}),
    ("1.1 exact", [*BASE, ("_exact-match", "true")], {"exact_only": True}),
    ("1.1 max-results", [*BASE, ("_max-results", "7")], {"limit": 7}),
    ("1.1 sandbox's history passes unused", [*BASE, ("history", "true")], {"history": False}),
    ("1.2 fuzzy by names", FUZZY, {"mode": Mode.FUZZY, "history": True}),
    ("1.2 fuzzy range", [*FUZZY[:3], ("birthdate", "ge2000-05-03")], {"birth": DateRange("2000-05-03", None)}),
    (
        "1.2 fuzzy family",
        [FUZZY[0], *BASE, ("gender", "male"), ("address-postalcode", "LS1 4AP")],
        {"mode": Mode.FUZZY},
    ),
    (
        "1.2 fuzzy given",
        [FUZZY[0], ("given", "Jane"), BASE[1], ("gender", "male"), ("address-postcode", "LS1 4AP")],
        {"mode": Mode.FUZZY, "family": None},
    ),
    (
        "ours: wide",
        [("_ncrs-mode", "wide"), ("family", "Smith"), ("given", "Jane")],
        {"mode": Mode.WIDE, "history": True},
    ),
    (
        "ours: wide partial date",
        [("_ncrs-mode", "wide"), ("family", "Smith"), ("birthdate", "1980-02")],
        {"birth": DateRange("1980-02", "1980-02")},
    ),
    ("ours: pds mode is the default", [*BASE, ("_ncrs-mode", "pds")], {"mode": Mode.FILTER}),
]


@pytest.mark.parametrize(("rule", "items", "expected"), ACCEPTED, ids=[row[0] for row in ACCEPTED])
def test_accepted(rule: str, items: Items, expected: dict[str, Any]) -> None:
    question = read_search(items, HCW, Settings()).question
    assert {name: getattr(question, name) for name in expected} == expected, rule


def test_contradicting_dates_match_nobody() -> None:
    items = [("family", "Smith"), ("birthdate", "ge2010-10-23"), ("birthdate", "le2010-10-21")]
    assert read_search(items, HCW, Settings()).impossible


def test_explanations_are_asked_for() -> None:
    assert read_search(BASE, HCW, Settings()) == Search(read_search(BASE, HCW, Settings()).question, explain=False)
    explained = read_search([*BASE, ("_ncrs-explain", "true")], HCW, Settings())
    assert explained.explain
    assert explained.question.graded
    assert not read_search(BASE, HCW, Settings()).question.graded


@pytest.mark.parametrize("mode", [APP, PRIVILEGED])
def test_an_application_gets_one_unique_match(mode: AccessMode) -> None:
    """pds.md 1.6: absent means 1, another value is 403 with issue code token."""
    check_mode(BASE, mode)
    assert read_search(BASE, mode, Settings()).question.limit == 1
    check_mode([*BASE, ("_max-results", "1")], mode)
    with pytest.raises(SpineError) as raised:
        check_mode([*BASE, ("_max-results", "2")], mode)
    error = raised.value
    assert (error.status, error.spine_code, error.issue_code) == (403, "INVALID_VALUE", "token")
    assert error.display == f"Cannot retrieve more than one result with {mode.value} access token"
    assert error.diagnostics == (
        "Your app has insufficient permissions to perform this search. Please contact support."
    )


def test_a_worker_may_ask_for_more_than_one() -> None:
    check_mode([*BASE, ("_max-results", "50")], HCW)


def test_the_history_alias_is_a_setting() -> None:
    with pytest.raises(SpineError, match="ADDITIONAL_PROPERTIES"):
        read_search([*BASE, ("history", "true")], HCW, Settings(accept_history_alias=False))


@pytest.mark.parametrize(("found", "located"), [(True, False), (False, True)])
@pytest.mark.parametrize("contact", [("phone", "01632960587"), ("email", "a@example.com")])
def test_whether_a_contact_counts_as_a_location_is_a_setting(
    contact: tuple[str, str], found: bool, located: bool
) -> None:
    items = [("family", "Smythe"), ("birthdate", "2005-06-16"), contact]
    search = read_search(items, HCW, Settings(restricted_found_by_contact=found))
    assert search.question.asks_location is located


def test_the_catalogue_is_the_sheet() -> None:
    """pds.md 1.1 lists these, and everything else that we take begins with _ncrs-."""
    theirs = {row.name for row in PARAMETERS if not row.ours}
    assert theirs == {
        "family", "given", "gender", "birthdate", "death-date", "address-postalcode", "address-postcode",
        "general-practitioner", "phone", "email", "_fuzzy-match", "_exact-match", "_history", "_max-results",
    }  # fmt: skip
    assert all(name.startswith("_ncrs-") for name, row in BY_NAME.items() if row.ours)
