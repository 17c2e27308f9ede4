"""Landing and validation as Dagster runs them: blocking checks, metadata, second runs, expectations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from assets import keys
from assets.landing.factory import landing_assets
from assets.validated import expectations as expectations_module
from assets.validated import judging as judging_module
from assets.validated.expectations import ExpectationResult, expectation_names, run_suite
from assets.validated.factory import validated_assets
from assets.validated.landed import Auditor
from assets.validated.validate import validate
from quality.rule import Rule
from schemas.errors import ExpectationsFailed
from schemas.feeds import FEEDS
from tests.lib.extracts import NUMBERS, House, delivery, frame, house, number_change, patient, summary

MAKERS: dict[str, Any] = {"pds_patient": patient, "pds_number_change": number_change, "scr_summary": summary}


@pytest.fixture
def made(tmp_path: Path) -> House:
    return house(tmp_path)


def run(made: House, feed: str = "pds_patient") -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [*landing_assets(feed), *validated_assets(feed)],
            instance=instance,
            resources={"stores": made.stores, "ledger": made.ledger, "settings": made.settings},
            raise_on_error=False,
        )


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {found.check_name: found.passed for found in result.get_asset_check_evaluations()}


def metadata(result: dg.ExecuteInProcessResult, key: str) -> dict[str, Any]:
    [found] = result.asset_materializations_for_node(key if key.startswith("landing") else f"validate__{key[11:]}")[:1]
    return {name: value.value for name, value in found.metadata.items()}


@pytest.mark.parametrize("feed", FEEDS)
def test_a_good_extract_of_each_feed_passes_every_check(feed: str, made: House, tmp_path: Path) -> None:
    rows = [MAKERS[feed](index) for index in range(15)]
    delivery(rows, tmp_path, "parquet", feed=feed).write(made.stores.drop)
    result = run(made, feed)
    assert result.success
    assert all(checks(result).values())
    assert set(expectation_names(FEEDS[feed])) < set(checks(result))
    source = FEEDS[feed].sources[0]
    assert made.accepted(feed, source, 1).height == 15
    assert metadata(result, keys.landing(feed))["records"] == 15
    assert metadata(result, keys.validated(feed))["rows"] == 15


def test_the_control_total_of_a_single_row_is_kept_out_of_the_run(made: House, tmp_path: Path) -> None:
    delivery([patient(0)], tmp_path).write(made.stores.drop)
    said = metadata(run(made), keys.landing("pds_patient"))
    assert said["records"] == 1
    assert str(made.ledger.entries("pds_patient")[0].control) not in str(said)


def test_a_refused_file_fails_its_run_and_the_next_one_passes(made: House, tmp_path: Path) -> None:
    delivery([patient(index) for index in range(15)], tmp_path, schema_version="9").write(made.stores.drop)
    first = run(made)
    assert not first.success
    assert checks(first)["extracts_acceptable"] is False
    assert "in_is_accepted_plus_quarantined" not in checks(first)
    [failed] = [found for found in first.get_asset_check_evaluations() if not found.passed]
    assert failed.blocking
    assert failed.metadata["codes"].value == ["FILE_VERSION_UNSUPPORTED"]
    second = run(made)
    assert second.success
    assert all(checks(second).values())


def test_a_refusal_found_while_parsing_fails_the_run(made: House, tmp_path: Path) -> None:
    delivery([patient(index) for index in range(15)], tmp_path, control=4).write(made.stores.drop)
    first = run(made)
    assert not first.success
    assert checks(first)["extracts_hold_what_they_promise"] is False
    assert run(made).success


def test_what_is_good_is_validated_though_another_delivery_fails_the_run(made: House, tmp_path: Path) -> None:
    delivery([patient(index) for index in range(15)], tmp_path).write(made.stores.drop)
    rows = [patient(index, action="update") for index in range(4)]
    delivery(rows, tmp_path, sequence=2, schema_version="9").write(made.stores.drop)
    first = run(made)
    assert not first.success
    assert [entry.sequence for entry in made.ledger.validated("pds_patient")] == [1]
    [landing_check] = [
        found for found in first.get_asset_check_evaluations() if found.check_name == "extracts_acceptable"
    ]
    assert (landing_check.passed, landing_check.severity) == (False, dg.AssetCheckSeverity.WARN)
    [failed] = [found for found in first.get_asset_check_evaluations() if found.blocking and not found.passed][-1:]
    assert failed.check_name == "extracts_hold_what_they_promise"
    assert failed.metadata["codes"].value == ["FILE_VERSION_UNSUPPORTED"]
    assert run(made).success


def test_a_gap_only_warns(made: House, tmp_path: Path) -> None:
    delivery([patient(0)], tmp_path, sequence=3).write(made.stores.drop)
    result = run(made)
    assert result.success
    assert checks(result)["extracts_in_sequence"] is False


def test_rejected_records_are_data_and_fail_nothing(made: House, tmp_path: Path) -> None:
    rows = [patient(index, **({"gender": "?"} if index == 4 else {})) for index in range(15)]
    delivery(rows, tmp_path).write(made.stores.drop)
    result = run(made)
    assert result.success
    [reconciled] = [
        found for found in result.get_asset_check_evaluations() if found.check_name == "in_is_accepted_plus_quarantined"
    ]
    counts = {name: value.value for name, value in reconciled.metadata.items()}
    assert (counts["in"], counts["accepted"], counts["quarantined"]) == (15, 14, 1)


def test_no_value_of_a_row_reaches_the_event_log(made: House, tmp_path: Path) -> None:
    marker = "QUAGGASMITH"
    rows = [patient(index, **({"gender": marker} if index == 4 else {})) for index in range(15)]
    rows[6]["names"][0]["family"] = marker
    delivery(rows, tmp_path).write(made.stores.drop)
    said = json.dumps([repr(event) for event in run(made).all_events])
    assert marker not in said
    assert not any(number in said for number in NUMBERS[:15])


def blind(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make one of our own rules see nothing, as a bug would."""
    blinded = [rule for rule in judging_module.judge.__globals__["rules_of"]("pds_patient") if rule.name == name]
    assert len(blinded) == 1
    original = Rule.__getattribute__

    def broken(self: Rule, attribute: str) -> Any:
        if attribute == "broken" and original(self, "name") == name:
            return lambda _context: pl.lit(value=False)
        return original(self, attribute)

    monkeypatch.setattr(Rule, "__getattribute__", broken)


def test_rows_our_rules_let_pass_are_stopped_by_the_expectations(
    made: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind(monkeypatch, "GENDER_UNKNOWN")
    rows = [patient(index, **({"gender": "?"} if index == 4 else {})) for index in range(15)]
    delivery(rows, tmp_path).write(made.stores.drop)
    result = run(made)
    assert not result.success
    assert checks(result)["gender__be_in_set"] is False
    assert made.ledger.validated("pds_patient") == []
    assert not made.stores.stage("validated", "pds_patient", "PDS", 1).exists()
    # Mended, the same bytes go through.
    monkeypatch.undo()
    assert run(made).success
    assert made.ledger.validated("pds_patient")[0].quarantined == 1


BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("pds_patient", "security__be_in_set", {"security": "S"}),
    ("pds_patient", "security__not_be_null", {"security": None}),
    ("pds_patient", "nhs_number__match_regex", {"nhs_number": "900 000 0009"}),
    ("pds_patient", "nhs_number__not_be_null", {"nhs_number": None}),
    ("pds_patient", "version_id__be_between", {"version_id": 0}),
    ("pds_patient", "version_id__not_be_null", {"version_id": None}),
    ("pds_patient", "birth_date__match_regex", {"birth_date": "1/1/1980"}),
    ("pds_patient", "action__be_in_set", {"action": "merge"}),
    ("pds_patient", "source_key__be_unique", {"source_key": NUMBERS[0]}),
    ("pds_patient", "row_no__be_unique", {"row_no": 1}),
    ("pds_number_change", "change_type__be_in_set", {"change_type": "merged"}),
    ("pds_number_change", "new_nhs_number__match_regex", {"new_nhs_number": "1"}),
    ("scr_summary", "permission__be_in_set", {"permission": "Perhaps"}),
    ("scr_summary", "scr_uuid__match_regex", {"scr_uuid": "1"}),
]


@pytest.mark.parametrize(("feed", "name", "changes"), BROKEN)
def test_each_expectation_can_fail(feed: str, name: str, changes: dict[str, Any]) -> None:
    good = [MAKERS[feed](index) for index in range(5)]
    outcome = {found.name: found.success for found in run_suite(FEEDS[feed], frame(feed, good))}
    assert all(outcome.values())
    bad = [*good[:4], good[4] | changes]
    outcome = {found.name: found.success for found in run_suite(FEEDS[feed], frame(feed, bad))}
    assert outcome[name] is False


@pytest.mark.parametrize(("feed", "name", "changes"), BROKEN)
def test_distinct_values_are_judged_as_all_rows_are(
    feed: str, name: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty rows with few values, the odd one among them: asked of all rows, and of distinct values."""
    good = [MAKERS[feed](index % 50, row_no=index + 1) for index in range(29)]
    rows = frame(feed, [*good, MAKERS[feed](29, row_no=30) | changes])
    found = {}
    for size in (10, 1000):
        monkeypatch.setattr(expectations_module, "_WORTH_PARTING", size)
        found[size] = {(one.name, one.success) for one in run_suite(FEEDS[feed], rows)}
    assert found[10] == found[1000]
    assert (name, False) in found[10]


def test_deletes_are_not_measured_by_the_fields_they_lack() -> None:
    gone = patient(4) | dict.fromkeys(FEEDS["pds_patient"].columns) | {"action": "delete"}
    results = run_suite(FEEDS["pds_patient"], frame("pds_patient", [patient(0), gone]))
    assert all(found.success for found in results)
    assert run_suite(FEEDS["pds_patient"], frame("pds_patient", [])) == []


def test_an_expectation_that_fails_on_one_part_fails_the_extract(made: House, tmp_path: Path) -> None:
    def second_part_fails() -> Auditor:
        calls = iter([True, False, True])
        return lambda _feed, _rows: [ExpectationResult("expect_column_values_to_be_odd", "row_no", next(calls))]

    small = house(tmp_path / "small", part_rows=5)
    delivery([patient(index) for index in range(15)], tmp_path).write(small.stores.drop)
    from assets.landing.land import land

    land(small.stores, small.ledger, small.settings, "pds_patient")
    with pytest.raises(ExpectationsFailed, match="row_no__be_odd"):
        validate(small.stores, small.ledger, small.settings, "pds_patient", auditor=second_part_fails())
    assert small.ledger.validated("pds_patient") == []
    assert len(small.ledger.landed("pds_patient")) == 1
