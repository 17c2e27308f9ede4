"""Who runs the trace jobs of the API: one thread, one job at a time in a home, whatever processes serve it.

Belongs here: taking the next job, going on with one that a stop or a kill interrupted, cleaning up. Does not belong
here: the run itself (``running.py``), how a job is kept (``jobs.py``).
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from schemas.errors import NcrsError, PassingFault, Refused
from search_api import logging
from search_api.settings import Settings
from search_api.trace.jobs import INPUT, WORK, Job, Jobs, ended
from search_api.trace.running import Cancelled, Order, Result, Watcher, trace_file

FOLDER, LOCK = "trace", "desk.lock"
LOOK_SECONDS = 1.0


class Desk:
    """Runs jobs in the background from ``start`` to ``close``; both may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        self.jobs = Jobs(settings.home / FOLDER)
        self._settings = settings
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def start(self) -> None:
        """Begin to look after jobs, when there have ever been any in this home."""
        if self.jobs.folder.is_dir():
            self.wake()

    def wake(self) -> None:
        """Look for jobs now."""
        with self._starting:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._look_after, name="ncrs-trace", daemon=True)
                self._thread.start()
        self._changed.set()

    def close(self) -> None:
        """Stop; a job under way ends after its chunk and is gone on with at the next start."""
        self._stopping.set()
        self._changed.set()
        if self._thread is not None:
            self._thread.join()

    def _look_after(self) -> None:
        while not self._stopping.is_set():
            self._changed.clear()
            try:
                with self._alone() as alone:
                    if alone:
                        self._run_all()
            except (OSError, NcrsError) as error:
                logging.event("API050", "error", error=type(error).__name__)
            self._changed.wait(LOOK_SECONDS)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether this process is the one that runs jobs now."""
        with (self.jobs.folder / LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _run_all(self) -> None:
        self.jobs.sweep(self._settings.trace_keep_hours, datetime.now(UTC))
        for job in list(self.jobs.all()):
            if not job.ended and not self._stopping.is_set():
                self._run(job)

    def _run(self, job: Job) -> None:
        """One job to its end. A passing fault leaves it as it is: the next look tries again."""
        try:
            result = self._traced(job)
        except Cancelled:
            if self.jobs.called_off(job.job):
                self.jobs.remove(job.job)
        except PassingFault as error:
            logging.event("API050", "warning", error=error.code)
        except NcrsError as error:
            logging.event("API050", "error", error=error.code)
            problem = f"{error.code}: {error.message}"
            self.jobs.save(ended(job, "failed", datetime.now(UTC), problem=problem))
        else:
            counts = dict(result.outcomes.most_common())
            finished = ended(
                job, "done", datetime.now(UTC), done=result.rows, generation=result.generation, outcomes=counts
            )
            self.jobs.save(finished)
            self.jobs.path(job.job, INPUT).unlink(missing_ok=True)

    def _traced(self, job: Job) -> Result:
        """What was begun on a generation that is no longer served is begun anew: nobody has seen any of it."""
        watcher = Watcher(
            lambda done, _total: self.jobs.save(replace(job, state="running", done=done)), lambda: self._over(job)
        )
        order = self._order(job)
        try:
            return trace_file(self._settings, order, watcher)
        except Cancelled:
            raise
        except Refused:
            return trace_file(self._settings, replace(order, restart=True), watcher)

    def _order(self, job: Job) -> Order:
        place: Path = self.jobs.path(job.job)
        return Order(
            source=place / INPUT,
            target=self.jobs.answer(job),
            work=place / WORK,
            caller=job.caller,
            end_user_organisation=job.end_user_organisation,
            run=job.job,
        )

    def _over(self, job: Job) -> bool:
        return self._stopping.is_set() or self.jobs.called_off(job.job)
