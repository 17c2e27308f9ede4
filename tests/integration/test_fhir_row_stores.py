"""The row form survives the stores it goes through: parquet, then DuckDB, then one JSON text a row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from schemas.feeds import PDS_PATIENT
from schemas.fhir.envelope import read_line, write_line
from schemas.fhir.patient import patient_resource
from tests.lib import resources as r

AS_AT = "2026-11-24T00:00:00+00:00"
PATIENTS: list[dict[str, Any]] = [
    r.full_patient(),
    r.patient("9000000017"),
    r.patient("9000000025", gender="a\x00b", odd=["\ud800", 2**70, 1.5, None, True]),
    {"resourceType": "Patient", "id": "9000000033"},
]


def test_rows_survive_parquet_and_the_json_of_duckdb(tmp_path: Path) -> None:
    rows = [read_line("pds_patient", patient, place, AS_AT) for place, patient in enumerate(PATIENTS, start=1)]
    file = tmp_path / "part.parquet"
    pl.DataFrame(rows, schema=PDS_PATIENT.polars_schema, orient="row").write_parquet(file)
    record = ", ".join(f"{name} := {name}" for name in PDS_PATIENT.columns)
    with duckdb.connect() as connection:
        stored = connection.execute(
            f"SELECT nhs_number, to_json(struct_pack({record})) FROM read_parquet(?) ORDER BY row_no", [str(file)]
        ).fetchall()
    for (number, text), row, patient in zip(stored, rows, PATIENTS, strict=True):
        back = json.loads(text)
        assert back == {name: row[name] for name in PDS_PATIENT.columns}
        assert patient_resource({**back, "nhs_number": number}) == patient


def _empty_for_null(row: dict[str, Any]) -> dict[str, Any]:
    """The row as a frame of another writer may hold it: empty lists and structs of nulls."""
    nothing = {"id": None, "code": None, "start": None, "end": None}
    blank = {
        "names": [],
        "addresses": [],
        "telecoms": [],
        "contacts": [],
        "consents": [],
        "former_genders": [],
        "former_birth_dates": [],
        "related_persons": [],
        "general_practitioner": nothing,
        "managing_organisation": nothing,
        "removal": {"code": None, "start": None, "end": None},
        "birth_place": {"city": None, "district": None, "country": None},
        "contact_preference": {"written_format": None, "method": None, "times": None},
    }
    return {name: blank.get(name, value) if value is None else value for name, value in row.items()}


@pytest.mark.parametrize(
    "patient", [r.patient("9000000017", name=None, telecom=None, generalPractitioner=None), r.full_patient()]
)
def test_empty_lists_and_structs_count_as_missing(patient: dict[str, Any]) -> None:
    row = read_line("pds_patient", patient, 1, AS_AT)
    other = _empty_for_null(row)
    assert patient_resource(other) == patient
    assert read_line("pds_patient", write_line("pds_patient", other), 1, AS_AT) == row
