"""Vectorised checks against plain Python, sums, duplicates, columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quality.catalogue import LINE_RULES, rule_of, rules_of
from quality.contract import check_columns
from quality.expectations import CODES, SHAPES, suite
from quality.expressions import is_date, nhs_number_valid, precedes
from quality.groups import duplicate_losers
from quality.judge import control_total, judge
from quality.reasons import REASONS, Level
from quality.rule import Context
from quality.verdict import Tally
from schemas.errors import FileRefused, ReconcileError
from schemas.feeds import FEEDS
from schemas.fhir.faults import SHAPE_CODES
from schemas.identifiers import check_digit, is_nhs_number
from tests.lib.extracts import AS_AT, NUMBERS, Row, control, frame, patient

PATIENT = FEEDS["pds_patient"]
NOBODY = pl.Series("row_no", [], dtype=pl.Int64())


def one(expression: pl.Expr, **values: str | None) -> bool | None:
    row = pl.DataFrame({name: [value] for name, value in values.items()}, schema=dict.fromkeys(values, pl.String()))
    result: bool | None = row.select(expression).item()
    return result


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.one_of(st.from_regex(r"[0-9]{10}", fullmatch=True), st.text(max_size=12)))
def test_modulus_11_agrees_with_the_plain_one(text: str) -> None:
    plain = is_nhs_number(text) and len(set(text)) > 1
    assert one(nhs_number_valid(pl.col("n")), n=text) is plain


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.integers(900_000_000, 999_999_999))
def test_every_number_with_its_check_digit_is_valid_and_with_another_is_not(serial: int) -> None:
    right = check_digit(f"{serial:09d}")
    numbers = pl.DataFrame({"n": [f"{serial:09d}{digit}" for digit in range(10)]})
    expected = [digit == right and len(set(numbers["n"][digit])) > 1 for digit in range(10)]
    assert numbers.select(nhs_number_valid(pl.col("n"))).to_series().to_list() == expected


@pytest.mark.parametrize("text", ["1980", "1980-02", "1980-02-29", "2999-12-31"])
def test_dates_of_the_calendar(text: str) -> None:
    assert one(is_date(pl.col("d")), d=text) is True


@pytest.mark.parametrize("text", ["", "80", "1981-02-29", "1980-2", "1980-02-", "١٩٨٠", "1980-02-29 ", "1980-00-01"])
def test_what_is_no_date(text: str) -> None:
    assert one(is_date(pl.col("d")), d=text) is False


def test_a_missing_date_is_neither() -> None:
    assert one(is_date(pl.col("d")), d=None) is None


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        ("1979-12-31", "1980", True),
        ("1980", "1980-05-02", False),
        ("1980-04", "1980-05-02", True),
        ("1980-05-02T10:00:00Z", "1980-05-02", False),
        ("1980-05-03", "1980-05-02", False),
    ],
)
def test_partial_dates_are_compared_to_the_length_both_have(earlier: str, later: str, expected: bool) -> None:
    assert one(precedes(pl.col("a"), pl.col("b")), a=earlier, b=later) is expected


def test_the_control_total_is_the_one_of_plain_python() -> None:
    rows = [patient(index) for index in range(30)]
    rows[4]["nhs_number"], rows[5]["nhs_number"], rows[6]["nhs_number"] = None, "12", "90000x0009"
    rows[7]["nhs_number"] = "9000000000"
    assert control_total(frame("pds_patient", rows)) == control(rows)
    assert control_total(frame("pds_patient", [])) == 0


def test_a_row_breaking_many_rules_is_counted_for_each_and_rejected_once() -> None:
    bad = patient(1, gender="?", birth_date="?", nhs_number="1")
    judged = judge(PATIENT, frame("pds_patient", [patient(0), bad]), Context("full", AS_AT), NOBODY)
    assert judged.tally.received == 2
    assert judged.tally.quarantined == 1
    [rejected] = judged.rejected.to_dicts()
    assert rejected["code"] == "REC_NHS_NUMBER_INVALID"
    assert rejected["rules"] == ["NHS_NUMBER_INVALID", "KEY_NOT_NUMBER", "GENDER_UNKNOWN", "BIRTH_DATE_SHAPE"]
    assert judged.tally.rules["GENDER_UNKNOWN"] == 1


def test_a_rejected_row_is_not_counted_among_the_warnings() -> None:
    bad = patient(1, verification="02", gender="?")
    judged = judge(PATIENT, frame("pds_patient", [patient(0), bad]), Context("full", AS_AT), NOBODY)
    assert judged.tally.warnings == 0
    assert judged.flagged.is_empty()


def test_completeness_counts_accepted_rows_with_a_value() -> None:
    rows = [patient(0), patient(1, gender=None, telecoms=[]), patient(2, gender="")]
    judged = judge(PATIENT, frame("pds_patient", rows), Context("full", AS_AT), NOBODY)
    assert judged.tally.completeness["nhs_number"] == 2
    assert judged.tally.completeness["gender"] == 1
    assert judged.tally.completeness["telecoms"] == 0


def test_the_future_is_judged_by_the_as_at_day_in_england() -> None:
    # 23:30 UTC on 30 April is 00:30 on 1 May in England.
    late = AS_AT.replace(month=4, day=30, hour=23, minute=30)
    judged = judge(PATIENT, frame("pds_patient", [patient(0, birth_date="2026-05-01", recorded_at=None)]),
                   Context("full", late), NOBODY)  # fmt: skip
    assert judged.tally.accepted == 1


def losers(rows: list[Row], folder: Path, feed: str = "pds_patient") -> list[int]:
    path = folder / "rows.parquet"
    frame(feed, rows).write_parquet(path)
    connection = duckdb.connect()
    try:
        return duplicate_losers(connection, f"SELECT * FROM read_parquet('{path}')", FEEDS[feed]).to_list()
    finally:
        connection.close()


def twice(**changes: object) -> list[Row]:
    return [patient(0), patient(1), patient(0, row_no=3, **changes), patient(2, row_no=4)]


@pytest.mark.parametrize(
    ("rows", "lost"),
    [
        ([patient(0), patient(1)], []),
        (twice(version_id=4), [1]),
        (twice(version_id=2), [3]),
        (twice(), [3]),
        (twice(gender="other"), [1, 3]),
        (twice(version_id=None), [3]),
        ([*twice(version_id=4), patient(0, row_no=5, version_id=4)], [1, 5]),
        ([*twice(version_id=4), patient(0, row_no=5, version_id=4, gender="other")], [1, 3, 5]),
        ([patient(0, source_key=None), patient(1, source_key=None)], []),
        ([patient(0, version_id=None), patient(0, row_no=2, version_id=None)], [2]),
    ],
)
def test_which_copy_of_a_key_loses(rows: list[Row], lost: list[int], tmp_path: Path) -> None:
    assert losers(rows, tmp_path) == lost


@pytest.mark.parametrize("order", [lambda rows: rows, lambda rows: rows[::-1], lambda rows: rows[2:] + rows[:2]])
def test_the_order_of_rows_does_not_matter(order: Callable[[list[Row]], list[Row]], tmp_path: Path) -> None:
    assert losers(order(twice(version_id=4)), tmp_path) == [1]


def test_columns_may_come_in_any_order() -> None:
    check_columns(PATIENT, dict(reversed(PATIENT.polars_schema.items())))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda columns: columns.pop("gender"), "missing gender"),
        (lambda columns: columns.update(nhs_no=pl.String()), "1 unknown"),
        (lambda columns: columns.update(version_id=pl.Int32()), "retyped version_id"),
        (lambda columns: columns.update(recorded_at=pl.Datetime("ns", "UTC")), "retyped recorded_at"),
        (lambda columns: columns.update(names=pl.List(pl.String())), "retyped names"),
    ],
)
def test_drifted_columns_are_named(change: Callable[[dict[str, pl.DataType]], object], words: str) -> None:
    columns = dict(PATIENT.polars_schema)
    change(columns)
    with pytest.raises(FileRefused, match=words):
        check_columns(PATIENT, columns)


def test_sums_that_do_not_come_out_are_our_fault() -> None:
    with pytest.raises(ReconcileError):
        Tally(received=3, accepted=1, quarantined=1).check(record_count=3, control=0)


@pytest.mark.parametrize(
    ("tally", "rule"),
    [
        (Tally(received=3, accepted=3, control=5), None),
        (Tally(received=2, accepted=2, control=5), "FILE_ROWS"),
        (Tally(received=3, accepted=3, control=4), "FILE_CONTROL"),
        (Tally(received=3, accepted=2, quarantined=1, unreadable=1, control=4), None),
        (Tally(received=3, quarantined=3, control=5), "NONE_LOADED"),
    ],
)
def test_a_tally_is_checked_against_the_manifest(tally: Tally, rule: str | None) -> None:
    if rule is None:
        tally.check(record_count=3, control=5)
        return
    with pytest.raises(FileRefused) as caught:
        tally.check(record_count=3, control=5)
    assert caught.value.rule == rule


def test_an_empty_delta_is_accepted() -> None:
    Tally().check(record_count=0, control=0)
    assert Tally().code == "FILE_ACCEPTED"


def test_line_rules_cover_every_code_of_the_reader() -> None:
    assert set(SHAPE_CODES) <= set(LINE_RULES)
    assert {rule.code for rule in LINE_RULES.values()} <= set(REASONS)


@pytest.mark.parametrize("feed", FEEDS)
def test_suites_speak_of_columns_of_the_feed_and_stay_small(feed: str) -> None:
    expectations = suite(FEEDS[feed])
    assert {item.column for item in expectations} <= set(FEEDS[feed].polars_schema)
    assert len(expectations) <= 16
    assert {"action", "nhs_number"} <= {item.column for item in expectations}


def test_codes_and_shapes_are_of_known_fields() -> None:
    columns = {name for feed in FEEDS.values() for name in feed.polars_schema}
    assert set(CODES) | set(SHAPES) <= columns


def test_rules_are_found_by_name() -> None:
    found = rule_of("pds_patient", "BIRTH_IN_FUTURE")
    assert found is not None
    assert found.releasable
    assert rule_of("pds_patient", "PERMISSION_UNKNOWN") is None


def test_what_the_expectations_demand_may_not_be_overruled() -> None:
    for feed in FEEDS:
        demanded = {item.column for item in suite(FEEDS[feed]) if item.column not in ("birth_date",)}
        loose = {rule.name for rule in rules_of(feed) if rule.releasable and rule.level is not Level.WARNING}
        assert not {name for name in loose if rule_of(feed, name).field in demanded}  # type: ignore[union-attr]


def test_the_golden_numbers_are_numbers() -> None:
    assert all(is_nhs_number(number) for number in NUMBERS)
