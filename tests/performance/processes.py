"""What running processes have used, as the kernel tells it.

Belongs here: processor time of a process and its children. Does not belong here: starting them, or
measuring a command that ends (``stages.py``).
"""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM, _PARENT = 11, 12, 1  # fields of /proc/<pid>/stat after the name, which may hold anything


def seconds_used(process: int) -> float:
    """Processor seconds of a process and of those it started, all still running."""
    fields = _fields(process)
    own = (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS if fields else 0.0
    return own + sum(seconds_used(child) for child in _children(process))


def _children(process: int) -> list[int]:
    numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [number for number in numbers if (fields := _fields(number)) and int(fields[_PARENT]) == process]


def _fields(process: int) -> list[str]:
    """Fields of one process; none when it has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
