"""The place where one generation is built, and the lock that lets one builder work at a time.

Belongs here: the folders of a build, its state between steps, the lock, left-overs, free space.
Does not belong here: what is built (``build.py``), publishing (``assets/published``).

``building/<build id>/`` holds ``generation/`` (what will be published), ``temporary/`` (spill files)
and ``state.json``. The build id is that of the orchestrator's run, so that its steps, even in
processes of their own, find the same place. Each step takes the lock; whoever begins a build finds
everything else under ``building/`` left over and adopts or removes it (``adoption.py``), so a step
whose place is gone says so.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from assets.files import private_folder, write_atomically
from assets.replica.plan import BuildPlan, Step
from assets.stores import Stores
from schemas.errors import Refused
from schemas.generation import REPLICA_NAME, IndexState, RecordsState, TableState
from search_api import db
from search_api.settings import Settings

_STATE = "state.json"
# What a full's validated files become as replica and index, when there is no generation to go by: 2.9 times their
# size was measured at a million people. What a build wants beyond that is the setting's matter.
_FIRST_BUILD_FACTOR = 3


class Applied(BaseModel):
    """One extract that was applied, with its counts by outcome."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: Step
    counts: dict[str, int]


class BuildState(BaseModel):
    """How far a build has come; each step writes it anew when its work is done.

    ``prepared``: the base is copied and the tables are made. ``failures``: how often it ended in an
    error that trying again does not mend.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: BuildPlan
    prepared: bool = False
    failures: int = 0
    applied: tuple[Applied, ...] = ()
    settled: dict[str, int] | None = None
    tables: tuple[TableState, ...] = ()
    index: IndexState | None = None
    records: RecordsState | None = None
    documents_changed: int = 0
    reconciled: bool = False

    @property
    def cluster_name(self) -> str:
        """The end of the names that this build's indexes have in a cluster: number and content, as settled."""
        content = sha256("".join(table.checksum for table in self.tables).encode()).hexdigest()
        return f"{self.plan.number:06d}-{content[:8]}"


@dataclass(frozen=True)
class Workspace:
    """The folders of one build."""

    folder: Path

    @property
    def build_id(self) -> str:
        """The build's name."""
        return self.folder.name

    @property
    def generation(self) -> Path:
        """What will be published."""
        return self.folder / "generation"

    @property
    def replica(self) -> Path:
        """The replica under construction."""
        return self.generation / REPLICA_NAME

    @property
    def begun(self) -> bool:
        """Whether a build was begun here, to the end of its beginning, and its place is still there."""
        return (self.folder / _STATE).is_file() and self.state.prepared

    @property
    def state(self) -> BuildState:
        """How far it has come. Raises Refused when the place is gone."""
        try:
            return BuildState.model_validate_json((self.folder / _STATE).read_bytes())
        except FileNotFoundError:
            raise Refused(
                f"Build {self.build_id} is gone: another build has begun since.",
                remedy="Run the whole job again; it starts from the published generation.",
            ) from None
        except ValidationError:
            raise Refused(
                f"Build {self.build_id} was begun by another release.",
                remedy="Run the whole job again; it starts from the published generation.",
            ) from None

    def save(self, state: BuildState) -> None:
        """Write the state, whole or not at all."""
        write_atomically(self.folder / _STATE, state.model_dump_json().encode())

    @contextmanager
    def database(self, settings: Settings, memory_gb: float | None = None) -> Iterator[db.Connection]:
        """The replica under construction, open for writing; ``memory_gb`` if less than the setting will do."""
        memory = min(memory_gb or settings.build_memory_gb, settings.build_memory_gb)
        limits = db.Limits(memory, settings.build_threads, self.folder / "temporary")
        with db.builder(self.replica, limits) as connection:
            yield connection


@contextmanager
def build_lock(stores: Stores) -> Iterator[None]:
    """Only one builder at a time. Raises Refused at once when another holds the lock."""
    private_folder(stores.home)
    with (stores.home / "build.lock").open("a+") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Refused(
                f"Another build is at work (process {file.read().strip() or 'unknown'}).",
                remedy="Wait for it, or stop that process; then run this again. ncrs status shows builds.",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def workspace(stores: Stores, build_id: str) -> Workspace:
    """The place of a build, whether or not it exists."""
    return Workspace(stores.building / build_id)


def create_workspace(stores: Stores, build_id: str, plan: BuildPlan) -> Workspace:
    """Make an empty place; what earlier builds left is removed already. The caller holds the lock."""
    made = workspace(stores, build_id)
    private_folder(stores.building)
    private_folder(made.folder)
    private_folder(made.generation)
    made.save(BuildState(plan=plan))
    return made


def check_free_space(stores: Stores, settings: Settings, plan: BuildPlan, last_bytes: int) -> None:
    """Refuse to begin on a disk that will be full. ``last_bytes`` is what is to be written, as the last generation has it.

    The first generation has none to go by; it is estimated from the validated files. What an adopted
    build has written already need not be free any more. What goes to a cluster is the cluster's matter.
    """
    expected = last_bytes or _FIRST_BUILD_FACTOR * sum(
        path.stat().st_size for step in plan.steps for path in parts_of(stores, step)
    )
    wanted = int(expected * settings.free_space_factor) - _bytes_below(stores.building)
    free = shutil.disk_usage(stores.home).free
    if free < wanted:
        raise Refused(
            f"The disk has {free // 2**20} MB free; building wants {wanted // 2**20} MB.",
            remedy="Free space, or lower NCRS_FREE_SPACE_FACTOR or NCRS_RETENTION.",
            code="DISK_SPACE",
        )


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def parts_of(stores: Stores, step: Step) -> list[Path]:
    """The validated files of an extract, in order."""
    return sorted(stores.stage("validated", step.feed, step.source, step.sequence).glob("part-*.parquet"))


def quarantined_of(stores: Stores, step: Step) -> list[Path]:
    """The quarantine files of an extract, in order."""
    return sorted(stores.stage("quarantine", step.feed, step.source, step.sequence).glob("quarantine-*.parquet"))
