"""Reading $match's body: Parameters or a bare Patient, partial dates, and what is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from search_api.errors import SpineError
from search_api.matching.questions import DateRange, Mode
from search_api.patients.match_input import read_match
from search_api.patients.searching import MatchRequest

Json = dict[str, Any]

PATIENT: Json = {
    "resourceType": "Patient",
    "name": [{"family": "Smith", "given": ["Jane", "Marie Anne"]}],
    "gender": "female",
    "birthDate": "2010-10",
    "address": [{"line": ["1 Trevelyan Square"], "postalCode": "LS1 6AE"}],
    "telecom": [{"system": "phone", "value": "01632960587"}, {"system": "email", "value": "j@example.com"}],
}


def parameters(**parts: Json) -> Json:
    items = [{"name": name, **value} for name, value in parts.items()]
    return {"resourceType": "Parameters", "parameter": items}


def read(document: Any, most: int = 50) -> MatchRequest:
    return read_match(orjson.dumps(document), most)


def test_a_bare_patient() -> None:
    asked = read(PATIENT)
    question = asked.question
    assert question.mode is Mode.WIDE
    assert (question.family, question.given) == ("Smith", ("Jane", "Marie Anne"))
    assert question.birth == DateRange("2010-10", "2010-10")
    assert (question.postcode, question.address_lines) == ("LS1 6AE", ("1 Trevelyan Square",))
    assert (question.phones, question.emails) == (("01632960587",), ("j@example.com",))
    assert question.history
    assert question.asks_location
    assert (asked.only_certain, asked.count) == (False, 50)


def test_parameters() -> None:
    document = parameters(
        resource={"resource": PATIENT}, onlyCertainMatches={"valueBoolean": True}, count={"valueInteger": 3}
    )
    asked = read(document)
    assert (asked.only_certain, asked.count, asked.question.family) == (True, 3, "Smith")


def test_count_is_no_more_than_the_caller_may_have() -> None:
    document = parameters(resource={"resource": PATIENT}, count={"valueInteger": 3})
    assert read(document, most=1).count == 1


@pytest.mark.parametrize("birth", ["1980", "1980-02", "1980-02-29"])
def test_partial_dates(birth: str) -> None:
    assert read({**PATIENT, "birthDate": birth}).question.birth == DateRange(birth, birth)


REFUSED: list[tuple[str, Any, str]] = [
    ("not a resource", [], "INVALID_VALUE"),
    ("another resource", {"resourceType": "Observation"}, "INVALID_VALUE"),
    ("no resource", parameters(count={"valueInteger": 1}), "MISSING_VALUE"),
    ("not a patient", parameters(resource={"resource": {"resourceType": "Person"}}), "MISSING_VALUE"),
    (
        "unknown parameter",
        parameters(resource={"resource": PATIENT}, colour={"valueCode": "red"}),
        "ADDITIONAL_PROPERTIES",
    ),
    ("count of zero", parameters(resource={"resource": PATIENT}, count={"valueInteger": 0}), "INVALID_VALUE"),
    ("count as text", parameters(resource={"resource": PATIENT}, count={"valueInteger": "1"}), "INVALID_VALUE"),
    (
        "only certain as text",
        parameters(resource={"resource": PATIENT}, onlyCertainMatches={"valueBoolean": "yes"}),
        "INVALID_VALUE",
    ),
    ("wrong birth date", {**PATIENT, "birthDate": "22/10/2010"}, "INVALID_VALUE"),
    ("birth date no text", {**PATIENT, "birthDate": 2010}, "INVALID_VALUE"),
    ("wrong gender", {**PATIENT, "gender": "F"}, "INVALID_VALUE"),
    ("family no text", {**PATIENT, "name": [{"family": 7}]}, "INVALID_VALUE"),
    ("family too long", {**PATIENT, "name": [{"family": "S" * 300}]}, "INVALID_VALUE"),
    ("too many given names", {**PATIENT, "name": [{"given": ["A"] * 21}]}, "TOO_MANY_VALUES_SUBMITTED"),
    ("nothing to find by", {"resourceType": "Patient", "gender": "male"}, "INVALID_SEARCH_DATA"),
    ("one field", {"resourceType": "Patient", "birthDate": "2010-10-22"}, "INVALID_SEARCH_DATA"),
    (
        "empty family",
        {"resourceType": "Patient", "name": [{"family": " "}], "birthDate": "2010"},
        "INVALID_SEARCH_DATA",
    ),
    ("odd shapes", {"resourceType": "Patient", "name": "Smith", "address": 1, "telecom": {}}, "INVALID_SEARCH_DATA"),
]


@pytest.mark.parametrize(("what", "document", "code"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(what: str, document: Any, code: str) -> None:
    with pytest.raises(SpineError) as raised:
        read(document)
    assert (raised.value.spine_code, raised.value.status) == (code, 400), what


def test_a_body_that_is_not_json_is_not_quoted() -> None:
    with pytest.raises(SpineError) as raised:
        read_match(b"family=SECRET", 50)
    assert "SECRET" not in str(raised.value.diagnostics)
