"""Commands watched from outside: how long they take and how much memory they hold, children too.

Belongs here: starting a command, looking at its processes, ending it with us. Does not belong here: which
commands (``stages.py``).

A command ends when we do, however that comes: one that went on alone would do work that nobody measures, and the
next attempt would find it done.

Memory is what cannot be dropped: anonymous and shared pages of every process of the command's session, summed at
the same moment. Mapped files are page cache and not counted.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.performance.figures import ROOT

LOOK_SECONDS = 0.5
TELL_SECONDS = 10.0
_HELD = ("RssAnon:", "RssShmem:")
_LIBC = ctypes.CDLL(None)
_ON_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG of prctl(2)

# Told now and then and at the end: seconds so far, largest GB so far.
Told = Callable[[float, float], None]


@dataclass(frozen=True)
class Watched:
    """What a command came to."""

    seconds: float
    peak_gb: float
    output: str


def watch(arguments: list[str], settings: Mapping[str, str], told: Told) -> Watched:
    """Run ``python -m …`` in a session of its own; its standard output comes back, the rest goes to the terminal.

    Raises:
        subprocess.CalledProcessError: it ended with another code than 0.
    """
    command = [sys.executable, "-m", *arguments]
    environment = {**os.environ, **settings}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, start_new_session=True, preexec_fn=_end_with_us
    )
    try:
        seconds, peak, output = _looked_at(process, told)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Watched(seconds, peak, output.decode())


def _end_with_us() -> None:
    """In the command, before it starts: the kernel ends it when this process is gone, be it killed."""
    _LIBC.prctl(_ON_PARENTS_DEATH, signal.SIGTERM)


def _looked_at(process: subprocess.Popen[bytes], told: Told) -> tuple[float, float, bytes]:
    """Until the process ends: its seconds, its peak, and what it printed."""
    started = time.perf_counter()
    peak, said, output = 0.0, 0.0, b""
    ended = False
    while not ended:
        try:
            output, _ = process.communicate(timeout=LOOK_SECONDS)
            ended = True
        except subprocess.TimeoutExpired:
            peak = max(peak, held_gb(session(process.pid)))
        seconds = time.perf_counter() - started
        if ended or seconds - said >= TELL_SECONDS:
            told(seconds, peak)
            said = seconds
    return seconds, peak, output


def session(leader: int) -> list[int]:
    """The processes of a session, children of children too."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The name of a process stands in brackets and may hold blanks; after it: state, parent, group, session.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader:
            found.append(int(entry.name))
    return found


def held_gb(processes: Iterable[int]) -> float:
    """Memory that these hold and that cannot be dropped; one that has ended holds nothing."""
    return sum(_held_kb(process) for process in processes) * 1024 / 1e9


def _held_kb(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(_HELD))
