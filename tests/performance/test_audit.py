"""The access log keeps its promises of speed, at a size that a test can afford."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.performance.audit import figures


@pytest.mark.slow
def test_promises_of_the_access_log_are_met(tmp_path: Path) -> None:
    measured = list(figures(tmp_path, events=2_000, checked=50_000))
    missed = [f"{figure.name} {figure.value:.1f} {figure.unit}" for figure in measured if "missed" in figure.verdict]
    assert not missed
