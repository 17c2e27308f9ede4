"""What holds for every test: the order in which they run, and nothing of the operator's settings.

Belongs here: hooks and fixtures that all tests share. Does not belong here: test data
(``tests/lib/``), fixtures of one part.

Order: fast folders first, so that a mistake shows in seconds. Within a folder the order is random
with a printed seed (pytest-randomly), which also seeds ``random`` and numpy before each test.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDERS = (
    "unit",
    "spec",
    "property",
    "drift",
    "integration",
    "api",
    "privacy",
    "faults",
    "performance",
    "acceptance",
    "browser",
)


def _rank(item: pytest.Item) -> int:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    return FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by folder, stably: pytest-randomly has shuffled before. ``last`` closes its module."""
    met: dict[Path, int] = {}
    for place, item in enumerate(items):
        met.setdefault(item.path, place)
    items.sort(key=lambda item: (_rank(item), met[item.path], item.get_closest_marker("last") is not None))


@pytest.fixture(autouse=True)
def _no_operator_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's NCRS_* and DAGSTER_HOME must not reach a test, nor a test the developer's data."""
    for name in list(os.environ):
        if name.startswith("NCRS_") and not name.startswith("NCRS_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
