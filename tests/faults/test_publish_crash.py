"""Killed, out of disk, or failed at any step of a build and publication: the old or the new, never a mixture.

Promises R3 and R10 (promises.md 4.1, 5.1). ``generation_crash.py`` makes the cases; the judgement is here.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
Result = dict[str, Any]


def run(mode: str, folder: Path) -> tuple[Result, list[Result]]:
    """What is expected (checksums of the old and the new content), and the result of each case."""
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
    finished = subprocess.run(
        [sys.executable, "-m", "tests.faults.generation_crash", mode, str(folder)],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    expected, *results = [json.loads(line) for line in finished.stdout.splitlines()]
    assert expected["old"] != expected["new"]
    return expected, results


def judge(expected: Result, result: Result) -> str:
    """Which generation a case left; asserts that it is whole, is served, and leads to the new one."""
    left = result["left"]
    assert left["ended"] == 0, result
    assert left["found"] in (expected["old"], expected["new"]), result
    assert left["whole"], result
    assert left["problem"] is None, result
    assert left["ready"] < 5, result
    assert left["rebuilt"] == expected["new"], result
    assert left["sound"] == [True], result
    assert left["published"] == [True], result
    assert left["building"] == [], result
    assert left["recorded"] >= 1, result
    assert left["resumed"] == left["adoptable"], result
    return "old" if left["found"] == expected["old"] else "new"


def check_taken(expected: Result, results: list[Result], step: int = 1) -> None:
    """The first change, the last and every kind are among the cases, and one case ended before its number came."""
    kinds: list[str] = expected["kinds"]
    possible = range(1, len(kinds) + 1, step)
    taken = {result["case"] for result in results if result["case"] <= len(kinds)}
    assert len(kinds) > 150
    assert {possible[0], possible[-1]} <= taken
    assert {kinds[number - 1] for number in possible} == {kinds[number - 1] for number in taken}
    assert len(taken) >= len(possible) // 3
    assert any(result.get("done") for result in results)


def test_killed_before_any_change_of_the_file_system(tmp_path: Path) -> None:
    """Before a seeded third of some 170 changes; before each of them with ``make test WHOLE=1``."""
    expected, results = run("kill", tmp_path)
    check_taken(expected, results)
    killed = [result for result in results if not result.get("done")]
    assert {result["ended"] for result in killed} == {-signal.SIGKILL}
    looked_at = [judge(expected, result) for result in killed if result["left"]]
    assert len(looked_at) > 15
    assert looked_at == sorted(looked_at, reverse=True), "first the old, from one step on the new"
    assert set(looked_at) == {"old", "new"}
    assert sum(result["left"]["resumed"] for result in killed if result["left"]) > 8


def test_no_space_or_an_input_output_error_at_every_second_change(tmp_path: Path) -> None:
    """At a seeded third of every second change; at each of those with ``make test WHOLE=1``."""
    expected, results = run("error", tmp_path)
    check_taken(expected, results, step=2)
    assert {result["ended"] for result in results} == {0}, "nothing but errors that say what they are"
    failed = [result for result in results if result["error"]]
    assert len(failed) > len(results) / 2
    left = {judge(expected, result) for result in results if result["left"]}
    assert left == {"old", "new"}


def test_killed_at_any_moment_also_inside_the_engines(tmp_path: Path) -> None:
    """At eight seeded moments; at twelve with ``make test WHOLE=1``."""
    expected, results = run("moment", tmp_path)
    killed = [result for result in results if result["ended"] == -signal.SIGKILL]
    assert len(killed) >= len(results) / 2
    for result in results:
        judge(expected, result)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_killed_at_sampled_system_calls(tmp_path: Path) -> None:
    """At four seeded ones; at eight with ``make test WHOLE=1``."""
    expected, results = run("strace", tmp_path)
    if not any(result["ended"] == -signal.SIGKILL for result in results):
        pytest.skip("strace may not attach to processes here")
    for result in results:
        judge(expected, result)
