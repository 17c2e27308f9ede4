"""Landing and validation that die by SIGKILL at the N-th step that touches the disk or the ledger; run by a test.

Run as ``python -m tests.faults.ingest_killed FOLDER N before|after``; prints the number of steps when it was not
killed, as with ``N`` 0.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assets.landing.land import land
from assets.validated.validate import validate
from search_api.ops.ledger import Ledger
from tests.lib.extracts import house, no_opinion

FEED = "pds_patient"
NOW = datetime(2026, 5, 20, tzinfo=UTC)


class Steps:
    """Counts the steps, and ends the process before or after one of them."""

    def __init__(self, last: int, when: str) -> None:
        self.count = 0
        self._last = last
        self._when = when

    def deadly(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, a step each time it is called."""

        def wrapped(*values: Any, **named: Any) -> Any:
            self.count += 1
            mine = self.count == self._last
            if mine and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*values, **named)
            if mine:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped


def main(folder: Path, steps: Steps) -> None:
    """Land and validate what was delivered into this house."""
    made = house(folder)
    Path.rename = steps.deadly(Path.rename)  # type: ignore[method-assign]
    os.fsync = steps.deadly(os.fsync)
    Ledger.record = steps.deadly(Ledger.record)  # type: ignore[method-assign]
    land(made.stores, made.ledger, made.settings, FEED, now=NOW)
    validate(made.stores, made.ledger, made.settings, FEED, auditor=no_opinion)
    sys.stdout.write(f"{steps.count}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Steps(int(sys.argv[2]), sys.argv[3]))
