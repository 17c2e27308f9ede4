"""What of a record is shown: pds.md 1.8 (search), 1.9 (restricted), 1.10 (modes), 2.2 (attributes), 2.4.

Belongs here: the views as functions of a resource, with every field of the sheet and unknown extensions.
The same over HTTP: ``tests/api``.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from search_api.access.context import AccessMode
from search_api.patients.attributes import gated
from search_api.patients.redaction import read_view, related_view, search_view
from tests.lib import resources

Json = dict[str, Any]

HCW, APP = AccessMode.HEALTHCARE_WORKER, AccessMode.APPLICATION
PRIVILEGED, PATIENT = AccessMode.PRIVILEGED_APPLICATION, AccessMode.PATIENT
CONSENT, REMOVAL, LINES = (
    frozenset({"return-nhs-record-sharing-consent"}),
    frozenset({"return-confidential-reason-for-removal"}),
    frozenset({"return-empty-address-lines"}),
)
DEATH = resources.death()["url"]
LOCATION = ("address", "telecom", "contact", "generalPractitioner", "managingOrganization")


def whole(security: str = "U") -> Json:
    """A patient with every field, and an extension nobody knows that holds an address."""
    resource = resources.full_patient()
    resource["meta"] = resources.meta(2, security)
    secret = {"url": "https://example.org/where", "valueAddress": {"line": ["Hidden House"]}}
    resource["extension"] = [secret, *resource["extension"]]
    resource["photo"] = [{"title": "unknown field"}]
    return resource


def urls(resource: Json) -> set[str]:
    return {item["url"] for item in resource.get("extension", ())}


def test_search_holds_the_subset() -> None:
    view = search_view(whole(), "U")
    assert set(view) == {
        "resourceType", "id", "identifier", "meta", "name", "gender", "birthDate", "multipleBirthInteger",
        "deceasedDateTime", "address", "telecom", "contact", "generalPractitioner", "extension",
    }  # fmt: skip
    assert [name["use"] for name in view["name"]] == ["usual", "nickname"]
    assert [address["use"] for address in view["address"]] == ["home"]
    assert urls(view) == {DEATH}


def test_search_leaves_out_what_becomes_empty() -> None:
    resource = resources.patient(name=[resources.name("Old", use="old")], address=[resources.address(use="temp")])
    view = search_view(resource, "U")
    assert "name" not in view
    assert "address" not in view
    assert "extension" not in view


@pytest.mark.parametrize("mode", [HCW, APP, PATIENT])
def test_restricted_read_has_no_location(mode: AccessMode) -> None:
    view = read_view(whole("R"), "R", mode)
    assert not set(LOCATION) & set(view)
    assert urls(view) == {DEATH}
    assert "Hidden House" not in str(view)
    kept = {"name", "gender", "birthDate", "multipleBirthInteger", "deceasedDateTime", "identifier", "meta", "id"}
    assert kept <= set(view)
    assert [name["use"] for name in view["name"]] == ["usual", "maiden", "nickname"]


def test_restricted_search_has_no_location() -> None:
    view = search_view(whole("R"), "R")
    assert not set(LOCATION) & set(view)
    assert urls(view) == {DEATH}


def test_privileged_application_reads_all_of_restricted_and_searches_as_others() -> None:
    assert read_view(whole("R"), "R", PRIVILEGED) == whole("R")


@pytest.mark.parametrize("mode", list(AccessMode))
@pytest.mark.parametrize("security", ["V", "X"])
def test_very_restricted_and_unknown_show_only_the_number(mode: AccessMode, security: str) -> None:
    view = read_view(whole("V"), security, mode)
    assert set(view) == {"resourceType", "id", "identifier", "meta"}
    assert search_view(whole("V"), security) == view


def test_very_restricted_fields_are_a_setting_without_name_and_birth_date() -> None:
    view = read_view(whole("V"), "V", HCW, ("gender", "deceasedDateTime", "birthDate", "name", "address"))
    assert set(view) == {"resourceType", "id", "identifier", "meta", "gender", "deceasedDateTime", "extension"}


@pytest.mark.parametrize("mode", list(AccessMode))
def test_unrestricted_read_is_the_record(mode: AccessMode) -> None:
    assert read_view(whole(), "U", mode) == whole()


def test_views_leave_the_record_alone() -> None:
    resource = whole("R")
    before = copy.deepcopy(resource)
    search_view(resource, "R")
    read_view(resource, "R", HCW)
    gated(resource, frozenset())
    assert resource == before


# pds.md 2.2: the three attributes


def test_consent_needs_its_attribute() -> None:
    resource = resources.patient(extension=[resources.consent("1"), resources.death()])
    assert urls(gated(resource, frozenset())) == {DEATH}
    assert gated(resource, CONSENT) == resource


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("2", True), ("3", False), ("5", False)])
def test_consent_values_3_and_5_are_never_returned(value: str, shown: bool) -> None:
    resource = resources.patient(extension=[resources.consent(value)])
    assert ("extension" in gated(resource, CONSENT)) is shown


@pytest.mark.parametrize("code", ["AFN", "SDN", "LDN"])
def test_confidential_reason_is_shown_as_other(code: str) -> None:
    resource = resources.patient(extension=[resources.removal(code, "confidential")])
    shown = gated(resource, frozenset())["extension"][0]["extension"]
    coding = shown[0]["valueCodeableConcept"]["coding"][0]
    assert (coding["code"], coding["display"]) == ("ORR", "Other Reason")
    assert coding["system"] == "https://fhir.nhs.uk/CodeSystem/PDS-RemovalReasonExitCode"
    assert shown[1] == resource["extension"][0]["extension"][1]
    assert gated(resource, REMOVAL) == resource


@pytest.mark.parametrize("code", ["DEA", "EMB", "SCT", "NIT", "TRA", "ORR"])
def test_other_reasons_are_shown_to_all(code: str) -> None:
    resource = resources.patient(extension=[resources.removal(code, "shown")])
    assert gated(resource, frozenset()) == resource


def test_blank_address_lines_are_removed() -> None:
    blank = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    address = {**resources.address(), "line": ["1 High Street", None, "", "Leeds"], "_line": [None, blank, blank, None]}
    resource = resources.patient(address=[address])
    shown = gated(resource, frozenset())["address"][0]
    assert shown["line"] == ["1 High Street", "Leeds"]
    assert "_line" not in shown
    assert gated(resource, LINES) == resource


def test_an_address_of_blank_lines_keeps_its_postcode() -> None:
    resource = resources.patient(address=[{**resources.address(), "line": [None, None]}])
    shown = gated(resource, frozenset())["address"][0]
    assert "line" not in shown
    assert shown["postalCode"] == "LS1 6AE"


def test_an_unaffected_resource_is_returned_as_it_is() -> None:
    resource = resources.patient()
    assert gated(resource, frozenset()) is resource


# pds.md 2.4: related people


def test_related_restricted_patient_has_no_location() -> None:
    person = resources.related_person(photo=[{"title": "x"}])
    view = related_view(person, "R")
    assert not {"address", "telecom", "contact", "photo"} & set(view)
    assert {"name", "relationship", "patient", "active", "period"} <= set(view)
    assert len(view["extension"]) == 2


def test_related_very_restricted_patient_has_no_name() -> None:
    assert not {"name", "address", "telecom", "gender", "birthDate"} & set(
        related_view(resources.related_person(), "V")
    )


def test_related_unrestricted_patient_is_whole() -> None:
    assert related_view(resources.related_person(), "U") == resources.related_person()
