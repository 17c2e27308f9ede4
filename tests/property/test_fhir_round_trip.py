"""A Patient comes back equal from its row, whatever it holds, and through parquet as well."""

from __future__ import annotations

import io
import json
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import DataFault
from schemas.feeds import FEEDS, PDS_PATIENT
from schemas.fhir.envelope import read_line, write_line
from schemas.fhir.patient import patient_resource, patient_row
from schemas.fields import STATES
from tests.lib import resource_strategies as rs

AS_AT = "2026-11-24T00:00:00+00:00"
Json = dict[str, Any]

thorough = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def same(left: Any, right: Any) -> bool:
    """Equality of JSON: unlike Python's, true is not 1 and 1 is not 1.0; order of keys is free."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


@thorough
@given(rs.pds_patients())
def test_columns_express_a_patient_of_the_sheets_shape(resource: Json) -> None:
    row = patient_row(resource)
    assert row["source_json"] is None
    assert same(patient_resource(row), resource)


@thorough
@given(rs.pds_patients())
def test_with_an_as_at_date_the_resource_still_comes_back(resource: Json) -> None:
    assert same(patient_resource(patient_row(resource, as_at=AS_AT)), resource)


@thorough
@given(rs.spoiled_patients() | rs.any_patients)
def test_any_patient_comes_back_equal(resource: Json) -> None:
    row = patient_row(resource, as_at=AS_AT)
    assert set(row) == {*PDS_PATIENT.columns, "nhs_number"}
    assert same(patient_resource(row), resource)
    assert all(value["state"] in STATES for column in ("names", "addresses", "telecoms") for value in row[column] or ())


def _through_parquet(rows: list[Json]) -> list[Json]:
    frame = pl.DataFrame(rows, schema=PDS_PATIENT.polars_schema, orient="row")
    file = io.BytesIO()
    frame.write_parquet(file)
    file.seek(0)
    back = pl.read_parquet(file)
    assert dict(back.schema) == PDS_PATIENT.polars_schema
    return back.to_dicts()


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(rs.pds_patients() | rs.spoiled_patients() | rs.any_patients, min_size=1, max_size=4))
def test_rows_survive_parquet(patients: list[Json]) -> None:
    rows, kept = [], []
    for place, resource in enumerate(patients, start=1):
        try:
            rows.append(read_line("pds_patient", resource, place, AS_AT))
            kept.append(resource)
        except DataFault:
            assert not (isinstance(resource.get("id"), str) and resource["id"].isascii() and resource["id"])
    back = _through_parquet(rows)
    assert back == rows
    assert all(same(patient_resource(row), resource) for row, resource in zip(back, kept, strict=True))


def _behind() -> st.SearchStrategy[Json]:
    lists = {
        "name": st.lists(rs.names, max_size=2),
        "address": st.lists(rs.addresses(), max_size=2),
        "telecom": st.lists(rs.telecoms, max_size=2),
    }
    former = {"gender": st.just(["male"]), "birthDate": st.just(["1990-01", "1990-02-03"])}
    return st.fixed_dictionaries(
        {"history": st.fixed_dictionaries({}, optional={**lists, **former})},
        optional={"hidden": st.fixed_dictionaries({}, optional=lists)},
    )


@thorough
@given(rs.pds_patients() | rs.spoiled_patients(), _behind())
def test_a_line_written_reads_back_to_the_same_row(resource: Json, behind: Json) -> None:
    line = {"action": "update", "source_key": "K1", "recorded_at": AS_AT, "payload": resource, **behind}
    row = read_line("pds_patient", line, 7, AS_AT)
    assert same(patient_resource(row), resource)
    written = write_line("pds_patient", row)
    assert same(written["payload"], resource)
    assert read_line("pds_patient", json.loads(json.dumps(written)), 7, AS_AT) == row


@thorough
@given(
    rs.json_values
    | st.builds(
        lambda line, action: {**line, "action": action},
        st.dictionaries(rs.any_text, rs.json_values),
        st.sampled_from(["new", "delete"]),
    )
)
@pytest.mark.parametrize("feed", ["pds_patient", "scr_summary", "pds_number_change"])
def test_a_line_of_any_json_gives_a_row_or_a_fault(feed: str, line: Any) -> None:
    try:
        row = read_line(feed, line, 1, AS_AT)
    except DataFault as fault:
        code = fault.code
    else:
        code = "RECORD_READ" if set(row) == {field.name for field in FEEDS[feed].fields} else "wrong columns"
    assert code.startswith("RECORD_")
