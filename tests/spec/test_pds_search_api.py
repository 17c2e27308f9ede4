"""PDS's search over HTTP, one row a rule: pds.md 1.3 to 1.10 and 4.3, on the cast's generation.

Belongs here: who is found, in which shape, under which rule. Parameter rules by themselves:
``test_pds_search_parameters.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from search_api.settings import Settings
from tests.lib import cast
from tests.lib.api import BASE, SIGNER, Api, query
from tests.lib.tokens import bearer

Json = dict[str, Any]

UUID = "60E0B220-8136-4CA5-AE46-1D97EF59D068"
FULL_URL = "https://api.service.nhs.uk/personal-demographics/FHIR/R4/Patient/"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, served: Settings) -> Iterator[Api]:
    with Api(tmp_path_factory.mktemp("audit"), served) as opened:
        yield opened


def found(body: Json) -> list[str]:
    assert body["resourceType"] == "Bundle", body
    return [entry["resource"]["id"] for entry in body.get("entry", [])]


JANE: Json = {"family": "Smith", "birthdate": "2010-10-22"}
BILL: Json = {"family": "Garton", "birthdate": "1955-11-05"}
BLOGS: Json = {"family": "Blogs", "birthdate": "1955-11-05"}
TEMP: Json = {"family": "Pendle", "birthdate": "1999-09-09"}
CUTHBERT: Json = {"family": "Cuthbert", "birthdate": "1988-04-12"}
JANET: Json = {"family": "Smythe", "birthdate": "2005-06-16"}
FUZZY_JANE: Json = {"fuzzy": True, "given": "Jane", **JANE}
FUZZY_JOE: Json = {"fuzzy": True, "family": "Cuthbert", "given": "Joseph", "birthdate": "1988-04-12"}

WHO: list[tuple[str, Json, list[str]]] = [
    # 1.1 parameters, non-fuzzy
    ("1.1 family in any case", {**JANE, "family": "sMiTH"}, [cast.JANE]),
    ("1.1 wildcard", {**JANE, "family": "Sm*"}, [cast.JANE]),
    ("1.1 given wildcard of the first name", {**JANE, "given": "Jan*"}, [cast.JANE]),
    ("1.1 given wildcard not of a middle name", {**CUTHBERT, "given": "Tob*"}, []),
    ("1.1 compound given name", {**JANE, "given": ["Jane", "Marie Anne"]}, [cast.JANE]),
    ("1.1 more names than held", {**BILL, "given": ["Bill", "Zebedee"]}, []),
    ("1.1 gender filters", {**JANE, "gender": "male"}, []),
    ("1.1 gender agrees", {**JANE, "gender": "female"}, [cast.JANE]),
    ("1.1 birth range", {**JANE, "birthdate": ["ge2010-10-21", "le2010-10-23"]}, [cast.JANE]),
    ("1.1 birth range open below", {**JANE, "birthdate": "le2010-10-22"}, [cast.JANE]),
    ("1.1 birth range beside", {**JANE, "birthdate": "ge2010-10-23"}, []),
    ("1.1 contradicting range", {**JANE, "birthdate": ["ge2010-10-23", "le2010-10-21"]}, []),
    ("1.1 death range", {"family": "Tunney", "birthdate": "ge1980-01-01", "death_date": "le2019-02-28"}, [cast.TUNNEY]),
    ("1.1 death range misses", {"family": "Tunney", "birthdate": "ge1980-01-01", "death_date": "le2019-02-01"}, []),
    ("1.1 postcode without its space", {**JANE, "address_postalcode": "ls16ae"}, [cast.JANE]),
    ("1.1 postcode's old name", {**JANE, "address_postcode": "LS1 6AE"}, [cast.JANE]),
    ("1.1 postcode wildcard", {**JANE, "address_postalcode": "LS*"}, [cast.JANE]),
    ("1.1 postcode of a temporary address", {**TEMP, "address_postalcode": "YO24 1AB"}, [cast.TEMP]),
    ("1.1 practice in any case", {**JANE, "general_practitioner": "y12345"}, [cast.JANE]),
    ("1.1 practice wrong", {**JANE, "general_practitioner": "Y99999"}, []),
    ("1.1 phone exact", {**JANE, "phone": "01632960587"}, [cast.JANE]),
    ("1.1 phone wrong", {**JANE, "phone": "01632960500"}, []),
    ("1.1 email in any case", {**JANE, "email": "JANE.SMITH@example.com"}, [cast.JANE]),
    ("1.1 email wrong", {**JANE, "email": "deb@example.com"}, []),
    ("1.1 exact match", {**JANE, "exact": True}, [cast.JANE]),
    ("1.5 exact match and wildcard exclude each other", {**JANE, "family": "Sm*", "exact": True}, []),
    ("1.3 no homophones", {**JANE, "family": "Smythe"}, []),
    # 1.4 and 1.3 history
    ("1.3 history off: old family name", BLOGS, []),
    ("1.4 history on: old family name", {**BLOGS, "history": True}, [cast.BILL]),
    ("1.4 history on: old email", {**BILL, "email": cast.OLD_EMAIL, "history": True}, [cast.BILL]),
    ("1.1 history off: old email", {**BILL, "email": cast.OLD_EMAIL}, []),
    ("1.4 hidden postcode never matches", {**BILL, "address_postalcode": cast.HIDDEN_POSTCODE, "history": True}, []),
    # 1.4 fuzzy
    ("1.4 fuzzy exact", FUZZY_JANE, [cast.JANE]),
    ("1.4 given and family swapped", {**FUZZY_JANE, "family": "Jane", "given": "Smith"}, [cast.JANE]),
    ("1.4 homophone of a historic surname", {"fuzzy": True, "family": "Bloggs", "given": "Joe", "birthdate": "1955-11-05"}, [cast.BILL]),
    ("1.4 accents", {**FUZZY_JANE, "family": "Smíth", "given": "JÀNÉ"}, [cast.JANE]),
    ("1.4 short form", {**FUZZY_JOE, "given": "Joe", "gender": "male", "address_postalcode": "DN15 8JY"}, [cast.CUTHBERT]),
    ("1.4 given typo", {**FUZZY_JOE, "given": "Josepf"}, [cast.CUTHBERT]),
    ("1.4 initial with the name", {**FUZZY_JOE, "given": "Joseph T"}, [cast.CUTHBERT]),
    ("1.4 near to a middle name", {**FUZZY_JOE, "given": "Toby"}, [cast.CUTHBERT]),
    ("1.4 postcode digit wrong", {**FUZZY_JOE, "address_postalcode": "DN18 8JY"}, [cast.CUTHBERT]),
    ("1.4 postcode malformed", {**FUZZY_JOE, "address_postalcode": "DN15258JY"}, [cast.CUTHBERT]),
    ("1.4 practice wrong", {**FUZZY_JOE, "general_practitioner": "Y99999"}, [cast.CUTHBERT]),
    ("1.4 email wrong", {**FUZZY_JANE, "email": "deb@example.com"}, []),
    ("1.4 birth date wrong", {**FUZZY_JANE, "birthdate": "2010-10-23"}, []),
    ("1.4 birth date swapped", {**FUZZY_JOE, "birthdate": "1988-12-04"}, []),
    ("1.4 pseudo postcode", {**FUZZY_JANE, "address_postalcode": "ZZ99 7CZ"}, []),
    ("1.4 hidden postcode", {"fuzzy": True, "given": "Bill", **BILL, "address_postalcode": cast.HIDDEN_POSTCODE}, [cast.BILL]),
    # 1.9 restricted, very restricted, invalidated, superseded
    ("1.9 restricted is found", JANET, [cast.JANET]),
    ("1.9 restricted never with postcode", {**JANET, "address_postalcode": "LS1 6AE"}, []),
    ("1.9 restricted never with postcode, old name", {**JANET, "address_postcode": "LS1 6AE"}, []),
    ("1.9 restricted never with practice", {**JANET, "general_practitioner": "Y77777"}, []),
    ("1.9 restricted never, fuzzy", {"fuzzy": True, "given": "Janet", **JANET, "gender": "female", "address_postalcode": "LS1 6AE"}, []),
    ("1.9 restricted found fuzzy", {"fuzzy": True, "given": "Janet", **JANET}, [cast.JANET]),
    ("1.9 very restricted is not found", {"family": "Veiled", "birthdate": "1961-03-04"}, []),
    ("1.9 superseding record", {"family": "Cuff", "birthdate": "1926-01-07"}, [cast.NEW]),
    # 1.5 and 1.6
    ("1.5 ties in ascending number", {"family": "Youds", "birthdate": "1970-01-21"}, cast.YOUDS),
    ("1.6 as many as allowed", {"family": "Youds", "birthdate": "1970-01-21", "most": 4}, cast.YOUDS),
    # ours: the wide search finds what PDS does not
    ("ours: wide, birth day and month swapped", {"mode": "wide", "family": "Cuthbert", "given": "Joseph", "birthdate": "1988-12-04"}, [cast.CUTHBERT]),
    ("ours: wide, restricted never by location, only an open near namesake", {"mode": "wide", "family": "Smythe", "given": "Janet", "birthdate": "2005-06-16", "address_postalcode": "LS1 6AE"}, [cast.JANE]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "params", "numbers"), WHO, ids=[row[0] for row in WHO])
def test_who_is_found(api: Api, rule: str, params: Json, numbers: list[str]) -> None:
    response = api.search(**params)
    assert response.status_code == 200, rule
    assert found(response.json()) == numbers


def test_the_form_search_answers_as_get(api: Api) -> None:
    by_form = api.send("POST", f"{BASE}/Patient/_search", data=JANE)
    assert by_form.status_code == 200
    assert found(by_form.json()) == [cast.JANE]


def test_bundle_shape(api: Api) -> None:
    """1.7: no link, no paging, no search.mode, no meta; timestamp and total."""
    response = api.search(**JANE)
    body = response.json()
    assert response.headers["content-type"] == "application/fhir+json"
    assert set(body) == {"resourceType", "type", "timestamp", "total", "entry"}
    assert (body["type"], body["total"]) == ("searchset", 1)
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    entry = body["entry"][0]
    assert set(entry) == {"fullUrl", "search", "resource"}
    assert entry["search"] == {"score": 1}
    assert entry["fullUrl"] == FULL_URL + cast.JANE


def test_no_matches_have_no_entry(api: Api) -> None:
    body = api.search(family="Nobody", birthdate="1900-01-02").json()
    assert set(body) == {"resourceType", "type", "timestamp", "total"}
    assert body["total"] == 0


def test_scores(api: Api) -> None:
    """1.5: exact is 1; fields not asked do not lower it; a wildcard does; best first."""
    assert api.search(**JANE).json()["entry"][0]["search"]["score"] == 1
    assert all(
        entry["search"]["score"] == 1 for entry in api.search(family="Youds", birthdate="1970-01-21").json()["entry"]
    )
    assert 0 < api.search(**{**JANE, "family": "Sm*"}).json()["entry"][0]["search"]["score"] < 1
    assert 0 < api.search(**{**FUZZY_JOE, "given": "Toby"}).json()["entry"][0]["search"]["score"] < 1


@pytest.mark.parametrize(
    "params",
    [{"family": "Crowdson", "birthdate": "1980-05-17"}, {"family": "Youds", "birthdate": "1970-01-21", "most": 3}],
)
def test_too_many_matches(api: Api, params: Json) -> None:
    """1.6: 200 with a bare outcome, no diagnostics, no Bundle, no partial list."""
    response = api.search(**params)
    assert response.status_code == 200
    assert response.json() == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "information",
                "code": "multiple-matches",
                "details": {
                    "coding": [
                        {
                            "system": "https://fhir.nhs.uk/R4/CodeSystem/Spine-ErrorOrWarningCode",
                            "version": "1",
                            "code": "TOO_MANY_MATCHES",
                            "display": "Too Many Matches",
                        }
                    ]
                },
            }
        ],
    }


def test_result_holds_the_subset(api: Api) -> None:
    """1.8, and 2.2: removal reason and consent never appear in search."""
    resource = api.search(**JANE).json()["entry"][0]["resource"]
    assert {name["use"] for name in resource["name"]} == {"usual", "nickname"}
    assert [item["use"] for item in resource["address"]] == ["home"]
    assert [item["url"].rsplit("-", 1)[-1] for item in resource["extension"]] == ["DeathNotificationStatus"]
    assert {"telecom", "contact", "generalPractitioner", "multipleBirthInteger", "deceasedDateTime"} <= set(resource)
    assert "managingOrganization" not in resource


def test_a_temporary_address_matches_and_the_home_address_is_shown(api: Api) -> None:
    """1.8, the privacy trap."""
    resource = api.search(**TEMP, address_postalcode="YO24 1AB").json()["entry"][0]["resource"]
    assert [item["postalCode"] for item in resource["address"]] == ["LS2 7UE"]
    assert "YO24" not in str(resource)


def test_history_matches_and_current_data_is_shown(api: Api) -> None:
    resource = api.search(**BLOGS, history=True).json()["entry"][0]["resource"]
    assert [name["family"] for name in resource["name"]] == ["Garton"]
    assert "Blogs" not in str(resource)
    assert cast.OLD_EMAIL not in str(resource)


@pytest.mark.parametrize("token", ["clinician", "application", "privileged_application"])
def test_restricted_result_has_no_location(api: Api, token: str) -> None:
    """1.9 and 1.10: search hides it from a privileged application too."""
    resource = api.search(getattr(SIGNER, token)(), **JANET).json()["entry"][0]["resource"]
    assert not {"address", "telecom", "contact", "generalPractitioner"} & set(resource)
    assert resource["meta"]["security"][0]["code"] == "R"
    assert resource["birthDate"] == "2005-06-16"


def test_an_application_gets_one_unique_match(api: Api) -> None:
    """1.10 and 1.6: the access mode's limit is 1, and 403 comes before every other check."""
    application = SIGNER.application()
    assert found(api.search(application, **JANE).json()) == [cast.JANE]
    assert found(api.search(application, **JANE, most=1).json()) == [cast.JANE]
    several = api.search(application, family="Youds", birthdate="1970-01-21")
    assert (several.status_code, several.json()["resourceType"]) == (200, "OperationOutcome")
    refused = api.search(application, most=2, year="1")
    assert refused.status_code == 403
    issue = refused.json()["issue"][0]
    assert (issue["code"], issue["details"]["coding"][0]["code"]) == ("token", "INVALID_VALUE")


def test_a_patient_may_not_search(api: Api) -> None:
    """1.10: 403 ACCESS_DENIED, even for oneself."""
    response = api.search(SIGNER.patient(int(cast.JANE)), **JANE)
    assert response.status_code == 403
    issue = response.json()["issue"][0]
    assert issue["details"]["coding"][0]["display"] == "Patient cannot perform this action"


# 4.3: headers and the live order of checks

Changes = dict[str, str | None]  # auth, id, role: what replaces the usual header; None leaves it out
HEADER_NAMES = {"auth": "Authorization", "id": "X-Request-ID", "role": "NHSD-Session-URID"}
APPLICATION, PATIENT = "the token of an application", "the token of a patient"


def headers_with(changes: Changes) -> dict[str, str]:
    """A clinician's headers, changed. Tokens are signed when they are used: a long run outlives them."""
    headers = bearer(SIGNER.clinician())
    tokens = {APPLICATION: SIGNER.application(), PATIENT: SIGNER.patient(int(cast.JANE))}
    for key, value in changes.items():
        if value is None:
            del headers[HEADER_NAMES[key]]
        else:
            headers[HEADER_NAMES[key]] = f"Bearer {tokens[value]}" if value in tokens else value
    return headers


NO_ID = "Invalid request with error - X-Request-ID header must be supplied to access this resource"
BAD_ID = "Invalid value - '1234' in header 'X-Request-ID'"
GOOD: Json = JANE
BAD: Json = {"year": "2003"}

HEADERS: list[tuple[str, Changes, Json, int, str, str | None]] = [
    ("no authorization", {"auth": None}, GOOD, 401, "ACCESS_DENIED", "Missing Authorization header"),
    ("empty authorization", {"auth": ""}, GOOD, 401, "ACCESS_DENIED", "Empty Authorization header"),
    ("no token", {"auth": "Bearer"}, GOOD, 401, "ACCESS_DENIED", "Missing access token"),
    ("wrong token", {"auth": "Bearer abcdef123456789"}, GOOD, 401, "ACCESS_DENIED", "Invalid Access Token"),
    ("wrong type", {"auth": "Basic abc"}, GOOD, 401, "ACCESS_DENIED", "Invalid token type"),
    ("no request id", {"id": None}, GOOD, 400, "MISSING_VALUE", NO_ID),
    ("wrong request id", {"id": "1234"}, GOOD, 400, "INVALID_VALUE", BAD_ID),
    ("wrong role", {"role": "123"}, GOOD, 400, "INVALID_VALUE", None),
    ("order: token before request id", {"auth": None, "id": "1234"}, BAD, 401, "ACCESS_DENIED", "Missing Authorization header"),
    ("order: request id format before role", {"id": "1234", "role": "123"}, BAD, 400, "INVALID_VALUE", BAD_ID),
    ("order: role before missing request id", {"id": None, "role": "123"}, BAD, 400, "INVALID_VALUE", None),
    ("order: missing request id before parameters", {"id": None}, BAD, 400, "MISSING_VALUE", NO_ID),
    ("order: mode's rule before missing request id", {"auth": APPLICATION, "id": None}, {"most": 2}, 403, "INVALID_VALUE", None),
    ("order: request id format before mode's rule", {"auth": APPLICATION, "id": "1234"}, {"most": 2}, 400, "INVALID_VALUE", BAD_ID),
    ("order: access before parameters", {"auth": PATIENT}, BAD, 403, "ACCESS_DENIED", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "changes", "params", "status", "code", "diagnostics"), HEADERS, ids=[row[0] for row in HEADERS]
)
def test_headers_and_order(
    api: Api, rule: str, changes: Changes, params: Json, status: int, code: str, diagnostics: str | None
) -> None:
    headers = headers_with(changes)
    response = api.send("GET", f"{BASE}/Patient", headers=headers, params=query(params))
    issue = response.json()["issue"][0]
    assert (response.status_code, issue["details"]["coding"][0]["code"]) == (status, code), rule
    if diagnostics is not None:
        assert issue["diagnostics"] == diagnostics
    assert response.headers["content-type"] == "application/fhir+json"
    assert response.headers.get("x-request-id") == headers.get("X-Request-ID")


@pytest.mark.parametrize("params", [GOOD, BAD])
def test_ids_are_mirrored(api: Api, params: Json) -> None:
    headers = bearer(SIGNER.clinician(), **{"X-Request-ID": UUID, "X-Correlation-ID": "any value"})
    response = api.send("GET", f"{BASE}/Patient", headers=headers, params=query(params))
    assert response.headers["x-request-id"] == UUID
    assert response.headers["x-correlation-id"] == "any value"


def test_every_answer_names_its_generation(api: Api) -> None:
    for response in (api.search(**JANE), api.search(family="Youds", birthdate="1970-01-21", most=1)):
        assert response.headers["ncrs-generation"]
        assert datetime.fromisoformat(response.headers["ncrs-as-at"]).tzinfo is not None


def test_what_is_ours_is_only_given_when_asked(api: Api) -> None:
    plain = api.search(**FUZZY_JANE).json()
    assert "extension" not in plain["entry"][0]["search"]
    explained = api.search(**FUZZY_JANE, explain=True).json()
    search = explained["entry"][0]["search"]
    assert search["score"] == plain["entry"][0]["search"]["score"]
    assert explained["entry"][0]["resource"] == plain["entry"][0]["resource"]
    grade, explanation = search["extension"]
    assert grade["url"] == "http://hl7.org/fhir/StructureDefinition/match-grade"
    assert grade["valueCode"] in {"certain", "probable", "possible"}
    parts = [part["url"] for part in explanation["extension"]]
    assert parts[:3] == ["posterior", "prior", "weight"]
    assert "comparison" in parts


def test_weights_of_an_explanation_add_up(api: Api) -> None:
    body = api.search(**FUZZY_JOE, explain=True).json()
    parts = body["entry"][0]["search"]["extension"][1]["extension"]
    values = {part["url"]: part.get("valueDecimal") for part in parts if part["url"] != "comparison"}
    weights = [
        inner["valueDecimal"]
        for part in parts if part["url"] == "comparison"
        for inner in part["extension"] if inner["url"] == "weight"
    ]  # fmt: skip
    assert values["weight"] == pytest.approx(values["prior"] + sum(weights), abs=0.01)
