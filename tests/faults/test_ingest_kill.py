"""kill -9 during landing and validation: the next run gives the same result as one that was never killed.

The child process runs the real functions and is killed by SIGKILL at the n-th call of a step that
touches the disk or the ledger; every such step is tried.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assets.landing.land import land
from assets.validated.quarantined import read_quarantine
from assets.validated.validate import validate
from tests.faults.ingest_killed import FEED, NOW
from tests.lib import forked
from tests.lib.extracts import House, delivery, house, no_opinion, patient


def prepared(folder: Path) -> House:
    made = house(folder)
    for sequence in (1, 2):
        rows = [patient(index, action="new" if sequence == 1 else "update") for index in range(12)]
        rows[4]["gender"] = "?"
        delivery(rows, folder, sequence=sequence, kind="full" if sequence == 1 else "delta").write(made.stores.drop)
    return made


def child(folder: Path, at: int, when: str) -> subprocess.CompletedProcess[str]:
    return forked.run("tests.faults.ingest_killed", str(folder), str(at), when, timeout=120)


def finish(made: House) -> None:
    land(made.stores, made.ledger, made.settings, FEED, now=NOW)
    validate(made.stores, made.ledger, made.settings, FEED, auditor=no_opinion)


def state(made: House) -> dict[str, Any]:
    """Everything that must not depend on a kill: outcomes, rows, rejections, answers, leftovers."""
    facts: dict[str, Any] = {"left": sorted(p.name for p in made.stores.home.rglob("*.partial"))}
    facts["work"] = sorted(p.name for p in (made.stores.home / "work").glob("*"))
    for entry in made.ledger.entries(FEED):
        place = (FEED, entry.source, entry.sequence)
        answer = json.loads(made.stores.ack(*place).read_bytes())
        facts[f"{entry.sequence}"] = {
            "outcome": (entry.outcome, entry.code, entry.accepted, entry.quarantined, entry.control),
            "rows": made.accepted(*place).to_dicts(),
            "held": read_quarantine(made.stores.stage("quarantine", *place)).to_dicts(),
            "answer": {key: value for key, value in answer.items() if not key.endswith("_at")},
        }
    return facts


def total_calls(folder: Path) -> int:
    prepared(folder)
    done = child(folder, 0, "before")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_a_kill_at_any_step_and_a_second_run_give_the_same_state(tmp_path: Path) -> None:
    unharmed = prepared(tmp_path / "unharmed")
    finish(unharmed)
    expected = state(unharmed)
    assert expected["1"]["outcome"][:2] == ("partial", "FILE_PARTIAL")
    calls = total_calls(tmp_path / "counted")
    assert calls > 30
    # A dozen steps over the whole way, before and after in turn; each costs the start of a process.
    for number, at in enumerate(range(1, calls + 1, calls // 12)):
        folder = tmp_path / f"killed-{at}"
        made = prepared(folder)
        died = child(folder, at, ("before", "after")[number % 2])
        assert died.returncode == -signal.SIGKILL, died.stderr
        finish(made)
        assert state(made) == expected, at


@pytest.mark.slow
def test_workers_die_with_their_parent(tmp_path: Path) -> None:
    script = """
import sys, time
from pathlib import Path
from assets.validated.lines import Block
from assets.validated.parsing import Job, parse_blocks

def blocks():
    for number in range(1_000_000):
        if number == 4:
            print("ready", flush=True)
        yield Block(number * 10 + 1, [b"{}"] * 10)
        time.sleep(0.01)

if __name__ == "__main__":
    for _ in parse_blocks(blocks(), Job("pds_patient", "2026-05-01T00:00:00Z", 1000, Path(sys.argv[1])), 2):
        pass
"""
    path = tmp_path / "parent.py"
    path.write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    parent = subprocess.Popen(
        [sys.executable, str(path), str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    workers = children_of(parent.pid)
    assert workers
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = datetime.now(UTC).timestamp() + 20
    while any(alive(worker) for worker in workers):
        assert datetime.now(UTC).timestamp() < deadline


def children_of(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(path.parent.name))
    return found


def alive(process: int) -> bool:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return False
    return fields[0] != "Z"
