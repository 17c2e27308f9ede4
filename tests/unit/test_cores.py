"""The threads of a serving process share one core, each process one of its own, and who works beside it is let off."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="needs Linux and two cores"
)

# It stays until a line comes in, and keeps its core as long.
PROCESS = """
import os, sys, threading
from search_api import cores

def told(name, seen):
    seen[name] = sorted(os.sched_getaffinity(0))

def thread(name, act, seen):
    begun = threading.Thread(target=act, name=name)
    begun.start()
    return begun

before, go, seen = sorted(os.sched_getaffinity(0)), threading.Event(), {}
early = [thread(name, lambda n=name: (go.wait(), told(n, seen)), seen) for name in ("reads", "ncrs-generations")]
cores.CLAIM = sys.argv[1]  # apart from what serves on this machine meanwhile
core = cores.settle()
late = thread("late", lambda: told("late", seen), seen)
freed = thread("freed", lambda: (cores.roam(), told("freed", seen)), seen)
go.set()
for each in (*early, late, freed):
    each.join()
told("main", seen)
print(core, seen == {
    "reads": [core], "late": [core], "main": [core], "ncrs-generations": before, "freed": before,
} if core is not None else seen == dict.fromkeys(seen, before), flush=True)
sys.stdin.readline()
"""


def _begun(claim: str) -> tuple[subprocess.Popen[str], str, bool]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, claim], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    core, kept = process.stdout.readline().split()
    return process, core, kept == "True"


def test_each_process_has_a_core_while_there_are_some_and_gives_it_back() -> None:
    there, claim = {str(core) for core in os.sched_getaffinity(0)}, f"ncrs-test-{os.getpid()}"
    begun = [_begun(claim) for _ in range(len(there) + 1)]
    taken = [core for _, core, _ in begun]
    for process, _, _ in begun:
        process.communicate("\n")
    assert all(kept for _, _, kept in begun)
    assert set(taken[:-1]) == there, "no two have the same"
    assert taken[-1] == "None", "one too many goes where it may"
    again, core, kept = _begun(claim)
    again.communicate("\n")
    assert (kept, core) == (True, taken[0])
