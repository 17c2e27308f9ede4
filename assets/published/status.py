"""What generations there are, and answering from a named one.

Belongs here: the list for ops, and opening one to see what it would have answered (``ncrs replay``).
Does not belong here: freshness of feeds (``search_api/ops/freshness.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from assets.replica.tables import PATIENT_TABLE
from assets.stores import Stores
from schemas.errors import GenerationError, Refused
from schemas.generation import CurrentGeneration, GenerationManifest
from search_api import generation_files as files
from search_api.index.provider import IndexEngine
from search_api.opened import Generation
from search_api.ops.generation_events import GenerationEvent, GenerationEvents
from search_api.records import NumberChange, PatientRecord
from search_api.sources import open_generation

CURRENT = "current"


@dataclass(frozen=True)
class Listed:
    """One generation on disk. ``problem`` is set when its manifest cannot be read; then figures are 0."""

    name: str
    current: bool
    published: bool
    base: str | None
    built_at: datetime | None
    as_at: datetime | None
    patients: int
    documents: int
    bytes: int
    problem: str | None


@dataclass(frozen=True)
class Status:
    """The marker, the generations (newest first) and builds that are under way or left over."""

    current: CurrentGeneration | None
    problem: str | None
    generations: tuple[Listed, ...]
    building: tuple[str, ...]


@dataclass(frozen=True)
class Replayed:
    """What one generation holds of one NHS number: values of a record, for eyes that may see them."""

    manifest: GenerationManifest
    change: NumberChange | None
    current_number: int | None
    record: PatientRecord | None
    related: list[dict[str, Any]]
    summary: dict[str, Any] | None


def status(stores: Stores) -> Status:
    """What is on disk; never raises for a damaged store."""
    current, problem = None, None
    try:
        current = files.read_current(stores.generations)
    except GenerationError as error:
        problem = error.message
    name = current.generation if current else None
    published = {path.name for path in files.published_folders(stores.generations)}
    present = [path.name for path in reversed(files.folders(stores.generations))]
    building = sorted(path.name for path in stores.building.iterdir()) if stores.building.is_dir() else []
    listed = tuple(_listed(stores, each, current=each == name, published=each in published) for each in present)
    return Status(current, problem, listed, tuple(building))


@contextmanager
def opened(stores: Stores, engine: IndexEngine, generation: str = CURRENT) -> Iterator[Generation]:
    """A named generation (or ``current``), open for reading and kept from retention meanwhile.

    Raises Refused for one that is not there, GenerationError for one that cannot be read.
    """
    name = _named(stores, generation)
    lease = files.Lease(stores.generations, name)
    try:
        with closing(open_generation(stores.generations / name, engine)) as found:
            yield found
    finally:
        lease.release()


def replay(stores: Stores, engine: IndexEngine, generation: str, nhs_number: int) -> Replayed:
    """What this generation holds of a number, following number changes as an answer would."""
    with opened(stores, engine, generation) as found:
        replica = found.replica
        current = replica.current_number(nhs_number)
        record = replica.patient(current) if current is not None else None
        return Replayed(
            manifest=found.manifest,
            change=replica.number_change(nhs_number),
            current_number=current,
            record=record,
            related=replica.related(current) if current is not None else [],
            summary=replica.summary(current) if current is not None else None,
        )


def _named(stores: Stores, generation: str) -> str:
    name = generation
    if generation == CURRENT:
        current = files.read_current(stores.generations)
        if current is None:
            raise Refused("No generation is published.", remedy="Bring in an extract with ncrs ingest.")
        name = current.generation
    present = [path.name for path in files.folders(stores.generations)]
    if name not in present:
        raise Refused(f"There is no generation {name}.", remedy=f"Those kept are: {', '.join(present) or 'none'}.")
    return name


def _listed(stores: Stores, name: str, *, current: bool, published: bool) -> Listed:
    try:
        manifest = files.read_manifest(stores.generations / name)
    except GenerationError as error:
        return Listed(name, current, published, None, None, None, 0, 0, 0, error.message)
    return Listed(
        name=name,
        current=current,
        published=published,
        base=manifest.base,
        built_at=manifest.built_at,
        as_at=manifest.as_at,
        patients=sum(table.rows for table in manifest.tables if table.table == PATIENT_TABLE),
        documents=manifest.index.documents,
        bytes=sum(state.bytes for state in manifest.files),
        problem=None,
    )


def last_failure(events: GenerationEvents) -> GenerationEvent | None:
    """The failure of the newest build, or None when a generation was published since."""
    for event in events.of():
        if event.event == "failed":
            return event
        if event.event in ("published", "recovered"):
            return None
    return None
