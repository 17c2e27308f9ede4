"""Every patient shown or matched is in the audit log before the answer leaves, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from search_api.settings import Settings
from tests.lib import cast
from tests.lib.api import BASE, SIGNER, Api
from tests.lib.tokens import ORGANISATION, ROLE_ID, USER_ID, bearer

Json = dict[str, Any]

SEARCHES: list[tuple[str, Json, list[str], str]] = [
    ("one", {"family": "Smith", "birthdate": "2010-10-22"}, [cast.JANE], "mode=filter matched=1"),
    ("four", {"family": "Youds", "birthdate": "1970-01-21"}, cast.YOUDS, "mode=filter matched=4"),
    ("none", {"family": "Nobody", "birthdate": "2010-10-22"}, [], "mode=filter matched=0"),
    ("superseding", {"family": "Cuff", "birthdate": "1926-01-07"}, [cast.NEW], "mode=filter matched=1"),
]


@pytest.mark.parametrize(("what", "params", "numbers", "detail"), SEARCHES, ids=[row[0] for row in SEARCHES])
def test_everyone_matched_is_recorded(api: Api, what: str, params: Json, numbers: list[str], detail: str) -> None:
    api.search(**params)
    event = api.events()[-1]
    assert event["patients"] == f"[{','.join(numbers)}]", what
    assert (event["policy"], event["status"], event["detail"]) == ("patient-search", 200, detail)


def test_too_many_is_recorded_with_its_count(api: Api) -> None:
    """None is shown; those the index gave are recorded all the same, up to the limit."""
    shown = api.search(family="Crowdson", birthdate="1980-05-17")
    event = api.events()[-1]
    assert event["detail"] == "TOO_MANY_MATCHES matched=51"
    assert json.loads(event["patients"]) == [int(number) for number in cast.MANY[:50]]
    assert not any(number in shown.text for number in cast.MANY)


def test_who_where_and_which_generation(api: Api) -> None:
    headers = bearer(SIGNER.clinician(), **{"X-Correlation-ID": "c1", "NHSD-End-User-Organisation-ODS": "A83008"})
    response = api.send("GET", f"{BASE}/Patient/{cast.JANE}", headers=headers)
    event = api.events()[-1]
    assert (event["user_id"], event["role_profile_id"], event["organisation"]) == (USER_ID, ROLE_ID, ORGANISATION)
    assert event["end_user_organisation"] == "A83008"
    assert event["request_id"] == headers["X-Request-ID"]
    assert event["correlation_id"] == "c1"
    assert event["generation"] == response.headers["ncrs-generation"]


def test_a_query_never_enters_the_log(api: Api) -> None:
    api.search(family="Zebrafish", given="Quixote", birthdate="1911-01-11", address_postalcode="ZE2 9XX")
    kept = str(api.events()[-1])
    for value in ("Zebrafish", "Quixote", "1911", "ZE2"):
        assert value not in kept


def test_events_and_answers_agree(tmp_path: Path, served: Settings) -> None:
    """X6: one event an answer that shows or may show a patient, refusals included."""
    with Api(tmp_path, served) as fresh:
        fresh.search(family="Smith", birthdate="2010-10-22")
        fresh.get(f"/Patient/{cast.JANE}")
        fresh.get(f"/Patient/{cast.UNKNOWN}")
        fresh.get(f"/Patient/{cast.JANE}", SIGNER.ops())
        fresh.search(year="2003")  # refused before anybody was searched for
        fresh.send("GET", "/livez", headers={})
        statuses = [(event["policy"], event["status"]) for event in fresh.events()]
    assert statuses == [("patient-search", 200), ("patient-read", 200), ("patient-read", 404), ("patient-read", 403)]


@pytest.mark.parametrize(
    "path",
    ["/Patient?family=Smith&birthdate=2010-10-22", f"/Patient/{cast.JANE}", f"/Patient/{cast.CARED}/RelatedPerson",
     f"/Patient/{cast.JANE}/$everything"],
)  # fmt: skip
def test_nothing_is_shown_when_the_log_cannot_be_written(tmp_path: Path, served: Settings, path: str) -> None:
    """R5: the table is gone, so no event can be durable."""
    with Api(tmp_path, served, audit_timeout=2.0) as broken:
        assert broken.get(path.replace("Smith", "Nobody")).status_code == 200
        with broken.services.audit.engine.begin() as connection:
            connection.execute(text("ALTER TABLE access_event RENAME TO gone"))
        response = broken.get(path)
        assert response.status_code == 503
        assert response.headers["retry-after"] == "5"
        assert response.json()["issue"][0]["details"]["coding"][0]["code"] == "SERVICE_UNAVAILABLE"
        assert "Smith" not in response.text
        assert "entry" not in response.text
