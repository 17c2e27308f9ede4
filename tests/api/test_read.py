"""GET Patient/{id}: pds.md 2.1, 1.9, 1.10 and 2.2 over HTTP, on the cast's generation."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lib import cast
from tests.lib.api import BASE, SIGNER, Api
from tests.lib.resources import full_patient
from tests.lib.tokens import bearer

Json = dict[str, Any]

EVERY_ATTRIBUTE = "privileged_application"  # the sandbox's privileged application has all three


def code(body: Json) -> str:
    return str(body["issue"][0]["details"]["coding"][0]["code"])


def test_a_full_record_comes_back_equal(api: Api) -> None:
    """Every field and extension of the sheet, to a caller whose application may have all of it."""
    assert api.get(f"/Patient/{cast.JANE}", SIGNER.privileged_application()).json() == full_patient(cast.JANE)


def test_a_worker_gets_the_record_but_for_the_gates(api: Api) -> None:
    """2.2: the portal has the attribute for consent, not those for blank lines and removal reasons."""
    expected = full_patient(cast.JANE)
    temporary = expected["address"][1]
    temporary["line"] = ["Flat 2", "Boar Lane", "Leeds"]
    del temporary["_line"]
    assert api.get(f"/Patient/{cast.JANE}").json() == expected


@pytest.mark.parametrize(("token", "shown"), [("clinician", "ORR"), ("application", "ORR"), (EVERY_ATTRIBUTE, "AFN")])
def test_confidential_removal_reason(api: Api, token: str, shown: str) -> None:
    body = api.get(f"/Patient/{cast.CUTHBERT}", getattr(SIGNER, token)()).json()
    assert body["extension"][0]["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] == shown


def test_version_tag(api: Api) -> None:
    response = api.get(f"/Patient/{cast.JANE}")
    assert response.headers["etag"] == 'W/"2"'
    assert response.json()["meta"]["versionId"] == "2"
    assert response.headers["vary"] == "Authorization, NHSD-Session-URID"
    assert response.headers["content-type"] == "application/fhir+json"


@pytest.mark.parametrize(("tag", "status"), [('W/"2"', 304), ('"2"', 304), ("*", 304), ('W/"1"', 200), ("2", 200)])
def test_conditional_read(api: Api, tag: str, status: int) -> None:
    headers = bearer(SIGNER.clinician(), **{"If-None-Match": tag})
    response = api.send("GET", f"{BASE}/Patient/{cast.JANE}", headers=headers)
    assert response.status_code == status
    assert response.headers["etag"] == 'W/"2"'
    assert bool(response.content) is (status == 200)
    assert api.events()[-1]["patients"] == f"[{cast.JANE}]"


def test_only_an_id_is_needed(api: Api) -> None:
    assert set(api.get(f"/Patient/{cast.MINIMAL}").json()) == {"resourceType", "id", "meta"}


@pytest.mark.parametrize("number", [cast.OLD, cast.OLDER])
def test_a_superseded_number_gives_another_id(api: Api, number: str) -> None:
    response = api.get(f"/Patient/{number}")
    assert response.status_code == 200
    assert response.json()["id"] == cast.NEW
    assert api.events()[-1]["patients"] == f"[{cast.NEW}]"


REFUSED = [
    (cast.GONE, 404, "INVALIDATED_RESOURCE", "error"),
    (cast.UNKNOWN, 404, "RESOURCE_NOT_FOUND", "information"),
    (cast.BAD_DIGIT, 400, "INVALID_RESOURCE_ID", "error"),
    ("900000000", 400, "INVALID_RESOURCE_ID", "error"),
    ("abc", 400, "INVALID_RESOURCE_ID", "error"),
    ("_search", 400, "INVALID_RESOURCE_ID", "error"),
    ("٩٠٠٠٠٠٠٠٠٩", 400, "INVALID_RESOURCE_ID", "error"),
]


@pytest.mark.parametrize(("number", "status", "spine", "severity"), REFUSED)
@pytest.mark.parametrize("path", ["/Patient/{}", "/Patient/{}/RelatedPerson", "/Patient/{}/$everything"])
def test_no_record(api: Api, path: str, number: str, status: int, spine: str, severity: str) -> None:
    response = api.get(path.format(number))
    body = response.json()
    assert (response.status_code, code(body), body["issue"][0]["severity"]) == (status, spine, severity)
    assert response.headers["ncrs-generation"]


@pytest.mark.parametrize(
    ("token", "whole"), [("clinician", False), ("application", False), ("privileged_application", True)]
)
def test_restricted_read(api: Api, token: str, whole: bool) -> None:
    body = api.get(f"/Patient/{cast.JANET}", getattr(SIGNER, token)()).json()
    assert ({"address", "telecom", "generalPractitioner"} <= set(body)) is whole
    assert body["name"][0]["family"] == "Smythe"
    assert body["meta"]["security"][0]["code"] == "R"


@pytest.mark.parametrize("token", ["clinician", "application", "privileged_application"])
def test_very_restricted_read(api: Api, token: str) -> None:
    body = api.get(f"/Patient/{cast.VERA}", getattr(SIGNER, token)()).json()
    assert set(body) == {"resourceType", "id", "identifier", "meta"}
    assert body["meta"]["security"][0] == {
        "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
        "code": "V",
        "display": "very restricted",
    }


def test_a_patient_reads_only_their_own_record(api: Api) -> None:
    """1.10, and 4.3: access is checked before the number's check digit."""
    token = SIGNER.patient(int(cast.JANE))
    assert api.get(f"/Patient/{cast.JANE}", token).status_code == 200
    for other in (cast.JANET, cast.UNKNOWN, cast.BAD_DIGIT, "abc"):
        response = api.get(f"/Patient/{other}", token)
        assert (response.status_code, code(response.json())) == (403, "ACCESS_DENIED"), other


def test_a_read_takes_no_parameters(api: Api) -> None:
    response = api.get(f"/Patient/{cast.JANE}", family="Jones")
    assert (response.status_code, code(response.json())) == (400, "UNSUPPORTED_SERVICE")


def test_head_is_a_read_without_a_body(api: Api) -> None:
    response = api.send("HEAD", f"{BASE}/Patient/{cast.JANE}")
    assert response.status_code == 200
    assert response.headers["etag"] == 'W/"2"'
    assert api.events()[-1]["patients"] == f"[{cast.JANE}]"


def test_related_people(api: Api) -> None:
    """2.4: a searchset without scores."""
    body = api.get(f"/Patient/{cast.JANE}/RelatedPerson").json()
    assert (body["type"], body["total"]) == ("searchset", 1)
    entry = body["entry"][0]
    assert set(entry) == {"fullUrl", "resource"}
    assert entry["fullUrl"].endswith(f"/Patient/{cast.JANE}/RelatedPerson/507B7621")
    assert entry["resource"]["relationship"][0]["coding"][0]["code"] == "Guardian"


def test_restricted_patient_has_no_related_people(api: Api) -> None:
    body = api.get(f"/Patient/{cast.JANET}/RelatedPerson").json()
    assert body["total"] == 0
    assert "entry" not in body


def test_related_restricted_patient_has_no_location(api: Api) -> None:
    body = api.get(f"/Patient/{cast.CARED}/RelatedPerson").json()
    by_id = {entry["resource"]["id"]: entry["resource"] for entry in body["entry"]}
    assert not {"address", "telecom"} & set(by_id["CARER001"])
    assert {"name", "relationship", "patient"} <= set(by_id["CARER001"])
    assert {"address", "telecom"} <= set(by_id["OTHER001"])
    assert api.events()[-1]["patients"] == f"[{cast.CARED},{cast.CARER},{cast.FORMER_JANET},{cast.GONE}]"


def test_related_patient_whose_number_changed_is_hidden_as_the_record_is_now(api: Api) -> None:
    """2.4 and 1.9: the old number of a restricted patient opens nothing, an invalidated one neither."""
    body = api.get(f"/Patient/{cast.CARED}/RelatedPerson").json()
    by_id = {entry["resource"]["id"]: entry["resource"] for entry in body["entry"]}
    assert not {"address", "telecom"} & set(by_id["FORMER001"])
    assert "name" in by_id["FORMER001"]
    assert not {"address", "telecom", "name"} & set(by_id["GONE001"])
