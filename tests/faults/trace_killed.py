"""A trace that kills itself at the N-th step: ``python -m tests.faults.trace_killed HOME AUDIT SOURCE N``.

Belongs here: where it may be killed: before and after each durable step of the process that keeps the run. Does not
belong here: what the next run must find (``test_trace_kill.py``). With N = 0 it runs to the end and prints the
number of steps.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search_api.access.audit import AuditLog
from search_api.settings import Settings
from search_api.trace import work
from search_api.trace.csv_form import CsvForm
from search_api.trace.work import Work
from tests.lib.trace_files import traced

CHUNK_ROWS = 10


class Steps:
    """Counts the steps, and ends the process at one of them."""

    def __init__(self, last: int) -> None:
        self.count = 0
        self._last = last

    def step(self) -> None:
        """One step more; the last one is not survived."""
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str) -> None:
        """A step before and one after each call."""
        plain: Callable[..., Any] = getattr(owner, name)

        def counted(*values: Any, **named: Any) -> Any:
            self.step()
            result = plain(*values, **named)
            self.step()
            return result

        setattr(owner, name, counted)


def settings_of(home: Path, audit: Path) -> Settings:
    """Small chunks, one process: the order of the steps is then the same each time."""
    return Settings(home=home, audit_db=f"sqlite:///{audit}", trace_chunk_rows=CHUNK_ROWS, trace_processes=1)


def main() -> None:
    """Trace until the step, or to the end."""
    home, audit, source = (Path(text) for text in sys.argv[1:4])
    steps = Steps(int(sys.argv[4]))
    for owner, name in (
        (AuditLog, "record_now"), (work, "sync_folder"), (work, "append_line"), (CsvForm, "join"), (Work, "remove"),
    ):  # fmt: skip
        steps.around(owner, name)
    traced(settings_of(home, audit), source)
    print(steps.count)  # noqa: T201 - the answer of this program


if __name__ == "__main__":
    main()
