"""Stages of the way, each a process of its own, measured from outside.

Belongs here: wall time and peak memory of a command. Does not belong here: what is done with them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.performance.figures import ROOT


@dataclass(frozen=True)
class Measured:
    """Wall seconds, and the largest resident size of any one process of the command, in GB."""

    seconds: float
    peak_gb: float


def run(arguments: list[str], home: Path, settings: Mapping[str, str] | None = None) -> Measured:
    """Runs ``python -m …`` with ``NCRS_HOME`` and other settings; output goes to the terminal. Raises on failure."""
    environment = {**os.environ, "NCRS_HOME": str(home), **(settings or {})}
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise subprocess.CalledProcessError(code, arguments)
    return Measured(seconds, usage.ru_maxrss / 2**20)
