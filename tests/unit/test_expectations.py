"""The second opinion: which expectations fail on rows that the rules should have kept out, in small parts and large."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from assets.validated import expectations
from assets.validated.expectations import expectation_names, run_suite
from schemas.feeds import FEEDS
from tests.lib.extracts import Row, frame, patient, summary

COUNT = 40
MAKERS: dict[str, Callable[..., Row]] = {"pds_patient": patient, "scr_summary": summary}


@pytest.fixture(params=["small", "parted"])
def _size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rows as a small part, and as one large enough for distinct values to be asked alone."""
    if request.param == "parted":
        monkeypatch.setattr(expectations, "_WORTH_PARTING", 10)


def _rows(feed: str, **changes: Any) -> pl.DataFrame:
    """Rows without a fault but the last."""
    make = MAKERS[feed]
    return frame(feed, [*(make(index) for index in range(COUNT - 1)), make(COUNT - 1, **changes)])


def _failed(feed: str, rows: pl.DataFrame) -> list[str]:
    return sorted(result.name for result in run_suite(FEEDS[feed], rows) if not result.success)


@pytest.mark.usefixtures("_size")
@pytest.mark.parametrize("feed", MAKERS)
def test_rows_without_a_fault_meet_every_expectation(feed: str) -> None:
    results = run_suite(FEEDS[feed], _rows(feed))
    assert sorted(result.name for result in results) == sorted(expectation_names(FEEDS[feed]))
    assert all(result.success for result in results)


@pytest.mark.usefixtures("_size")
@pytest.mark.parametrize(
    ("feed", "changes", "failed"),
    [
        ("pds_patient", {"action": "gone"}, ["action__be_in_set"]),
        ("pds_patient", {"row_no": 1}, ["row_no__be_unique"]),
        ("pds_patient", {"source_key": patient(0)["source_key"]}, ["source_key__be_unique"]),
        ("pds_patient", {"nhs_number": "12"}, ["nhs_number__match_regex"]),
        ("pds_patient", {"nhs_number": None}, ["nhs_number__not_be_null"]),
        ("pds_patient", {"version_id": 0}, ["version_id__be_between"]),
        ("pds_patient", {"version_id": None}, ["version_id__not_be_null"]),
        ("pds_patient", {"security": "X"}, ["security__be_in_set"]),
        ("pds_patient", {"birth_date": "soon"}, ["birth_date__match_regex"]),
        ("pds_patient", {"gender": "?", "birth_date": "?"}, ["birth_date__match_regex", "gender__be_in_set"]),
        ("scr_summary", {"permission": "Perhaps"}, ["permission__be_in_set"]),
        ("scr_summary", {"scr_uuid": "1"}, ["scr_uuid__match_regex"]),
    ],
)
def test_one_row_with_a_fault_fails_its_expectation_alone(
    feed: str, changes: dict[str, Any], failed: list[str]
) -> None:
    assert _failed(feed, _rows(feed, **changes)) == failed


@pytest.mark.usefixtures("_size")
def test_what_a_delete_leaves_out_is_not_missed() -> None:
    assert _failed("pds_patient", _rows("pds_patient", action="delete", version_id=None, security=None)) == []


def test_a_part_is_not_taken_for_the_one_before() -> None:
    assert _failed("pds_patient", _rows("pds_patient", gender="?")) == ["gender__be_in_set"]
    assert _failed("pds_patient", _rows("pds_patient")) == []
    assert run_suite(FEEDS["pds_patient"], _rows("pds_patient").clear()) == []
