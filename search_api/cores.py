"""One core for all threads of a serving process: the interpreter lets one of them run at a time.

Belongs here: which core that is, which threads keep to it, who is let off. Does not belong here: how many
processes serve (``ncrs serve --workers``), how many threads (``worker.py``).

Ours, by measurement (docs/decisions/0026): threads that take turns at the interpreter's lock from two cores wake
each other some thirty times a search, and each wake-up is paid for twice. On one core they take turns by themselves.
A core is claimed by a name that only one process of the machine can hold, and that goes with the process.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import suppress

# They work beside the answers: a new generation is opened and checked, files are traced.
ROAMING = frozenset({"ncrs-generations", "ncrs-trace"})

CLAIM = "ncrs-core"

_claims: list[socket.socket] = []
_everywhere: frozenset[int] = frozenset()


def settle() -> int | None:
    """Keep this thread, those of this process that serve, and those they start to one core nobody has claimed.

    The core; None where there is none to choose from, where all are taken, and on systems without such a choice.
    """
    global _everywhere
    if sys.platform != "linux":
        return None
    everywhere = os.sched_getaffinity(0)
    core = _claimed(everywhere) if len(everywhere) > 1 else None
    if core is None:
        return None
    _everywhere = frozenset(everywhere)
    for thread in threading.enumerate():
        if thread.name not in ROAMING and thread.native_id is not None:
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.sched_setaffinity(thread.native_id, {core})
    return core


def roam() -> None:
    """Let this thread run anywhere again, with whatever it starts: for work beside the answers."""
    if sys.platform == "linux" and _everywhere:
        os.sched_setaffinity(0, _everywhere)


def _claimed(cores: set[int]) -> int | None:
    for core in sorted(cores, reverse=True):  # the first ones take most of the machine's interrupts
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0{CLAIM}-{core}")
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return core
    return None
