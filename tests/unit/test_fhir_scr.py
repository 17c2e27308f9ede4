"""SCR documents: columns, what is served, and the pointer to them."""

from __future__ import annotations

import io
from typing import Any

import polars as pl
import pytest

from schemas.feeds import SCR_SUMMARY
from schemas.fhir.envelope import read_line
from schemas.fhir.scr import bundle_subject, scr_bundle, scr_document_reference, scr_row
from schemas.fhir.values import from_json_text
from tests.lib import summaries as s

AS_AT = "2026-11-24T00:00:00+00:00"


def row_of(*sections: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**scr_row(s.scr_bundle(sections=list(sections) or None, **more), "Ask"), "nhs_number": "9000000009"}


def test_columns_of_the_published_shape() -> None:
    row = row_of()
    assert {name: row[name] for name in SCR_SUMMARY.columns[:8]} == {
        "scr_uuid": s.UUID,
        "created": "2020-11-17T01:00:00+00:00",
        "sent": "14-May-2020 14:31",
        "practice_code": "A20047",
        "author_name": "SMITH, Sean (Mr)",
        "permission": "Ask",
        "has_additional_information": True,
        "has_withheld_items": False,
    }
    assert [section["code"] for section in row["sections"]][:2] == ["Title", "AllergiesHeader"]
    assert row["sections"][2]["title"] == "Acute Medications (For the 12 month period 14-May-2019 to 14-May-2020)"


def test_raw_sections_stay_as_sent_beside_the_parsed_rows() -> None:
    bundle = s.scr_bundle()
    row = scr_row(bundle, "Ask")
    sent = [section["text"]["div"] for section in bundle["entry"][0]["resource"]["section"]]
    assert [section["html"] for section in row["sections"]] == sent
    assert from_json_text(row["bundle_json"]) == bundle
    acute = [found for found in row["section_rows"] if found["header"] == "AcuteMedsHeader"]
    assert [(found["table"], found["row_no"]) for found in acute] == [("AcuteMeds", 1)]
    assert acute[0]["cells"][2] == {"column": "Medication Item", "text": "Co-codamol 8mg/500mg tablets"}


def test_only_core_sections_are_no_additional_information() -> None:
    assert row_of(*s.with_send_time([s.title_section(), *s.core_sections()]))["has_additional_information"] is False


def test_a_withheld_statement_in_an_additional_section_does_not_count_but_shows() -> None:
    withheld = s.section(
        "CircumstancesHeader",
        "Social and Personal Circumstances",
        s.div(s.statement("WithhedItemsStatment", s.WITHHELD)),
    )
    row = row_of(*s.with_send_time([s.title_section(), withheld]))
    assert (row["has_additional_information"], row["has_withheld_items"]) == (False, True)


def test_send_time_is_taken_from_the_last_section_that_has_one() -> None:
    first = s.title_section(s.statement("SendTime", "Summary Sent: 01-Jan-2000 00:00"))
    assert row_of(*s.with_send_time([first, s.diagnoses_section()]))["sent"] == "14-May-2020 14:31"
    assert row_of(first)["sent"] == "01-Jan-2000 00:00"
    assert row_of(s.title_section())["sent"] is None


def test_the_author_is_the_practitioners_name_when_the_title_names_nobody() -> None:
    assert row_of(s.section("Title", "General Practice Summary", s.div()))["author_name"] == "Dr Steve Jones"


@pytest.mark.parametrize(
    "bundle",
    [
        {},
        {"entry": None},
        {"entry": [None, {"resource": 5}]},
        {
            "entry": [
                {
                    "resource": {
                        "resourceType": "Composition",
                        "section": [None, {"text": 5}],
                        "author": [{"reference": "x"}],
                        "identifier": [5],
                    }
                }
            ]
        },
    ],
)
def test_odd_bundles_give_a_row(bundle: dict[str, Any]) -> None:
    row = scr_row({"resourceType": "Bundle", **bundle}, "Ask")
    assert set(row) == set(SCR_SUMMARY.columns)
    assert bundle_subject(bundle) is None


def test_what_is_served_is_sanitised_and_otherwise_as_sent() -> None:
    bundle = s.scr_bundle()
    narrative = bundle["entry"][0]["resource"]["section"][1]["text"]
    narrative["div"] = narrative["div"].replace("<table", "<script>alert(1)</script><table onclick='x'")
    row = scr_row(bundle, "Ask")
    served = scr_bundle(row)
    clean = served["entry"][0]["resource"]["section"][1]["text"]["div"]
    assert "alert(1)" not in clean
    assert "onclick" not in clean
    assert 'id="Allergies"' in clean
    assert "<script>alert(1)</script>" in row["sections"][1]["html"]
    for document in (bundle, served):
        for section in document["entry"][0]["resource"]["section"]:
            section["text"].pop("div")
    assert served == bundle


def test_the_pointer_has_the_published_shape() -> None:
    pointer = scr_document_reference(row_of())
    assert pointer["masterIdentifier"] == {"system": "https://fhir.nhs.uk/Id/nhsSCRUUID", "value": s.UUID}
    assert pointer["securityLabel"] == [
        {"coding": [{"system": "https://fhir.nhs.uk/CodeSystem/SCR-ACSPermission", "code": "Ask"}]}
    ]
    assert (pointer["status"], pointer["type"]["coding"][0]["code"]) == ("current", "196981000000101")
    assert pointer["subject"] == {"reference": "Patient/9000000009"}
    assert pointer["content"][0]["attachment"]["url"] == (
        f"https://api.service.nhs.uk/summary-care-record/FHIR/R4/Bundle?composition.identifier={s.UUID}"
        "&composition.subject:Patient.identifier=https://fhir.nhs.uk/Id/nhs-number|9000000009"
    )


def test_rows_survive_parquet() -> None:
    rows = [
        read_line("scr_summary", s.scr_bundle(), 1, AS_AT),
        read_line("scr_summary", s.scr_bundle("9000000017", [s.title_section()]), 2, AS_AT),
    ]
    file = io.BytesIO()
    pl.DataFrame(rows, schema=SCR_SUMMARY.polars_schema, orient="row").write_parquet(file)
    file.seek(0)
    assert pl.read_parquet(file).to_dicts() == rows
