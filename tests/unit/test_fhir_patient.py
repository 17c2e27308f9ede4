"""Columns of a Patient, and how odd resources are kept."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from schemas.errors import PermanentFault
from schemas.fhir.patient import patient_resource, patient_row
from tests.lib import resources as r


def test_every_field_of_the_sheet_has_its_column() -> None:
    row = patient_row(r.full_patient())
    assert row["source_json"] is None
    scalars = {
        "nhs_number": "9000000009",
        "version_id": 2,
        "security": "U",
        "verification": "01",
        "gender": "female",
        "birth_date": "2010-10-22",
        "birth_order": 1,
        "deceased": "2020-10-22T00:00:00+00:00",
        "death_status": "2",
        "death_status_date": "2010-10-22T00:00:00+00:00",
        "nominated_pharmacy": "Y12345",
        "preferred_dispenser": "Y23456",
        "appliance_supplier": "Y34567",
        "language": "fr",
        "interpreter_required": True,
    }
    assert {name: row[name] for name in scalars} == scalars
    assert row["general_practitioner"] == {
        "id": "254406A3",
        "code": "Y12345",
        "start": "2020-01-01",
        "end": "2021-12-31",
    }
    assert row["managing_organisation"]["code"] == "Y12345"
    assert row["contact_preference"] == {"written_format": "12", "method": "1", "times": "Not after 7pm"}
    assert row["birth_place"] == {"city": "Manchester", "district": "Greater Manchester", "country": "GBR"}
    assert row["removal"] == {"code": "SCT", "start": "2020-01-01T00:00:00+00:00", "end": "2021-12-31T00:00:00+00:00"}
    assert row["consents"] == [{"type": "4", "value": "1"}]
    assert [address["lines"] for address in row["addresses"]][1] == ["Flat 2", None, "Boar Lane", None, "Leeds"]
    assert row["addresses"][0]["keys"] == [
        {"type": "PAF", "value": "12345678"},
        {"type": "UPRN", "value": "123456789012"},
    ]
    assert row["telecoms"][2]["other_system"] == "textphone"
    assert row["contacts"][0]["relationship"] == "C"


def test_the_full_resource_comes_back_equal_and_resource_type_is_first() -> None:
    resource = r.full_patient()
    back = patient_resource(patient_row(copy.deepcopy(resource)))
    assert back == resource
    assert next(iter(back)) == "resourceType"


def test_a_minimal_patient() -> None:
    resource = {
        "resourceType": "Patient",
        "id": "9000000033",
        "identifier": [r.identifier("9000000033")],
        "meta": r.meta(),
    }
    row = patient_row(resource)
    assert row["source_json"] is None
    assert patient_resource(row) == resource


def test_the_key_of_the_replica_may_be_an_integer() -> None:
    row = {**patient_row(r.patient()), "nhs_number": 9000000009}
    assert patient_resource(row) == r.patient()


def test_a_row_without_its_key_is_refused() -> None:
    row = patient_row(r.patient())
    del row["nhs_number"]
    with pytest.raises(PermanentFault):
        patient_resource(row)


_ODD: list[dict[str, Any]] = [
    {"photo": [{"url": "x"}]},
    {"meta": {**r.meta(), "profile": ["x"]}},
    {"meta": {"versionId": 2, "security": r.meta()["security"]}},
    {"multipleBirthInteger": 1.0},
    {"multipleBirthInteger": True},
    {"multipleBirthBoolean": True},
    {"gender": None, "_gender": {"id": "a"}},
    {"name": []},
    {"name": [{**r.name(), "given": []}]},
    {"name": [{**r.name(), "given": ["Jane", None]}]},
    {"name": [{**r.name(), "text": "Jane Smith"}, None]},
    {"address": [{**r.address(), "line": ["a", None]}]},
    {"address": [{**r.address(), "extension": [r.address_key("PAF", "1"), {"url": "x"}]}]},
    {"extension": [r.birth_place(), r.pharmacy("NominatedPharmacy", "FA002")]},
    {"extension": [r.communication("fr", "francais")]},
    {"extension": [{"url": {"odd": 1}}, {"url": "https://example.org/unknown", "valueString": "x"}]},
    {"generalPractitioner": [r.practice("Y1"), r.practice("Y2")]},
    {"identifier": None},
    {"birthDate": "\ud800"},
    {"odd\ud800": 2**70},
]


@pytest.mark.parametrize("odd", _ODD, ids=range(len(_ODD)))
def test_what_columns_cannot_express_is_kept_whole(odd: dict[str, Any]) -> None:
    resource = {**r.patient(), **odd}
    row = patient_row(resource)
    assert row["source_json"] is not None
    row["source_json"].encode("utf-8")
    back = patient_resource(row)
    assert back == resource
    assert repr(back) == repr(resource)


def test_odd_parts_do_not_cost_the_others_their_columns() -> None:
    resource = r.patient(
        name=[7, {**r.name("Smith", "Jane"), "given": [None, "Jane", 5]}], address=[None, {"postalCode": "LS1 6AE"}]
    )
    row = patient_row(resource)
    assert [(name["family"], name["given"]) for name in row["names"]] == [("Smith", ["Jane"])]
    assert [address["postcode"] for address in row["addresses"]] == ["LS1 6AE"]
    assert (row["gender"], row["birth_date"]) == ("female", "2010-10-22")


@pytest.mark.parametrize("code", ["U", "R", "V", "REDACTED"])
def test_each_confidentiality_is_expressed(code: str) -> None:
    resource = r.patient(meta=r.meta(security=code))
    row = patient_row(resource)
    assert (row["security"], row["source_json"]) == (code, None)


def test_no_confidentiality_is_never_read_as_unrestricted() -> None:
    assert patient_row(r.patient(meta={"versionId": "2"}))["security"] is None
