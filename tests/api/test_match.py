"""POST Patient/$match: FHIR's operation, and that restricted people stay hidden in it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lib import cast
from tests.lib.api import BASE, SIGNER, Api
from tests.lib.tokens import bearer

Json = dict[str, Any]

GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
JANE: Json = {
    "resourceType": "Patient",
    "name": [{"family": "Smith", "given": ["Jane"]}],
    "gender": "female",
    "birthDate": "2010-10-22",
    "address": [{"postalCode": "LS1 6AE"}],
    "telecom": [{"system": "phone", "value": "01632960587"}],
}


def match(api: Api, document: Json, token: str | None = None) -> Any:
    return api.send("POST", f"{BASE}/Patient/$match", token, json=document)


def parameters(resource: Json, **parts: Any) -> Json:
    items: list[Json] = [{"name": "resource", "resource": resource}]
    kinds = {"count": "valueInteger", "onlyCertainMatches": "valueBoolean"}
    items += [{"name": name, kinds[name]: value} for name, value in parts.items()]
    return {"resourceType": "Parameters", "parameter": items}


def found(body: Json) -> list[str]:
    return [entry["resource"]["id"] for entry in body.get("entry", []) if entry["search"]["mode"] == "match"]


def test_a_person_is_found_with_grade_and_explanation(api: Api) -> None:
    response = match(api, JANE)
    assert response.status_code == 200
    assert response.headers["ncrs-generation"]
    entry = response.json()["entry"][0]
    assert entry["resource"]["id"] == cast.JANE
    assert entry["search"]["mode"] == "match"
    assert 0.9 < entry["search"]["score"] <= 1
    urls = [extension["url"] for extension in entry["search"]["extension"]]
    assert urls == [GRADE, "urn:ncrs:fhir:StructureDefinition:match-explanation"]
    assert api.events()[-1]["policy"] == "patient-match"
    assert cast.JANE in api.events()[-1]["patients"]


def test_best_first(api: Api) -> None:
    scores = [entry["search"]["score"] for entry in match(api, JANE).json()["entry"]]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("birth", ["2010", "2010-10", "2010-10-22"])
def test_partial_birth_dates(api: Api, birth: str) -> None:
    assert found(match(api, {**JANE, "birthDate": birth}).json())[0] == cast.JANE


def test_a_misspelt_moved_and_mistyped_person_is_found(api: Api) -> None:
    wrong = {
        "resourceType": "Patient",
        "name": [{"family": "Cuthburt", "given": ["Joe"]}],
        "birthDate": "1988-12-04",
        "address": [{"postalCode": "DN15 8YJ"}],
    }
    assert found(match(api, wrong).json())[0] == cast.CUTHBERT


def test_count(api: Api) -> None:
    crowd = {"resourceType": "Patient", "name": [{"family": "Crowdson", "given": ["Pat"]}], "birthDate": "1980-05-17"}
    body = match(api, parameters(crowd, count=3)).json()
    assert len(found(body)) == 3
    outcome = body["entry"][-1]
    assert (outcome["search"]["mode"], outcome["resource"]["resourceType"]) == ("outcome", "OperationOutcome")
    assert outcome["resource"]["issue"][0]["code"] == "incomplete"


def test_only_certain_matches(api: Api) -> None:
    """Sixty people of one name and birthday: none of them is certain."""
    crowd = {"resourceType": "Patient", "name": [{"family": "Crowdson", "given": ["Pat"]}], "birthDate": "1980-05-17"}
    assert found(match(api, parameters(crowd)).json())
    assert not found(match(api, parameters(crowd, onlyCertainMatches=True)).json())


def test_an_application_gets_certain_matches_only(api: Api) -> None:
    crowd = {"resourceType": "Patient", "name": [{"family": "Crowdson", "given": ["Pat"]}], "birthDate": "1980-05-17"}
    assert not found(match(api, crowd, SIGNER.application()).json())


def identified(number: str, resource: Json) -> Json:
    return {**resource, "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": number}]}


CROWD: Json = {"resourceType": "Patient", "name": [{"family": "Crowdson", "given": ["Pat"]}], "birthDate": "1980-05-17"}


def test_a_number_picks_one_of_many(api: Api) -> None:
    body = match(api, identified(cast.MANY[7], CROWD)).json()
    assert found(body)[0] == cast.MANY[7]
    search = body["entry"][0]["search"]
    assert search["extension"][0] == {"url": GRADE, "valueCode": "certain"}
    assert "nhs_number" in str(search["extension"][1])
    assert body["entry"][1]["search"]["extension"][0]["valueCode"] != "certain"


def test_a_superseded_number_picks_the_record_that_replaced_it(api: Api) -> None:
    cuff = {"resourceType": "Patient", "name": [{"family": "Cuff", "given": ["Mary"]}], "birthDate": "1926-01-07"}
    body = match(api, identified(cast.OLD, cuff)).json()
    assert found(body) == [cast.NEW]
    assert "nhs_number" in str(body["entry"][0]["search"]["extension"])


def test_a_number_that_contradicts_the_demographics_makes_nobody_certain(api: Api) -> None:
    body = match(api, identified(cast.TUNNEY, JANE)).json()
    assert found(body)[0] == cast.JANE
    assert all(entry["search"]["extension"][0]["valueCode"] != "certain" for entry in body["entry"])


def test_a_number_alone_shows_nobody(api: Api) -> None:
    response = match(api, identified(cast.JANE, {"resourceType": "Patient"}))
    assert response.json()["issue"][0]["details"]["coding"][0]["code"] == "INVALID_SEARCH_DATA"


def test_a_number_with_a_wrong_check_digit_is_refused(api: Api) -> None:
    response = match(api, identified(cast.BAD_DIGIT, JANE))
    assert response.json()["issue"][0]["details"]["coding"][0]["code"] == "INVALID_VALUE"


def test_nobody(api: Api) -> None:
    nobody = {"resourceType": "Patient", "name": [{"family": "Xylophone", "given": ["Zed"]}], "birthDate": "1901-01-02"}
    body = match(api, nobody).json()
    assert body["total"] == 0
    assert "entry" not in body


@pytest.mark.parametrize("address", [{"postalCode": "LS1 6AE"}, {"line": ["1 Trevelyan Square"]}])
def test_restricted_people_are_never_matched_by_location(api: Api, address: Json) -> None:
    janet = {"resourceType": "Patient", "name": [{"family": "Smythe", "given": ["Janet"]}], "birthDate": "2005-06-16"}
    assert found(match(api, janet).json())[0] == cast.JANET
    assert cast.JANET not in found(match(api, {**janet, "address": [address]}).json())


def test_restricted_match_has_no_location(api: Api) -> None:
    janet = {"resourceType": "Patient", "name": [{"family": "Smythe", "given": ["Janet"]}], "birthDate": "2005-06-16"}
    resource = match(api, janet).json()["entry"][0]["resource"]
    assert not {"address", "telecom", "contact", "generalPractitioner"} & set(resource)


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("not json", {"content": b"{", "headers": {"Content-Type": "application/fhir+json"}}, 400, "INVALID_VALUE"),
    ("a form", {"data": {"family": "Smith"}}, 415, "UNSUPPORTED_REQUEST"),
    ("too large", {"json": {"resourceType": "Patient", "text": "x" * 1_000_001}}, 413, "UNSUPPORTED_REQUEST"),
    ("too little", {"json": {"resourceType": "Patient", "birthDate": "2010"}}, 400, "INVALID_SEARCH_DATA"),
]


@pytest.mark.parametrize(("what", "request_", "status", "spine"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(api: Api, what: str, request_: dict[str, Any], status: int, spine: str) -> None:
    more = dict(request_)
    headers = {**bearer(SIGNER.clinician()), **more.pop("headers", {})}
    response = api.send("POST", f"{BASE}/Patient/$match", headers=headers, **more)
    body = response.json()
    assert (response.status_code, body["issue"][0]["details"]["coding"][0]["code"]) == (status, spine), what
