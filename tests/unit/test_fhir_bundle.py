"""Searchset Bundles, RelatedPerson and OperationOutcome in PDS's shapes, and valid as FHIR R4."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import fhirkit
import pytest

from schemas.fhir.bundle import document_reference_searchset, patient_searchset, related_person_searchset, shown_score
from schemas.fhir.outcome import operation_outcome
from schemas.fhir.patient import patient_resource, patient_row
from schemas.fhir.related_person import related_person_resource, related_person_row
from schemas.fhir.scr import scr_bundle, scr_document_reference, scr_row
from tests.lib import resources as r
from tests.lib import summaries as s

NOW = datetime(2026, 11, 24, 9, 8, 56, 123456, tzinfo=UTC)
SUMMARY = {**scr_row(s.scr_bundle(), "Ask"), "nhs_number": "9000000009"}


def test_an_empty_searchset_has_no_entry() -> None:
    assert list(patient_searchset([], NOW).items()) == [
        ("resourceType", "Bundle"),
        ("type", "searchset"),
        ("timestamp", "2026-11-24T09:08:56+00:00"),
        ("total", 0),
    ]


def test_a_searchset_of_patients() -> None:
    one, two = r.patient("9000000017"), r.patient("9000000025")
    local = NOW.astimezone(timezone(timedelta(hours=1)))
    bundle = patient_searchset([(one, 1.0), (two, 0.88271)], local)
    assert bundle["timestamp"] == "2026-11-24T09:08:56+00:00"
    assert (bundle["total"], len(bundle["entry"])) == (2, 2)
    assert bundle["entry"][1] == {
        "fullUrl": "https://api.service.nhs.uk/personal-demographics/FHIR/R4/Patient/9000000025",
        "search": {"score": 0.8827},
        "resource": two,
    }


@pytest.mark.parametrize(
    ("score", "shown"), [(1.0, "1"), (0.99999, "0.9999"), (0.93174, "0.9317"), (0.0, "0.0"), (-0.1, "0.0"), (1.2, "1")]
)
def test_scores_as_pds_shows_them(score: float, shown: str) -> None:
    assert repr(shown_score(score)) == shown


def test_a_searchset_of_related_persons_has_no_scores() -> None:
    person = r.related_person()
    bundle = related_person_searchset("9000000009", [person, r.related_person(id=None)], NOW)
    base = "https://api.service.nhs.uk/personal-demographics/FHIR/R4/Patient/9000000009/RelatedPerson"
    assert bundle["entry"][0] == {"fullUrl": f"{base}/507B7621", "resource": person}
    assert bundle["entry"][1]["fullUrl"] == base
    assert "entry" not in related_person_searchset("9000000009", [], NOW)


def test_a_searchset_of_no_summary() -> None:
    assert document_reference_searchset(None, "b1") == {
        "resourceType": "Bundle",
        "id": "b1",
        "type": "searchset",
        "total": 0,
    }


def test_a_searchset_of_a_summary_has_the_pointer_and_the_patient() -> None:
    bundle = document_reference_searchset(SUMMARY, "b1")
    assert bundle["total"] == 1
    assert [entry["resource"]["resourceType"] for entry in bundle["entry"]] == ["DocumentReference", "Patient"]
    assert bundle["entry"][0]["search"] == {"mode": "match"}


def test_an_outcome() -> None:
    outcome = operation_outcome("error", "value", "INVALID_VALUE", "Provided value is invalid", "Invalid value - 'x'")
    assert outcome == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "value",
                "details": {
                    "coding": [
                        {
                            "system": "https://fhir.nhs.uk/R4/CodeSystem/Spine-ErrorOrWarningCode",
                            "version": "1",
                            "code": "INVALID_VALUE",
                            "display": "Provided value is invalid",
                        }
                    ]
                },
                "diagnostics": "Invalid value - 'x'",
            }
        ],
    }
    assert "diagnostics" not in operation_outcome("information", "not-found", "RESOURCE_NOT_FOUND", "x")["issue"][0]


_MOTHER = [
    {"system": "http://hl7.org/fhir/ValueSet/relatedperson-relationshiptype", "code": "MTH", "display": "mother"},
    {
        "system": "https://fhir.hl7.org.uk/CodeSystem/UKCore-AdditionalRelatedPersonRole",
        "code": "Personal",
        "display": "Personal relationship with the patient",
    },
    {"system": "http://hl7.org/fhir/ValueSet/relatedperson-relationshiptype", "code": "N", "display": "Next-of-Kin"},
]


@pytest.mark.parametrize(
    ("fields", "kept_whole"),
    [
        ({}, False),
        (
            {"relationship": [{"coding": _MOTHER}], "address": None, "name": None, "telecom": None, "extension": None},
            False,
        ),
        ({"patient": None}, False),
        ({"gender": "female"}, True),
        ({"relationship": [{"coding": [{**_MOTHER[0], "display": "Mum"}]}]}, True),
    ],
)
def test_related_persons_come_back_equal(fields: dict[str, Any], kept_whole: bool) -> None:
    resource = r.related_person(**fields)
    row = related_person_row(copy.deepcopy(resource))
    assert (row["source_json"] is not None) is kept_whole
    assert related_person_resource(row) == resource


def test_columns_of_a_related_person() -> None:
    row = related_person_row(r.related_person())
    assert (row["id"], row["patient_number"], row["active"], row["rank"]) == ("507B7621", "9000000017", True, 1)
    assert (row["relationships"], row["copy_correspondence"], row["language"]) == (["Guardian"], True, "fr")


@pytest.mark.parametrize(
    "resource",
    [
        patient_resource(patient_row(r.patient())),
        patient_resource(patient_row(r.full_patient())),
        related_person_resource(related_person_row(r.related_person())),
        patient_searchset([(r.full_patient(), 0.9), (r.patient("9000000017"), 0.8)], NOW),
        related_person_searchset("9000000009", [r.related_person()], NOW),
        patient_searchset([], NOW),
        scr_document_reference(SUMMARY),
        document_reference_searchset(SUMMARY, "55f8ba57-761a-406e-b61d-423027830fef"),
        operation_outcome("information", "multiple-matches", "TOO_MANY_MATCHES", "Too Many Matches"),
    ],
    ids=lambda resource: resource["resourceType"],
)
def test_what_we_send_is_valid_r4(resource: dict[str, Any]) -> None:
    assert [str(issue) for issue in fhirkit.validate(resource) if issue.severity == "error"] == []


# Where a published SCR document itself departs from R4; it is served as sent.
PUBLISHED_DEVIATIONS = ["error at Bundle.entry[0].resource.title: required element missing"]


def test_a_summary_departs_from_r4_only_where_the_published_one_does() -> None:
    assert [str(issue) for issue in fhirkit.validate(scr_bundle(SUMMARY))] == PUBLISHED_DEVIATIONS


def test_the_validator_does_find_faults() -> None:
    assert fhirkit.validate(r.patient(gender="woman", birthDate="yesterday", name="Smith"))
