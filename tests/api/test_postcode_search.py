"""The postcode search over HTTP: who lives or lived there, who is never found, who may ask, what is recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from search_api.patients.occupants import OCCUPANCY
from search_api.settings import Settings
from tests.lib import cast
from tests.lib.api import BASE, SIGNER, Api
from tests.lib.tokens import bearer, role

Json = dict[str, Any]

PATH = f"{BASE}/Patient/$postcode-search"
OLD_HOME = "DN15 7QW"


def keeper() -> str:
    """A token of a role with the activity of the postcode search and no other search."""
    return SIGNER.worker(role("S8000:G8000:R8013"))


def ask(api: Api, **params: Any) -> Any:
    return api.send("GET", PATH, keeper(), params=params)


def found(body: Json) -> list[str]:
    assert body["resourceType"] == "Bundle", body
    return [entry["resource"]["id"] for entry in body.get("entry", [])]


def occupancy(entry: Json) -> Json:
    (extension,) = entry["search"]["extension"]
    assert extension["url"] == OCCUPANCY
    return {part["url"]: part.get("valueBoolean", part.get("valuePeriod")) for part in extension["extension"]}


def test_who_lives_there_is_listed(api: Api) -> None:
    body = ask(api, postcode="dn158jy").json()
    assert found(body) == [cast.CUTHBERT]
    assert occupancy(body["entry"][0])["previous"] is False
    assert body["total"] == 1


def test_a_postcode_alone_is_enough_and_nobody_is_an_answer(api: Api) -> None:
    response = ask(api, postcode="ZE9 9ZZ")
    assert (response.status_code, found(response.json())) == (200, [])


def test_previous_occupants_only_when_asked_and_marked_with_their_dates(api: Api) -> None:
    assert found(ask(api, postcode=OLD_HOME).json()) == []
    body = ask(api, postcode=OLD_HOME, previous="true").json()
    assert found(body) == [cast.BILL]
    assert occupancy(body["entry"][0]) == {"previous": True, "period": {"start": "1990-01-01", "end": "2000-01-01"}}


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("1995-06-01", [cast.BILL]),
        ("ge1999-12-31", [cast.BILL]),
        ("ge2000-01-02", []),
        ("le1989-12-31", []),
        ("le1990-01-01", [cast.BILL]),
    ],
)
def test_effective_days(api: Api, days: str, expected: list[str]) -> None:
    assert found(ask(api, postcode=OLD_HOME, previous="true", effective=days).json()) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"family": "Cuthbert"}, [cast.CUTHBERT]),
        ({"family": "Cuth*"}, [cast.CUTHBERT]),
        ({"family": "Other"}, []),
        ({"given": "Joseph"}, [cast.CUTHBERT]),
        ({"given": "Maria"}, []),
        ({"birthdate": "1988-04-12"}, [cast.CUTHBERT]),
        ({"birthdate": "ge1989-01-01"}, []),
    ],
)
def test_names_and_birth_date_narrow(api: Api, more: Json, expected: list[str]) -> None:
    assert found(ask(api, postcode="DN15 8JY", **more).json()) == expected


def test_hidden_addresses_are_never_found(api: Api) -> None:
    assert found(ask(api, postcode=cast.HIDDEN_POSTCODE, previous="true").json()) == []


def test_restricted_people_are_never_found_by_where_they_live(api: Api) -> None:
    """Janet (restricted) and Vera (very restricted) have the address that every patient of the cast has by default."""
    with api.services.generations.pin() as generation:
        record = generation.replica.patient(int(cast.JANET))
        assert record is not None
        home = record.row["addresses"][0]["postcode"]
    body = ask(api, postcode=home, previous="true").json()
    shown = found(body)
    assert shown
    assert not set(shown) & {cast.JANET, cast.VERA, cast.CARER}
    for entry in body["entry"]:
        assert "meta" in entry["resource"]
    assert cast.JANET not in api.events()[-1]["patients"]
    named = ask(api, postcode=home, family="Smythe").json()
    assert (found(named), named["total"]) == ([], 0)


def test_too_many_are_not_listed_and_recorded_all_the_same(tmp_path: Path, served: Settings) -> None:
    with Api(tmp_path, served, postcode_results=20) as api:
        body = ask(api, postcode="LS5 3AA").json()
        assert (body["resourceType"], body["issue"][0]["code"]) == ("OperationOutcome", "multiple-matches")
        event = api.events()[-1]
        assert event["policy"] == "postcode-search"
        assert len(json.loads(event["patients"])) == 20
    with Api(tmp_path, served, postcode_results=60) as api:
        assert len(found(ask(api, postcode="LS5 3AA").json())) == 60


def test_everybody_shown_is_in_the_access_log(api: Api) -> None:
    ask(api, postcode="LS5 3AA", previous="true")
    event = api.events()[-1]
    assert (event["policy"], event["status"]) == ("postcode-search", 200)
    assert json.loads(event["patients"]) == [int(number) for number in cast.MANY]
    assert "LS5" not in json.dumps({key: value for key, value in event.items() if key != "patients"})


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "UNSUPPORTED_SERVICE"),
        ({"family": "Smith"}, "MISSING_VALUE"),
        ({"postcode": "LS1"}, "INVALID_VALUE"),
        ({"postcode": "LS1*"}, "INVALID_VALUE"),
        ({"postcode": "ZZ99 3VZ"}, "INVALID_SEARCH_DATA"),
        ({"postcode": "LS1 6AE", "gender": "male"}, "ADDITIONAL_PROPERTIES"),
        ({"postcode": "LS1 6AE", "previous": "yes"}, "INVALID_VALUE"),
        ({"postcode": "LS1 6AE", "birthdate": "20200101"}, "INVALID_VALUE"),
        ({"postcode": ["LS1 6AE", "LS1 6AF"]}, "TOO_MANY_VALUES_SUBMITTED"),
    ],
)
def test_what_is_no_search_is_refused(api: Api, params: Json, code: str) -> None:
    response = ask(api, **params)
    assert response.status_code == 400
    assert response.json()["issue"][0]["details"]["coding"][0]["code"] == code


def test_the_form_is_answered_alike(api: Api) -> None:
    sent = {"postcode": OLD_HOME, "previous": "true"}
    body = api.send("POST", PATH, keeper(), data=sent).json()
    assert found(body) == [cast.BILL]
    assert api.send("POST", PATH, keeper(), json=sent).status_code == 415


def test_only_its_own_activity_opens_it(api: Api) -> None:
    """B0264, the activity of every other search, does not."""
    params = {"postcode": "LS1 6AE"}
    for token in (SIGNER.clinician(), SIGNER.application()):
        assert api.send("GET", PATH, token, params=params).status_code == 403
    assert api.send("GET", PATH, headers=bearer(keeper(), **{"X-Request-ID": ""}), params=params).status_code == 400
