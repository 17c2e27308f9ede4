"""The page of figures is made from the store, and the store is what others may rely on."""

from __future__ import annotations

import re

import pytest

from tests.performance import page as pages
from tests.performance.figures import PAGE, Figure, figure_of, stored
from tests.performance.quality import report as quality

NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")


def test_the_page_is_what_the_store_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == pages.page(stored()), (
        "docs/performance.md is written by make bench, or by python -m tests.performance.page: not by hand"
    )


def test_other_pages_show_figures_as_stored() -> None:
    shown = pages.pages_with_figures()
    assert shown
    for path in shown:
        assert path.read_text(encoding="utf-8") == pages.filled(path.read_text(encoding="utf-8"), stored()), path.name


def test_every_figure_has_a_dotted_name_and_its_conditions() -> None:
    store = stored()
    assert store
    for name, row in store.items():
        assert NAME.fullmatch(name)
        assert figure_of(row).name == name
        assert all(row[condition] not in ("", "unknown", None) for condition in ("hardware", "commit", "seed"))


def test_every_figure_is_on_the_page() -> None:
    """Side by side in a cell, or in a row of its own; match quality has another page."""
    conditions = {"hardware": "a machine", "commit": "abc", "seed": 1}
    values = {}
    for number, name in enumerate(_names()):
        values[name] = 1000 + number
    store = {name: _row(name, value) | conditions for name, value in values.items()}
    text = pages.page(store)
    assert [name for name, value in values.items() if str(value) not in text] == []


@pytest.mark.parametrize("name", ["audit_p50", "bench.p50", "bench.1m.P50", "bench..p50", "bench.1m.p 50"])
def test_a_name_that_is_not_dotted_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name of a figure"):
        Figure(name, 1.0, "ms", "a time")


def _names() -> list[str]:
    tables = [
        f"bench.{engine}.{size}.{key}" for engine in pages.ENGINES for size in pages.SIZES for key, _ in pages.ROWS
    ]
    kept = [name for name in stored() if not name.startswith(pages.ELSEWHERE)]
    return [*tables, *kept, "bench.opensearch.1m.times_faster_p50", "bench.opensearch.3m.search_p50_ms"]


def _row(name: str, value: float) -> dict[str, object]:
    return {"name": name, "value": value, "unit": "", "meaning": "a time", "must": None, "more_is_better": False}


def test_the_page_of_match_quality_and_its_charts_are_what_the_store_says() -> None:
    advice = "is written by ncrs bench match, or by python -m tests.performance.quality.report: not by hand"
    assert quality.PAGE.read_text(encoding="utf-8") == quality.page(stored()), f"docs/match-quality.md {advice}"
    charts = quality.drawn(stored())
    assert sorted(charts) == sorted(path.name for path in quality.CHARTS.glob("match-*.svg"))
    for name, text in charts.items():
        assert (quality.CHARTS / name).read_text(encoding="utf-8") == text, f"docs/charts/{name} {advice}"


def test_the_page_of_match_quality_holds_every_share_of_whole_sets() -> None:
    text = quality.PAGE.read_text(encoding="utf-8")
    kept = [
        name for name in stored() if re.fullmatch(r"match\.[a-z0-9_]+\.(right_first|certain_recall|recall_200)", name)
    ]
    missing = [name for name in kept if f"{stored()[name]['value'] * 100:.2f} %" not in text]
    assert missing == []
