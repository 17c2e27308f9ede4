"""The figures of a national run: which there are, their names, and the promises they are held against."""

from __future__ import annotations

from typing import Any

import pytest

from tests.performance.figures import Figure
from tests.performance.national.journal import Entry
from tests.performance.national.results import BUILD, NATIONAL, WHAT, figures, size_of

MEASURED: dict[str, dict[str, float]] = {
    "search": {
        "search_p50_ms": 0.8,
        "search_p99_ms": 4.0,
        "search_cold_p50_ms": 2.0,
        "wide_p50_ms": 0.9,
        "warming_p50_ms": 1.0,
    },
    "read": {"read_p50_ms": 0.3, "read_p99_ms": 0.9},
    "http": {"http_fuzzy_per_s": 650.0, "http_read_per_s": 900.0, "http_fuzzy_p99_ms": 20.0, "http_read_p99_ms": 9.0},
    "publish": {"generation_gb": 36.0, "index_gb": 11.0},
    "changes": {"delta_changes": 100_002.0, "delta_days": 1.0},
    "trace": {"trace_rows_per_s": 2100.0, "trace_rows": 20_000.0},
}
STAGES = ("extract", *BUILD, "search", "read", "http", "changes", "delta", "trace")
# Others draw lines over these names: they stay.
STEADY = {
    "national.search_p50_ms": 0.8,
    "national.search_p99_ms": 4.0,
    "national.http_search_per_s_core": 650.0,
    "national.http_read_per_s_core": 900.0,
    "national.index_patients_per_s": NATIONAL / 600,
    "national.build_minutes": 50.0,
    "national.build_peak_gb": 9.0,
    "national.disk_gb": 58.0,
    "national.delta_100k_s": 120.0,
    "trace.rows_per_s": 2100.0,
}


def _entries(*stages: str) -> dict[str, Entry]:
    seconds = {"delta": 120.0}
    sizes = {"index": (9.0, 55.0), "delta": (3.0, 58.0)}
    return {
        stage: Entry(stage, seconds.get(stage, 600.0), *sizes.get(stage, (2.0, 20.0)), 1, MEASURED.get(stage, {}))
        for stage in stages
    }


def _named(
    stages: tuple[str, ...], patients: int = NATIONAL, known: dict[str, dict[str, Any]] | None = None
) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures(_entries(*stages), patients, known or {})}


def test_a_whole_run_gives_the_names_that_stay() -> None:
    found = _named(STAGES)
    assert {name: found[name].value for name in STEADY} == STEADY
    assert all(found[name].verdict == "met" for name in STEADY)
    assert found["national.63m.search_p50_ms"].value == 0.8


def test_the_build_is_the_sum_of_its_stages_and_none_while_one_is_missing() -> None:
    assert "national.build_minutes" not in _named(tuple(stage for stage in STAGES if stage != "reconcile"))
    assert _named(BUILD)["national.build_minutes"].value == 50.0


def test_stages_not_done_give_no_figure() -> None:
    found = _named(("extract",))
    assert set(found) == {f"national.{size}{key}" for size in ("", "63m.") for key in ("extract_minutes", "disk_gb")}
    assert _named(()) == {}


def test_a_small_country_is_not_held_against_the_national_promise_under_its_own_name() -> None:
    found = _named(STAGES, patients=1_000_000)
    assert found["national.1m.search_p50_ms"].must is None
    assert found["national.search_p50_ms"].must == WHAT["search_p50_ms"][2]
    assert "1,000,000 people" in found["national.search_p50_ms"].meaning


def test_a_larger_country_keeps_the_plain_names() -> None:
    found = _named(STAGES, patients=1_000_000, known={"national.10m.search_p50_ms": {}})
    assert set(found) == {name for name in found if name.startswith("national.1m.")}


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("national.63m.disk_gb", 63_000_000),
        ("national.200k.disk_gb", 200_000),
        ("national.disk_gb", 0),
        ("trace.rows_per_s", 0),
        ("bench.1m.index.seconds", 0),
    ],
)
def test_the_size_of_a_run_is_in_its_figures_names(name: str, size: int) -> None:
    assert size_of(name) == size
