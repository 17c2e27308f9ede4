"""kill -9 of the process that writes the audit log: no acknowledged event is lost, the chain is whole.

Source: promises.md R5 and 5.1. Each round starts from what the last kill left.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from search_api.access.audit_report import events, verify
from search_api.access.audit_store import audit_engine
from tests.lib.audit import audit_url, request_id
from tests.lib.drawn import whole


def killed(folder: Path, rounds: int, seed: int) -> list[int]:
    command = [sys.executable, "-m", "tests.faults.audit_writer", str(folder), str(rounds), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return [int(number) for number in json.loads(done.stdout)]


def check(folder: Path, acknowledged: list[int]) -> None:
    engine = audit_engine(audit_url(folder))
    try:
        report = verify(engine)
        stored = [row["request_id"] for row in events(engine)]
    finally:
        engine.dispose()
    assert report.whole, report.faults
    assert len(stored) == len(set(stored)), "no event twice"
    assert {request_id(number) for number in acknowledged} - set(stored) == set(), "acknowledged and lost"


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_acknowledged_is_lost(tmp_path: Path, seed: int) -> None:
    acknowledged = killed(tmp_path, 15, seed)
    assert len(acknowledged) > 15, "the writers must get somewhere"
    check(tmp_path, acknowledged)


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_in_very_many_kills(tmp_path: Path) -> None:
    """Seventy in a row, at seeded moments; two hundred with ``make test WHOLE=1``."""
    kills = 200 if whole() else 70
    acknowledged = killed(tmp_path, kills, 3)
    assert len(acknowledged) > kills
    check(tmp_path, acknowledged)
