"""State of names, addresses and telecoms: the table of the rules in schemas/fhir/states.py."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.fhir.patient import patient_resource, patient_row
from tests.lib import resources as r

AS_AT = "2026-11-24T08:00:00+00:00"
OPEN = {"start": "2020-01-01"}
ENDED = {"start": "2010-01-01", "end": "2019-12-31"}


def states(column: str, field: str, *items: dict[str, Any], as_at: str | None = AS_AT) -> list[str]:
    row = patient_row(r.patient(**{field: list(items)}), as_at=as_at)
    return [value["state"] for value in row[column]]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        pytest.param([("usual", OPEN)], ["current"], id="one open name"),
        pytest.param([("usual", ENDED)], ["current"], id="ended with nothing in its place"),
        pytest.param([("usual", OPEN), ("usual", ENDED)], ["current", "historic"], id="replaced"),
        pytest.param([("usual", ENDED), ("usual", OPEN)], ["historic", "current"], id="order does not matter"),
        pytest.param([("usual", OPEN), ("nickname", ENDED)], ["current", "current"], id="another use replaces nothing"),
        pytest.param([("usual", OPEN), ("old", OPEN)], ["current", "historic"], id="use old"),
        pytest.param([("maiden", OPEN)], ["historic"], id="use maiden, alone"),
        pytest.param(
            [("usual", ENDED), ("usual", {"start": "2030-01-01"})], ["current", "current"], id="successor not begun"
        ),
        pytest.param(
            [("usual", {"end": "2026-11-24"}), ("usual", OPEN)], ["current", "current"], id="ends today: inside"
        ),
        pytest.param(
            [("usual", {"end": "2026-11-23"}), ("usual", OPEN)], ["historic", "current"], id="ended yesterday"
        ),
        pytest.param([("usual", {"end": "2026"}), ("usual", OPEN)], ["current", "current"], id="year not over"),
        pytest.param([("usual", {"end": "2025"}), ("usual", OPEN)], ["historic", "current"], id="year over"),
        pytest.param([("usual", {"end": "2026-10"}), ("usual", OPEN)], ["historic", "current"], id="month over"),
        pytest.param(
            [("usual", {"end": "2019-12-31T23:59:59+00:00"}), ("usual", OPEN)], ["historic", "current"], id="time"
        ),
        pytest.param([("usual", {"end": "soon"}), ("usual", OPEN)], ["current", "current"], id="no date"),
        pytest.param([("usual", ENDED), ("usual", ENDED)], ["current", "current"], id="both ended"),
        pytest.param([(None, ENDED), (None, OPEN)], ["historic", "current"], id="no use is a use of its own"),
    ],
)
def test_state_of_names(items: list[tuple[str | None, Any]], expected: list[str]) -> None:
    names = [
        {"family": f"N{place}", "period": period, **({"use": use} if use else {})}
        for place, (use, period) in enumerate(items)
    ]
    assert states("names", "name", *names) == expected
    addresses = [
        {"postalCode": "LS1 6AE", "period": period, **({"use": use} if use else {})}
        for use, period in items
        if use not in ("maiden",)
    ]
    if len(addresses) == len(items):
        assert states("addresses", "address", *addresses) == expected


def test_without_an_as_at_date_periods_decide_nothing() -> None:
    names = [r.name("A", period=ENDED), r.name("B", period=OPEN), r.name("C", use="old")]
    assert states("names", "name", *names, as_at=None) == ["current", "current", "historic"]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (r.telecom("01632 960000", "phone", "home"), ["historic", "current"]),
        (r.telecom("01632 960000", "phone", "mobile"), ["current", "current"]),
        (r.telecom("a@example.com", "email", "home"), ["current", "current"]),
        (r.textphone(), ["current", "current"]),
    ],
)
def test_a_telecom_is_replaced_by_its_own_system_and_use(other: dict[str, Any], expected: list[str]) -> None:
    ended = r.telecom("01632 960111", "phone", "home", period=ENDED)
    assert states("telecoms", "telecom", ended, other) == expected


def test_history_and_hidden_values_are_added_and_never_part_of_the_resource() -> None:
    resource = r.patient()
    behind = {"name": [r.name("Garton")], "address": [r.address("DN17 4AA")], "telecom": [r.telecom("01632960999")]}
    row = patient_row(
        resource, history={**behind, "gender": ["male"], "birthDate": ["1990-01-01"]}, hidden=behind, as_at=AS_AT
    )
    for column in ("names", "addresses", "telecoms"):
        assert [value["state"] for value in row[column]] == ["current", "historic", "hidden"]
    assert (row["former_genders"], row["former_birth_dates"]) == (["male"], ["1990-01-01"])
    assert row["source_json"] is None
    assert patient_resource(row) == resource


def test_a_historic_name_that_looks_like_one_of_the_resource_still_stays_behind_it() -> None:
    resource = r.patient()
    row = patient_row(resource, history={"name": [r.name("Garton", use="maiden")]}, as_at=AS_AT)
    assert [value["state"] for value in row["names"]] == ["current", "historic"]
    assert patient_resource(row) == resource
