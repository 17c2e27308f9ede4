"""Builds and dies by SIGKILL right before the N-th time the build's state is put on record; run by tests.

Run as ``python -m tests.faults.build_killed FOLDER N [OPTIONS]``, OPTIONS being settings as JSON. The
work of that step is done, the record says it is not: the worst moment for a step that must be safe to
run again. ``N`` 0 never dies.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from search_api import logging
from tests.lib.validated import Home


def die_at(number: int) -> None:
    """SIGKILL before the N-th rename onto a state file."""
    seen = 0

    def audit(event: str, values: tuple[Any, ...]) -> None:
        nonlocal seen
        if event == "os.rename" and str(values[1]).endswith("/state.json"):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)


if __name__ == "__main__":
    logging.configure("CRITICAL")
    folder, at, *rest = sys.argv[1:]
    die_at(int(at))
    Home(Path(folder), json.loads(rest[0]) if rest else {}).build("killed")
