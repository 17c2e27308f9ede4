"""Builds and dies by SIGKILL right before the N-th time the build's state is put on record; run by tests.

Run as ``python -m tests.faults.build_killed FOLDER N [OPTIONS]``, OPTIONS being settings as JSON. The
work of that step is done, the record says it is not: the worst moment for a step that must be safe to
run again. ``N`` 0 never dies. Instead of a number the part of a path: it dies before a file of such a
path is opened, or something gets such a name.
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


def die_at(moment: str) -> None:
    """SIGKILL before the N-th rename onto a state file, or the first time a path is touched."""
    part, left = ("/state.json", int(moment)) if moment.isdecimal() else (moment, 1)

    def audit(event: str, values: tuple[Any, ...]) -> None:
        nonlocal left
        renamed = event == "os.rename" and part in str(values[1])
        opened = event == "open" and not moment.isdecimal() and part in str(values[0])
        if renamed or opened:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)


if __name__ == "__main__":
    logging.configure("CRITICAL")
    folder, at, *rest = sys.argv[1:]
    die_at(at)
    Home(Path(folder), json.loads(rest[0]) if rest else {}).build("killed")
