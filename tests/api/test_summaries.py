"""Summary care records and $everything: services.md 2.2 to 2.4, and the five states."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from schemas.feeds import SCR_SUMMARY
from search_api.settings import Settings
from tests.lib import cast
from tests.lib.api import SIGNER, Api
from tests.lib.tokens import role

Json = dict[str, Any]

SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"
STATE = "urn:ncrs:fhir:StructureDefinition:service-state"
AS_AT = "urn:ncrs:fhir:StructureDefinition:service-as-at"
REASON = "urn:ncrs:fhir:StructureDefinition:service-refusal"


def reference(api: Api, number: str, token: str | None = None, **more: str) -> Any:
    return api.get("/DocumentReference", token, **{"patient": f"{SYSTEM}|{number}", **more})


def document(api: Api, number: str, uuid: str, token: str | None = None) -> Any:
    subject = {"composition.identifier": uuid, "composition.subject:Patient.identifier": f"{SYSTEM}|{number}"}
    return api.get("/Bundle", token, **subject)


def test_reference_to_the_latest_summary(api: Api) -> None:
    """2.3: masterIdentifier, status, type, securityLabel; 2.2: the published parameter values."""
    published = {"type": "http://snomed.info/sct|196981000000101", "_sort": "date", "_count": "1"}
    body = reference(api, cast.JANE, **published).json()
    assert (body["type"], body["total"]) == ("searchset", 1)
    found = body["entry"][0]["resource"]
    assert found["resourceType"] == "DocumentReference"
    assert found["masterIdentifier"] == {"system": "https://fhir.nhs.uk/Id/nhsSCRUUID", "value": cast.SCR_UUID}
    assert found["status"] == "current"
    assert found["type"]["coding"][0]["code"] == "196981000000101"
    assert found["securityLabel"][0]["coding"][0] == {
        "system": "https://fhir.nhs.uk/CodeSystem/SCR-ACSPermission",
        "code": "Ask",
    }
    assert api.events()[-1]["patients"] == f"[{cast.JANE}]"


@pytest.mark.parametrize("number", [cast.TUNNEY, cast.UNKNOWN, cast.GONE])
def test_no_summary_is_a_total_of_0(api: Api, number: str) -> None:
    response = reference(api, number)
    assert response.status_code == 200
    assert response.json()["total"] == 0
    assert "entry" not in response.json()
    assert api.events()[-1]["patients"] == "[]"


def test_another_value_is_refused(api: Api) -> None:
    for more in ({"type": "http://snomed.info/sct|1"}, {"_sort": "-date"}, {"_count": "2"}, {"status": "current"}):
        assert reference(api, cast.JANE, **more).status_code == 400


def test_the_document(api: Api) -> None:
    """2.4: sections keyed by their code, everything as sent but for the sanitised narrative."""
    body = document(api, cast.JANE, cast.SCR_UUID.lower()).json()
    composition = body["entry"][0]["resource"]
    assert composition["resourceType"] == "Composition"
    codes = [section["code"]["coding"][0]["code"] for section in composition["section"]]
    assert codes[:3] == ["Title", "AllergiesHeader", "AcuteMedsHeader"]
    assert "Toxic reaction to wasp sting" in composition["section"][1]["text"]["div"]


def test_an_out_of_date_identifier_is_an_empty_bundle(api: Api) -> None:
    response = document(api, cast.JANE, "D18B57ED-992E-45A2-A6AF-55200D20F48E")
    assert response.status_code == 200
    assert (response.json()["total"], "entry" in response.json()) == (0, False)
    assert document(api, cast.TUNNEY, cast.SCR_UUID).json()["total"] == 0


def test_an_opted_out_read_is_forbidden(api: Api) -> None:
    """2.2: forbidden, with 420 and 30418 in the text; the reference says permission No."""
    label = reference(api, cast.OPTED_OUT).json()["entry"][0]["resource"]["securityLabel"][0]["coding"][0]
    assert label["code"] == "No"
    response = document(api, cast.OPTED_OUT, cast.OPTED_OUT_UUID)
    issue = response.json()["issue"][0]
    assert (response.status_code, issue["code"]) == (403, "forbidden")
    assert "420" in issue["details"]["text"]
    assert "30418" in issue["details"]["text"]
    assert api.events()[-1]["patients"] == "[]"


@pytest.mark.parametrize("call", ["reference", "document"])
def test_a_restricted_patients_summary_is_withheld(api: Api, call: str) -> None:
    response = reference(api, cast.JANET) if call == "reference" else document(api, cast.JANET, cast.RESTRICTED_UUID)
    assert response.status_code == 403
    assert "wasp" not in response.text


def test_the_activity_is_needed(api: Api) -> None:
    receptionist = SIGNER.receptionist()
    assert reference(api, cast.JANE, receptionist).status_code == 403
    assert document(api, cast.JANE, cast.SCR_UUID, receptionist).status_code == 403


def test_an_application_may_read_summaries(api: Api) -> None:
    assert reference(api, cast.JANE, SIGNER.application()).json()["total"] == 1


# $everything


def everything(api: Api, number: str, token: str | None = None) -> Json:
    response = api.get(f"/Patient/{number}/$everything", token)
    assert response.status_code == 200, response.text
    body: Json = response.json()
    assert (body["resourceType"], body["type"]) == ("Bundle", "searchset")
    return body


def sections(body: Json) -> dict[str, Json]:
    composition = body["entry"][0]["resource"]
    assert composition["resourceType"] == "Composition"
    return {section["code"]["coding"][0]["code"]: section for section in composition["section"]}


def states(section: Json) -> list[str]:
    return [item["valueCode"] for item in section.get("extension", ()) if item["url"] == STATE]


def reason(section: Json) -> str | None:
    return next((item["valueCode"] for item in section["extension"] if item["url"] == REASON), None)


def kinds(body: Json) -> list[str]:
    return [entry["resource"]["resourceType"] for entry in body["entry"]]


def test_everything_of_an_open_patient(api: Api) -> None:
    body = everything(api, cast.JANE)
    assert kinds(body) == ["Composition", "Patient", "RelatedPerson", "Bundle"]
    urls = {entry["fullUrl"] for entry in body["entry"]}
    for section in sections(body).values():
        assert states(section) == []
        assert any(item["url"] == AS_AT for item in section["extension"])
        assert {item["reference"] for item in section["entry"]} <= urls
    assert api.events()[-1]["detail"] == "pds=present scr=present"


def test_absent(api: Api) -> None:
    scr = sections(everything(api, cast.TUNNEY))["scr"]
    assert states(scr) == ["absent"]
    assert scr["emptyReason"]["coding"][0]["code"] == "unavailable"


def test_refused_for_want_of_the_activity(api: Api) -> None:
    body = everything(api, cast.JANE, SIGNER.receptionist())
    scr = sections(body)["scr"]
    assert (states(scr), reason(scr)) == (["refused"], "activity")
    assert "Bundle" not in kinds(body)[1:]


def test_refused_by_the_patient(api: Api) -> None:
    scr = sections(everything(api, cast.OPTED_OUT))["scr"]
    assert (states(scr), reason(scr)) == (["refused"], "permission-no")
    assert scr["emptyReason"]["coding"][0]["code"] == "withheld"


def test_masked(api: Api) -> None:
    body = everything(api, cast.JANET)
    assert states(sections(body)["pds"]) == ["masked"]
    assert states(sections(body)["scr"]) == ["masked"]
    assert kinds(body) == ["Composition", "Patient"]
    assert "address" not in body["entry"][1]["resource"]


def test_failed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """One service cannot be read: the others are shown, and nothing is said to be absent."""

    def broken(_self: object, _number: int) -> None:
        raise OSError("a value that must not be shown")

    monkeypatch.setattr(api.records, "summary", broken)
    body = everything(api, cast.JANE)
    assert states(sections(body)["scr"]) == ["failed"]
    assert kinds(body)[1] == "Patient"
    assert "a value" not in str(body)


@pytest.fixture
def later() -> Iterator[None]:
    """A day after the summaries' hard limit, with tokens of that day."""
    with time_machine.travel(datetime.now(UTC) + SCR_SUMMARY.hard_limit + timedelta(days=1), tick=True):
        yield


@pytest.mark.usefixtures("later")
def test_stale(api: Api) -> None:
    """Beyond the hard limit: shown and marked."""
    body = everything(api, cast.JANE, SIGNER.clinician())
    assert states(sections(body)["pds"]) == ["stale"]
    assert states(sections(body)["scr"]) == ["stale"]
    assert "Bundle" in kinds(body)[1:]


@pytest.mark.usefixtures("later")
def test_stale_and_masked_are_both_said(api: Api) -> None:
    body = everything(api, cast.JANET, SIGNER.clinician())
    assert states(sections(body)["pds"]) == ["masked", "stale"]


@pytest.mark.usefixtures("later")
def test_stale_data_is_refused_where_the_settings_say_so(tmp_path: Path, served: Settings) -> None:
    with Api(tmp_path, served, hard_limit_refuses=True) as strict:
        token = SIGNER.clinician()
        body = everything(strict, cast.JANE, token)
        assert states(sections(body)["scr"]) == ["stale"]
        assert kinds(body) == ["Composition"]
        assert strict.get(f"/Patient/{cast.JANE}", token).status_code == 503
        assert strict.search(token, family="Smith", birthdate="2010-10-22").status_code == 503
        assert reference(strict, cast.JANE, token).status_code == 503


def test_everything_needs_its_policy(api: Api) -> None:
    assert api.get(f"/Patient/{cast.JANE}/$everything", SIGNER.ops()).status_code == 403
    no_trace = SIGNER.worker(role("S8000:G8000:R9999", activities=["B0370"]))
    assert api.get(f"/Patient/{cast.JANE}/$everything", no_trace).status_code == 403
