"""No value of a patient or of a query in logs, metrics, error bodies or the audit log (promises.md X8).

Belongs here: markers planted in every text of a patient and in every way of asking, and a search of all
that the process writes. A marker found is the value itself; nothing is compared by shape.
"""

from __future__ import annotations

import json
import logging as stdlib_logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from search_api import logging
from search_api.settings import Settings
from tests.lib import resources
from tests.lib.api import BASE, SIGNER, Api, build_home
from tests.lib.engines import EngineKind
from tests.lib.summaries import scr_bundle
from tests.lib.tokens import bearer, role

Json = dict[str, Any]

NUMBER = resources.nhs_number(900)
OTHER = resources.nhs_number(901)

# Values of the record. Each can stand in its field and nowhere else in the product.
RECORD = {
    "family": "Markwellfamily", "given": "Markwellgiven", "prefix": "Markwelldr", "suffix": "Markwellmbe",
    "line": "9 Markwell Lane", "postcode": "ZE99 7QQ", "phone": "07700900741", "email": "markwell@example.org",
    "birth": "1937-08-19", "death": "2021-03-17T00:00:00+00:00", "practice": "M4RK7", "city": "Markwellcity",
    "times": "Markwell after nine", "contact": "07700900852", "related": "Markwellmother", "summary": "Markwellallergy",
}  # fmt: skip
QUERY = {
    "family": "Zorblaxfamily", "given": "Zorblaxgiven", "birth": "1941-09-23", "postcode": "ZX1 7QP",
    "phone": "07700900963", "email": "zorblax@example.org", "practice": "Z0RB7", "parameter": "zorblaxparameter",
    "path": "zorblaxpath", "correlation": "zorblaxcorrelation",
}  # fmt: skip


def marked_patient() -> Json:
    """A patient whose every text is a marker."""
    preference = resources.preference()
    preference["extension"][2]["valueString"] = RECORD["times"]
    place = resources.birth_place()
    place["valueAddress"]["city"] = RECORD["city"]
    return resources.patient(
        NUMBER,
        name=[resources.name(RECORD["family"], RECORD["given"], prefix=[RECORD["prefix"]], suffix=[RECORD["suffix"]])],
        birthDate=RECORD["birth"],
        deceasedDateTime=RECORD["death"],
        address=[resources.address(RECORD["postcode"], RECORD["line"])],
        telecom=[resources.telecom(RECORD["phone"]), resources.telecom(RECORD["email"], "email", id="e1")],
        contact=[resources.contact(RECORD["contact"])],
        generalPractitioner=[resources.practice(RECORD["practice"])],
        extension=[preference, place],
    )


def marked_summary() -> Json:
    """A summary with a marker in its table."""
    text = json.dumps(scr_bundle(NUMBER)).replace("Toxic reaction to wasp sting", RECORD["summary"])
    document: Json = json.loads(text)
    return document


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, engine_kind: EngineKind) -> Settings:
    """A node that serves a generation with the marked patient."""
    folder = tmp_path_factory.mktemp("marked")
    related = [resources.related_person(OTHER, name=[resources.name(RECORD["related"])])]
    patient = {
        "action": "new",
        "source_key": NUMBER,
        "nhs_number": NUMBER,
        "payload": marked_patient(),
        "related": related,
    }
    summary = {
        "action": "new",
        "source_key": NUMBER,
        "nhs_number": NUMBER,
        "permission": "Ask",
        "payload": marked_summary(),
    }
    return build_home(folder, engine_kind, pds_patient=[patient], scr_summary=[summary])


@pytest.fixture
def api(served: Settings, tmp_path: Path) -> Iterator[Api]:
    """The API with logs as in production, everything the other loggers say included."""
    stdlib_logging.getLogger().setLevel(stdlib_logging.DEBUG)
    logging.configure("DEBUG")
    with Api(tmp_path, served) as opened:
        yield opened


def query(**more: str) -> Json:
    return {"family": QUERY["family"], "given": QUERY["given"], "birthdate": QUERY["birth"], **more}


def ask_everything(api: Api) -> list[Any]:
    """Every way of asking, answered or refused; the responses."""
    mine = {"family": RECORD["family"], "birthdate": RECORD["birth"]}
    sent = bearer(SIGNER.clinician(), **{"X-Correlation-ID": QUERY["correlation"], "X-Request-ID": QUERY["path"]})
    body = {"resourceType": "Patient", "name": [{"family": QUERY["family"]}], "birthDate": QUERY["birth"]}
    subject = f"https://fhir.nhs.uk/Id/nhs-number|{NUMBER}"
    return [
        api.search(**mine),
        api.search(**mine, explain="true"),
        api.search(mode="wide", family=RECORD["family"], given=RECORD["given"], explain="true"),
        api.search(**query(address_postalcode=QUERY["postcode"], phone=QUERY["phone"], email=QUERY["email"])),
        api.search(**query(general_practitioner=QUERY["practice"])),
        api.search(**query(gender=QUERY["family"])),
        api.search(**query(birthdate=QUERY["parameter"])),
        api.search(**{QUERY["parameter"]: "1"}),
        api.send("POST", f"{BASE}/Patient/_search", data=mine),
        api.send("POST", f"{BASE}/Patient/$match", json=body),
        api.send("POST", f"{BASE}/Patient/$match", content=QUERY["family"].encode()),
        api.get(f"/Patient/{NUMBER}"),
        api.get(f"/Patient/{NUMBER}/RelatedPerson"),
        api.get(f"/Patient/{NUMBER}/$everything"),
        api.get(f"/Patient/{QUERY['path']}"),
        api.get(f"/{QUERY['path']}"),
        api.send("PUT", f"{BASE}/Patient/{NUMBER}"),
        api.send("GET", f"{BASE}/Patient", headers=sent, params=mine),
        api.send("GET", f"{BASE}/Patient/{NUMBER}", headers={"Authorization": f"Bearer {QUERY['path']}"}),
        api.get("/DocumentReference", patient=subject),
        api.get(
            "/Bundle", **{"composition.identifier": QUERY["path"], "composition.subject:Patient.identifier": subject}
        ),
        api.send("GET", f"/{QUERY['path']}"),
        *ask_of_places_and_files(api),
    ]


def ask_of_places_and_files(api: Api) -> list[Any]:
    """The postcode search and the batch trace, answered and refused."""
    keeper = SIGNER.worker(role("S8000:G8000:R8013"))
    places = [RECORD["postcode"], QUERY["postcode"], QUERY["path"]]
    traced = bearer(SIGNER.clinician()) | {"content-type": "text/csv"}
    mine = f"{QUERY['path']},{RECORD['family']},{RECORD['given']},{RECORD['birth']},{RECORD['postcode']},{NUMBER}"
    other = f"{QUERY['path']},{QUERY['family']},{QUERY['given']},{QUERY['parameter']},{QUERY['postcode']},"
    head = "UNIQUE REFERENCE,FAMILY_NAME,GIVEN_NAME,DATE_OF_BIRTH,POSTCODE,NHS_NO"
    files = [f"{head}\n{mine}\n{other}\n", f"{other}\n", f'{head}\n{mine}\n"{other}\n']
    return [
        *(api.send("GET", f"{BASE}/Patient/$postcode-search", keeper, params={"postcode": text}) for text in places),
        *(api.send("POST", "/api/trace", headers=traced, content=text) for text in files),
    ]


def broken(_self: object, *_arguments: Any) -> Any:
    """An error whose text holds values of the record: what a library's error may do."""
    raise ValueError(" ".join(RECORD.values()) + NUMBER)


def assert_absent(text: str, where: str, *groups: dict[str, str]) -> None:
    for group in groups:
        for field, value in group.items():
            assert value.lower() not in text.lower(), f"{where} holds the {field}"
    for number in (NUMBER, OTHER):
        assert number not in text, f"{where} holds an NHS number"


def test_the_markers_are_in_the_answers(api: Api) -> None:
    """Or the other tests would pass for nothing."""
    shown = "".join(response.text for response in ask_everything(api) if response.status_code == 200)
    for field, value in RECORD.items():
        assert value in shown, field


def test_logs_metrics_and_errors(
    api: Api, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(stdlib_logging.DEBUG)
    responses = ask_everything(api)
    for method in ("patient", "patients", "summary"):
        monkeypatch.setattr(api.records, method, broken)
    responses += ask_everything(api)
    monkeypatch.undo()
    failures = [response for response in responses if response.status_code >= 500]
    assert len(failures) >= 6, "the broken replica must have been met"
    metrics = api.send("GET", "/metrics", SIGNER.ops()).text
    logging.flush()
    out, err = capfd.readouterr()
    assert '"code":"API010"' in out
    assert '"code":"API011"' in out
    assert_absent(out, "stdout", RECORD, QUERY)
    assert_absent(err, "stderr", RECORD, QUERY)
    assert_absent(caplog.text, "the log of other libraries", RECORD, QUERY)
    assert_absent(metrics, "the metrics", RECORD, QUERY)
    for response in responses:
        if response.status_code >= 400:
            text = response.text.replace(f"/Patient/{NUMBER}", "")  # PDS quotes the caller's own path
            assert_absent(text, f"a {response.status_code} answer", RECORD)
        if response.status_code >= 500:
            assert_absent(response.text, "a 5xx answer", RECORD, QUERY)


def test_an_unexpected_error_says_only_its_id(
    api: Api, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(api.records, "patient", broken)
    response = api.get(f"/Patient/{NUMBER}")
    assert response.status_code == 500
    issue = response.json()["issue"][0]
    assert issue["details"]["coding"][0]["code"] == "UNKNOWN_ERROR"
    message_id = issue["diagnostics"].rpartition("Message ID: ")[2].rstrip(")")
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    (logged,) = [line for line in lines if line["code"] == "API011"]
    assert logged["message_id"] == message_id
    assert logged["error"] == "ValueError"
    assert logged["place"].startswith("test_no_values_leave:") or logged["place"].startswith("tests.")
    assert response.headers["content-type"] == "application/fhir+json"


def test_the_audit_log_holds_numbers_and_no_other_value(api: Api) -> None:
    ask_everything(api)
    events = api.events()
    assert any(NUMBER in event["patients"] for event in events)
    for event in events:
        kept = {name: value for name, value in event.items() if name not in ("patients", "correlation_id")}
        assert_absent(str(kept), "an audit event", RECORD, QUERY)
