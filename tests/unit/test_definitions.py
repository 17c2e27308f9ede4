"""The code location: what is defined, how sensors notice news, what never reaches Dagster's store."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets import keys
from assets.landing.deliveries import Delivery, fingerprint
from assets.reports.freshness import check_result, write_report
from assets.stores import Stores
from pipelines import sensors
from pipelines.definitions import build_definitions
from pipelines.home import ledger_of, stores_of
from pipelines.news import unpublished
from schemas.feeds import FEEDS, PDS_PATIENT
from search_api.ops.freshness import feed_freshness, judge
from search_api.ops.ledger import ExtractEntry, Ledger
from search_api.settings import Settings
from tests.lib.generations import manifest, write_current, write_generation

NOW = datetime(2026, 11, 24, 7, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def ledger(settings: Settings) -> Ledger:
    return ledger_of(settings)


@pytest.fixture
def stores(settings: Settings) -> Stores:
    return stores_of(settings)


def _deliver(stores: Stores, feed: str, sequence: int, note: str = "") -> str:
    """A complete delivery as far as the sensor looks: a manifest. Returns its fingerprint."""
    folder = stores.drop / feed / "PDS" / f"{sequence:08d}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"sequence": sequence, "note": note}))
    return fingerprint(Delivery(feed, "PDS", sequence, folder))


def _entry(feed: str, sequence: int, seen: str = "", outcome: str = "accepted", as_at: datetime = NOW) -> ExtractEntry:
    return ExtractEntry(
        feed=feed,
        source="PDS",
        sequence=sequence,
        fingerprint=seen,
        sha256="",
        kind="delta",
        as_at=as_at,
        accepted=5,
        outcome=outcome,
        code="" if outcome == "accepted" else "FILE_MALFORMED",
        received_at=as_at,
    )


def _jobs(result: dg.SensorResult) -> list[str | None]:
    return [request.job_name for request in result.run_requests or []]


def test_definitions_load_and_every_job_resolves() -> None:
    defs = build_definitions()
    dg.Definitions.validate_loadable(defs)
    names = {job.name for job in defs.resolve_all_job_defs()}
    assert names >= {*(f"ingest__{feed}" for feed in FEEDS), "publish", "freshness"}


def test_every_asset_has_group_owner_kind_and_description() -> None:
    graph = build_definitions().resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.group_name != "default", key
        assert node.owners, key
        assert node.kinds, key
        assert node.description, key


def test_sources_are_external() -> None:
    graph = build_definitions().resolve_asset_graph()
    external = {key.to_user_string() for key in graph.external_asset_keys}
    assert external == {keys.source(feed) for feed in FEEDS}


def test_a_job_runs_in_one_process() -> None:
    for job in build_definitions().resolve_all_job_defs():
        assert job.executor_def is dg.in_process_executor


def test_overrides_replace_resources_and_leave_automation_out(settings: Settings) -> None:
    defs = build_definitions(settings=settings, resource_overrides={"ledger": "another"}, automation=False)
    assert not list(defs.sensors or [])
    assert not list(defs.schedules or [])
    assert defs.resources is not None
    assert defs.resources["ledger"] == "another"


def test_one_run_for_each_feed_with_a_new_delivery(stores: Stores, ledger: Ledger) -> None:
    _deliver(stores, "pds_patient", 1)
    _deliver(stores, "scr_summary", 1)
    result = sensors.look_at_drop_folder(None, stores, ledger)
    assert _jobs(result) == ["ingest__pds_patient", "ingest__scr_summary"]


def test_the_same_folder_twice_starts_nothing(stores: Stores, ledger: Ledger) -> None:
    _deliver(stores, "pds_patient", 1)
    first = sensors.look_at_drop_folder(None, stores, ledger)
    second = sensors.look_at_drop_folder(first.cursor, stores, ledger)
    assert _jobs(second) == []
    assert second.skip_reason is not None


def test_without_a_cursor_the_run_key_is_the_same(stores: Stores, ledger: Ledger) -> None:
    """The daemon may forget a cursor; Dagster then drops the request by its key."""
    _deliver(stores, "pds_patient", 1)
    first, second = (sensors.look_at_drop_folder(None, stores, ledger) for _ in range(2))
    assert [request.run_key for request in first.run_requests or []] == [
        request.run_key for request in second.run_requests or []
    ]


def test_a_delivery_that_the_ledger_knows_starts_nothing(stores: Stores, ledger: Ledger) -> None:
    ledger.record(_entry("pds_patient", 1, _deliver(stores, "pds_patient", 1)))
    assert _jobs(sensors.look_at_drop_folder(None, stores, ledger)) == []


def test_a_corrected_delivery_of_a_refused_extract_is_news(stores: Stores, ledger: Ledger) -> None:
    ledger.record(_entry("pds_patient", 1, _deliver(stores, "pds_patient", 1), outcome="refused"))
    before = sensors.look_at_drop_folder(None, stores, ledger)
    assert _jobs(before) == []
    _deliver(stores, "pds_patient", 1, note="corrected")
    assert _jobs(sensors.look_at_drop_folder(before.cursor, stores, ledger)) == ["ingest__pds_patient"]


def test_a_folder_without_manifest_is_left_alone(stores: Stores, ledger: Ledger) -> None:
    (stores.drop / "pds_patient" / "PDS" / "00000001").mkdir(parents=True)
    assert _jobs(sensors.look_at_drop_folder(None, stores, ledger)) == []


def test_publication_starts_for_what_is_validated_beyond_the_newest_generation(
    settings: Settings, stores: Stores, ledger: Ledger
) -> None:
    write_current(settings, manifest(1, pds_patient=1))
    ledger.record(_entry("pds_patient", 1))
    assert not sensors.look_at_ledger([], stores, ledger).run_requests
    ledger.record(_entry("pds_patient", 2))
    assert len(sensors.look_at_ledger([], stores, ledger).run_requests or []) == 1
    assert not sensors.look_at_ledger(["ingest__pds_patient"], stores, ledger).run_requests


def test_rolling_back_does_not_publish_the_same_again(settings: Settings, stores: Stores, ledger: Ledger) -> None:
    write_current(settings, manifest(1, pds_patient=1))
    write_generation(settings, manifest(2, pds_patient=2))
    for sequence in (1, 2):
        ledger.record(_entry("pds_patient", sequence))
    assert unpublished(stores, ledger) == {}


def test_a_tick_leaves_a_heartbeat(stores: Stores) -> None:
    sensors.heartbeat(stores, "drop_folder", NOW)
    assert datetime.fromisoformat((stores.home / "heartbeat" / "drop_folder").read_text()) == NOW


@pytest.mark.parametrize(
    ("behind", "state", "passed"),
    [
        (timedelta(0), "fresh", True),
        (PDS_PATIENT.soft_limit, "fresh", True),
        (PDS_PATIENT.soft_limit + timedelta(seconds=1), "late", False),
        (PDS_PATIENT.hard_limit + timedelta(seconds=1), "stale", False),
    ],
)
def test_freshness_is_judged_on_the_as_at_time(ledger: Ledger, behind: timedelta, state: str, passed: bool) -> None:
    ledger.record(_entry("pds_patient", 1, as_at=NOW - behind))
    figures = feed_freshness(PDS_PATIENT, ledger, NOW)
    assert (figures.state, figures.age) == (state, behind)
    result = check_result(figures)
    assert result.passed is passed
    assert result.severity == (dg.AssetCheckSeverity.WARN if state == "late" else dg.AssetCheckSeverity.ERROR)


def test_an_old_extract_taken_in_now_makes_nothing_fresh(ledger: Ledger) -> None:
    old = _entry("pds_patient", 1, as_at=NOW - timedelta(days=30))
    old.received_at = old.validated_at = NOW
    ledger.record(old)
    assert feed_freshness(PDS_PATIENT, ledger, NOW).state == "stale"


def test_a_feed_that_never_delivered(ledger: Ledger) -> None:
    assert judge(None, timedelta(1), timedelta(2), NOW) == "never"
    assert not check_result(feed_freshness(PDS_PATIENT, ledger, NOW)).passed


def test_the_report_holds_every_feed(stores: Stores, ledger: Ledger) -> None:
    ledger.record(_entry("pds_patient", 1, outcome="refused"))
    write_report(stores, ledger, NOW)
    report = json.loads((stores.home / "reports" / "freshness.json").read_text())
    assert [feed["feed"] for feed in report["feeds"]] == list(FEEDS)
    patient = next(feed for feed in report["feeds"] if feed["feed"] == "pds_patient")
    assert (patient["refusals"], patient["lastRefusalCode"], patient["state"]) == (1, "FILE_MALFORMED", "never")


def test_the_freshness_job_runs_with_its_checks(settings: Settings) -> None:
    job = build_definitions(settings=settings, automation=False).resolve_job_def("freshness")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    checks = {evaluation.asset_key.to_user_string() for evaluation in result.get_asset_check_evaluations()}
    assert result.success
    assert checks == {keys.validated(feed) for feed in FEEDS}
