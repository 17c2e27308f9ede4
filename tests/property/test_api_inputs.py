"""Whatever is sent, the API answers with FHIR and never with a 5xx: readers of input, and whole requests.

Belongs here: properties of input. Seeded by hypothesis's own database-free derandomised runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search_api.access.context import AccessMode
from search_api.errors import SpineError
from search_api.patients.asked import read_search
from search_api.patients.bodies import fields
from search_api.patients.match_input import read_match
from search_api.patients.parameters import PARAMETERS
from search_api.settings import Settings
from search_api.summaries import parameters
from tests.lib.api import BASE, SIGNER, Api
from tests.lib.tokens import bearer

SETTINGS = Settings()

names = st.sampled_from([row.name for row in PARAMETERS]) | st.text(max_size=8)
plausible = st.sampled_from(
    [
        "true",
        "false",
        "wide",
        "eq2010-10-22",
        "ge1900-01-01",
        "2010-02-30",
        "Smith",
        "Sm*",
        "*",
        "LS1 6AE",
        "male",
        "1",
        "50",
    ]
)
values = plausible | st.text(max_size=40)
items = st.lists(st.tuples(names, values), max_size=8)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
patient_fields = st.sampled_from(["name", "birthDate", "gender", "address", "telecom", "identifier", "resourceType"])
patients = st.dictionaries(patient_fields, json_values | st.sampled_from(["Patient", "1980", "male"]), max_size=7)

thorough = settings(max_examples=200, deadline=None, derandomize=True, database=None)
over_http = settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


def tried(read: Callable[..., Any], *arguments: Any) -> Any:
    """What reading gives: a value, or the error that the caller is told. Anything else goes through."""
    try:
        return read(*arguments)
    except SpineError as error:
        return error


@thorough
@given(items, st.sampled_from(list(AccessMode)))
def test_a_search_is_read_or_refused(sent: list[tuple[str, str]], mode: AccessMode) -> None:
    asked = tried(read_search, sent, mode, SETTINGS)
    if isinstance(asked, SpineError):
        assert asked.status == 400
        return
    question = asked.question
    assert 1 <= question.limit <= 50
    assert question.family is None or 0 < len(question.family) <= 35
    assert all(0 < len(given_name) <= 35 for given_name in question.given)


@thorough
@given(json_values | patients.map(lambda found: {**found, "resourceType": "Patient"}))
def test_a_match_is_read_or_refused(document: Any) -> None:
    asked = tried(read_match, orjson.dumps(document), 50)
    assert asked.status == 400 if isinstance(asked, SpineError) else 1 <= asked.count <= 50


@thorough
@given(st.binary(max_size=60))
def test_bytes_are_read_or_refused(raw: bytes) -> None:
    for read in (fields, lambda body: read_match(body, 50)):
        read_or_refused = tried(read, raw)
        assert not isinstance(read_or_refused, SpineError) or read_or_refused.status == 400


@thorough
@given(
    st.lists(
        st.tuples(st.sampled_from([*parameters.REFERENCE_VALUES, *parameters.BUNDLE_VALUES, "x"]), values), max_size=4
    )
)
def test_summary_parameters_are_read_or_refused(sent: list[tuple[str, str]]) -> None:
    for read in (parameters.reference_number, parameters.bundle_key):
        read_or_refused = tried(read, sent)
        assert not isinstance(read_or_refused, SpineError) or read_or_refused.status == 400


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, served: Settings) -> Iterator[Api]:
    with Api(tmp_path_factory.mktemp("audit"), served) as opened:
        yield opened


@over_http
@given(sent=items)
def test_any_search_is_answered_in_fhir(api: Api, sent: list[tuple[str, str]]) -> None:
    response = api.send("GET", f"{BASE}/Patient", headers=bearer(SIGNER.clinician()), params=sent)
    assert response.status_code in (200, 400)
    assert response.headers["content-type"] == "application/fhir+json"
    assert response.json()["resourceType"] in ("Bundle", "OperationOutcome")


@over_http
@given(path=st.text(max_size=20), method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]))
def test_any_path_is_answered_in_fhir(api: Api, path: str, method: str) -> None:
    response = api.send(method, f"{BASE}/Patient/{quote(path, safe='')}")
    assert response.status_code in (200, 400, 404, 415, 502)
    assert response.json()["resourceType"] in ("Bundle", "OperationOutcome")


@over_http
@given(body=patients)
def test_any_match_is_answered_in_fhir(api: Api, body: dict[str, Any]) -> None:
    response = api.send("POST", f"{BASE}/Patient/$match", json={**body, "resourceType": "Patient"})
    assert response.status_code in (200, 400)
    assert response.json()["resourceType"] in ("Bundle", "OperationOutcome")
