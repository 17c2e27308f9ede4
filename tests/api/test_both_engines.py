"""The suite of the API runs over both engines: the same tests, counted as pytest collects them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.lib.engines import NAMES
from tests.lib.house import ROOT

# Modules that ask the API, found by what they import; none is listed by hand, so none is forgotten.
MARK = "from tests.lib.api import"


def collected() -> list[str]:
    """The ids of every test in a module that asks the API, this module left out."""
    modules = [path for path in sorted(ROOT.glob("tests/*/test_*.py")) if MARK in path.read_text()]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:randomly", *map(str, modules)]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = [line for line in listed.splitlines() if "::" in line]
    return [test for test in found if not test.startswith("tests/api/test_both_engines.py")]


@pytest.mark.slow
def test_every_test_of_the_api_runs_over_both_engines() -> None:
    tests = collected()
    over = {name: {test.replace(name, "*", 1) for test in tests if _names(test, name)} for name in NAMES}
    assert over["embedded"] == over["opensearch"]
    assert len(over["embedded"]) > 250
    assert [
        test for test in tests if test.startswith("tests/api/") and not any(_names(test, name) for name in NAMES)
    ] == []


def _names(test: str, engine: str) -> bool:
    """Whether the test's own parameters name the engine; those of a module come first."""
    return test.partition("[")[2].rstrip("]").split("-")[0] == engine
