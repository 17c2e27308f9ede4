"""Every kind of answer is valid FHIR R4 by an independent validator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fhirkit
import pytest

from tests.lib import cast
from tests.lib.api import BASE, SIGNER, Api

Json = dict[str, Any]

SUBJECT = f"https://fhir.nhs.uk/Id/nhs-number|{cast.JANE}"
CROWD = {"resourceType": "Patient", "name": [{"family": "Crowdson", "given": ["Pat"]}], "birthDate": "1980-05-17"}
# Where what the sources publish departs from R4; it is served as sent (services.md 2.4, pds.md 2.4).
AS_PUBLISHED = {
    "everything": "resource.title: required element missing",  # the summary's Composition has no title
    "related": "resource.patient: required element missing",  # a related person who is no patient
}

ANSWERS: dict[str, Callable[[Api], Any]] = {
    "search": lambda api: api.search(family="Youds", birthdate="1970-01-21"),
    "empty search": lambda api: api.search(family="Nobody", birthdate="1970-01-21"),
    "explained search": lambda api: api.search(family="Smith", birthdate="2010-10-22", explain=True),
    "wide search with more than are shown": lambda api: api.search(mode="wide", family="Crowdson", given="Pat"),
    "too many": lambda api: api.search(family="Crowdson", birthdate="1980-05-17"),
    "match": lambda api: api.send("POST", f"{BASE}/Patient/$match", json=CROWD),
    "read": lambda api: api.get(f"/Patient/{cast.JANE}"),
    "whole read": lambda api: api.get(f"/Patient/{cast.JANE}", SIGNER.privileged_application()),
    "restricted read": lambda api: api.get(f"/Patient/{cast.JANET}"),
    "very restricted read": lambda api: api.get(f"/Patient/{cast.VERA}"),
    "related": lambda api: api.get(f"/Patient/{cast.CARED}/RelatedPerson"),
    "everything": lambda api: api.get(f"/Patient/{cast.JANE}/$everything"),
    "everything, masked": lambda api: api.get(f"/Patient/{cast.JANET}/$everything"),
    "everything, refused": lambda api: api.get(f"/Patient/{cast.OPTED_OUT}/$everything"),
    "reference": lambda api: api.get("/DocumentReference", patient=SUBJECT),
    "metadata": lambda api: api.get("/metadata"),
    "not found": lambda api: api.get(f"/Patient/{cast.UNKNOWN}"),
    "invalid": lambda api: api.search(year="2003"),
    "unsupported": lambda api: api.get("/HelloWorld"),
    "forbidden": lambda api: api.get(f"/Patient/{cast.JANE}", SIGNER.ops()),
    "no token": lambda api: api.send("GET", f"{BASE}/Patient", headers={}),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_valid(api: Api, what: str) -> None:
    response = ANSWERS[what](api)
    assert response.headers["content-type"] == "application/fhir+json"
    issues = [str(issue) for issue in fhirkit.validate(response.json()) if issue.severity == "error"]
    assert [issue for issue in issues if not issue.endswith(AS_PUBLISHED.get(what, "nothing is"))] == []
