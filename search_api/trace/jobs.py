"""Trace jobs of the API as they are kept: one folder a job, which outlives the process.

Belongs here: the folder of a job, its state, who may see it, when it goes. Does not belong here: running it
(``desk.py``), HTTP. A folder without a state is an upload that was never finished.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import orjson

from search_api.access.context import AccessMode, Caller
from search_api.durable import replace_file, sync_folder

State = Literal["waiting", "running", "done", "failed"]
INPUT, STATE, CANCEL, WORK = "input", "job.json", "cancel", "work"
_NAME = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Job:
    """One job. ``owner`` is the caller as far as the access log and the right to see the job need it."""

    job: str
    owner: dict[str, str | None]
    end_user_organisation: str | None
    created: str
    rows: int
    suffix: str
    media_type: str
    state: State = "waiting"
    done: int = 0
    generation: str = ""
    outcomes: dict[str, int] = field(default_factory=dict)
    finished: str = ""
    problem: str = ""

    @property
    def caller(self) -> Caller:
        """For the access log: no activities, for nothing is decided by it."""
        said = self.owner
        return Caller(
            AccessMode(said["mode"]),
            said["user_id"],
            said["client_id"] or "",
            said["role_profile_id"],
            said["role_code"],
            said["organisation"],
            frozenset(),
        )

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("done", "failed")

    def expires(self, keep_hours: float) -> datetime | None:
        """When its files go; None while it has not ended."""
        return datetime.fromisoformat(self.finished) + timedelta(hours=keep_hours) if self.finished else None


def owner_of(caller: Caller) -> dict[str, str | None]:
    """What of a caller must be the same for the job to be his."""
    return {
        "mode": caller.mode.value,
        "user_id": caller.user_id,
        "client_id": caller.client_id,
        "role_profile_id": caller.role_profile_id,
        "role_code": caller.role_code,
        "organisation": caller.organisation,
    }


class Jobs:
    """The jobs of one home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, job: str) -> Path:
        """The folder of a new job, its owner's alone, without a state yet."""
        made = self.path(job)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made.mkdir(mode=0o700)
        return made

    def path(self, job: str, name: str = "") -> Path:
        """A job's folder, or a file in it."""
        return self.folder / job / name if name else self.folder / job

    def answer(self, job: Job) -> Path:
        """The file of a finished job."""
        return self.path(job.job, f"answer{job.suffix}")

    def save(self, job: Job) -> None:
        """Keep the state, durable, in one step. A job that was removed meanwhile stays removed."""
        try:
            replace_file(self.path(job.job, STATE), orjson.dumps(asdict(job)))
            sync_folder(self.path(job.job))
        except FileNotFoundError:
            return

    def find(self, job: str) -> Job | None:
        """A job, None when there is none or it was called off."""
        if not _NAME.fullmatch(job) or self.path(job, CANCEL).exists():
            return None
        return self._read(job)

    def all(self) -> Iterator[Job]:
        """Every job that was not called off, oldest first."""
        names = (path.name for path in self.folder.iterdir()) if self.folder.is_dir() else ()
        found = [job for name in names if (job := self.find(name)) is not None]
        yield from sorted(found, key=lambda job: (job.created, job.job))

    def call_off(self, job: Job) -> None:
        """A job that has ended goes at once; another when whoever runs it, or might, has seen the mark."""
        if job.ended:
            self.remove(job.job)
        else:
            self.path(job.job, CANCEL).touch()

    def called_off(self, job: str) -> bool:
        """Whether a job is to end, or has gone already."""
        return self.path(job, CANCEL).exists() or not self.path(job).exists()

    def remove(self, job: str) -> None:
        """The job and all of its files."""
        shutil.rmtree(self.path(job), ignore_errors=True)

    def sweep(self, keep_hours: float, now: datetime) -> None:
        """Remove what was called off, what has expired, and uploads that never ended."""
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if _NAME.fullmatch(path.name) and self._over(path, keep_hours, now):
                self.remove(path.name)

    def _over(self, path: Path, keep_hours: float, now: datetime) -> bool:
        if (path / CANCEL).exists():
            return True
        job = self._read(path.name)
        if job is None:
            try:
                begun = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            except FileNotFoundError:
                return False
            return now - begun > timedelta(hours=keep_hours)
        expires = job.expires(keep_hours)
        return expires is not None and now >= expires

    def _read(self, job: str) -> Job | None:
        try:
            return Job(**orjson.loads(self.path(job, STATE).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None


def ended(job: Job, state: State, now: datetime, **more: Any) -> Job:
    """The job after its last step."""
    return replace(job, state=state, finished=now.isoformat(), **more)
