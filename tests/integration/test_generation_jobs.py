"""The publish job as Dagster runs it: every asset of it, its blocking checks, its answer to nothing new."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pytest

from assets import keys
from assets.index.factory import index_assets
from assets.index.reconcile import COMPARISONS
from assets.published.factory import published_assets
from assets.replica.factory import replica_assets
from assets.replica.workspace import build_lock
from schemas.feeds import FEEDS
from search_api.generation_files import read_current
from tests.lib.validated import NUMBERS, Home, patient, summary


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.extract("pds_patient", [patient(number) for number in NUMBERS[:10]], "full")
    made.extract("scr_summary", [summary(number) for number in NUMBERS[:4]], "full")
    return made


def run(home: Home, *, selection: list[str] | None = None) -> dg.ExecuteInProcessResult:
    assets = [asset for feed in FEEDS for asset in replica_assets(feed)] + index_assets() + published_assets()
    return dg.materialize(
        assets,
        resources={"stores": home.stores, "ledger": home.ledger, "settings": home.settings},
        selection=selection,
        raise_on_error=False,
    )


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, object]:
    [event] = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def test_the_job_publishes_and_reports_counts_only(home: Home) -> None:
    result = run(home)
    assert result.success
    published = metadata(result, keys.PUBLISHED)
    current = read_current(home.stores.generations)
    assert current is not None
    assert published["generation"] == current.generation
    assert metadata(result, "replica__pds_patient")["inserted"] == 10
    assert metadata(result, keys.INDEX)["documents"] == 10
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks == dict.fromkeys(COMPARISONS, True)
    told = str([metadata(result, asset) for asset in (*map(keys.replica, FEEDS), keys.INDEX, keys.PUBLISHED)])
    assert not [number for number in NUMBERS[:10] if number in told]


def test_with_nothing_new_every_asset_says_so_and_nothing_changes(home: Home) -> None:
    run(home)
    before = read_current(home.stores.generations)
    result = run(home)
    assert result.success
    assert "holds every accepted extract" in str(metadata(result, keys.PUBLISHED)["plan"])
    assert read_current(home.stores.generations) == before
    assert not list(home.stores.building.iterdir())


def test_a_difference_blocks_the_publication(home: Home) -> None:
    with patch("assets.index.build.document_stream", lambda *_: iter(())):
        result = run(home)
    assert not result.success
    failed = {check.check_name for check in result.get_asset_check_evaluations() if not check.passed}
    assert "documents_counted" in failed
    assert "fingerprints_equal" in failed
    assert read_current(home.stores.generations) is None
    assert [event.event for event in home.builder.events.of()] == ["failed"]


def test_a_run_is_refused_while_another_builds(home: Home) -> None:
    with build_lock(home.stores):
        result = run(home)
    assert not result.success
    assert read_current(home.stores.generations) is None


def test_an_index_alone_is_refused_with_the_way_out(home: Home) -> None:
    result = run(home, selection=[keys.INDEX])
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "Materialise the replica assets of every feed" in str(failure.event_specific_data)


def test_where_a_cluster_holds_records_they_are_written_and_compared_too(
    tmp_path: Path, opensearch_url: str, opensearch_prefix: str
) -> None:
    names = {"index": opensearch_url, "records": "opensearch", "opensearch_prefix": opensearch_prefix}
    home = Home(tmp_path, {**names, "opensearch_replicas": 0, "search_deadline_ms": 30_000})
    home.extract("pds_patient", [patient(number) for number in NUMBERS[:10]], "full")
    home.extract("scr_summary", [summary(number) for number in NUMBERS[:4]], "full")
    result = run(home)
    assert result.success
    told = metadata(result, keys.INDEX)
    assert (told["documents"], told["records"]) == (10, 14)
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert checks["records_counted"].passed
    assert checks["records_fingerprints_equal"].metadata["cluster_checksum"].value == told["records_checksum"]
