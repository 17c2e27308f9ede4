"""Publishing a built generation: one rename makes the folder whole, one makes it current.

Belongs here: sealing (manifest with every file's hash), the two renames and their order, the lock.
Does not belong here: building, roll-back (``rollback.py``), removing old ones (``retention.py``).

Order, so that a kill at any moment leaves the old or the new generation current and complete:
every file and folder is synced; ``building/<id>/generation`` is renamed to ``generations/<name>``;
both parents are synced; ``current.json`` is written beside, synced, and renamed into place. A kill
between the renames leaves a whole generation that never was current: it counts as not built, the
next build gets a higher number and removes it. ``published/<name>`` records that one was current.
Whoever follows from afar is told of the sealed generation before the renames, and follows the marker
after them (``mirror.py``).
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from assets.files import FILE_MODE, private_folder, remove_folder, sync_tree, write_atomically
from assets.replica.tables import CORE_TABLES
from assets.replica.workspace import BuildState, Workspace
from assets.stores import Stores
from schemas.errors import GenerationError, PassingFault, Refused
from schemas.generation import (
    CURRENT_NAME,
    GENERATION_MANIFEST_NAME,
    CurrentGeneration,
    FileState,
    GenerationManifest,
    IndexState,
)
from search_api import generation_files as files
from search_api.durable import sync_folder


@contextmanager
def publish_lock(stores: Stores) -> Iterator[None]:
    """Held for the moments in which the marker changes; publishing and roll-back exclude each other."""
    private_folder(stores.home)
    with (stores.home / "publish.lock").open("a") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PassingFault("The marker is being changed by another process.", remedy="Try again.") from None
        yield


def publish(
    stores: Stores, place: Workspace, reason: str, announce: Callable[[Path], None] | None = None
) -> GenerationManifest:
    """Seal a reconciled build and make it current; its manifest.

    ``announce`` tells others of the sealed folder before anything points at it; what it raises leaves
    everything as it was. Raises Refused when it is not reconciled, or when another generation has become current since
    the build began.
    """
    state = place.state
    if not state.reconciled or state.index is None:
        raise Refused(f"Build {place.build_id} is not reconciled.", remedy="Run the reconcile check first.")
    with publish_lock(stores):
        _check_previous(stores, state)
        manifest = seal(stores, place, state, state.index)
        if announce is not None:
            announce(place.generation)
        target = stores.generations / manifest.generation
        private_folder(stores.generations)
        place.generation.rename(target)
        sync_folder(stores.generations)
        sync_folder(place.folder)
        make_current(stores, manifest.generation, reason)
    return manifest


def seal(stores: Stores, place: Workspace, state: BuildState, index: IndexState) -> GenerationManifest:
    """Write the manifest into the built folder, and sync everything in it."""
    sync_tree(place.generation)
    content = sha256("".join(table.checksum for table in state.tables if table.table in CORE_TABLES).encode())
    content.update(index.checksum.encode())
    plan = state.plan
    manifest = GenerationManifest(
        generation=f"{plan.number:06d}-{content.hexdigest()[:8]}",
        number=plan.number,
        base=plan.base,
        previous=plan.previous,
        built_at=datetime.now(UTC),
        as_at=min(feed.as_at for feed in plan.feeds),
        schema_version=plan.versions.schema_version,
        code_version=plan.versions.code_version,
        weights_version=plan.versions.weights_version,
        weights=plan.versions.weights,
        feeds=plan.feeds,
        tables=state.tables,
        index=index,
        records=state.records,
        files=tuple(_file_states(place.generation, _base_of(stores, plan.base))),
    )
    write_atomically(place.generation / GENERATION_MANIFEST_NAME, manifest.model_dump_json(indent=1).encode())
    return manifest


def make_current(stores: Stores, generation: str, reason: str) -> CurrentGeneration:
    """Point the marker at a generation folder. The caller holds the publish lock."""
    content = (stores.generations / generation / GENERATION_MANIFEST_NAME).read_bytes()
    current = CurrentGeneration(
        generation=generation,
        manifest_sha256=sha256(content).hexdigest(),
        published_at=datetime.now(UTC),
        reason=reason,
    )
    record_current(stores)
    _touch(stores.generations / files.LEASES / generation)
    write_atomically(stores.generations / CURRENT_NAME, current.model_dump_json(indent=1).encode())
    record_current(stores)
    return current


def record_current(stores: Stores) -> str | None:
    """Make sure the current generation is on record as published; its name. Makes up for a kill."""
    try:
        current = files.read_current(stores.generations)
    except GenerationError:
        return None
    if current is None:
        return None
    _touch(stores.generations / files.PUBLISHED / current.generation)
    return current.generation


def remove_unpublished(stores: Stores) -> list[str]:
    """Remove whole generations that never were current: left by a kill between the two renames."""
    record_current(stores)
    published = {path.name for path in files.published_folders(stores.generations)}
    doomed = [path for path in files.folders(stores.generations) if path.name not in published]
    for path in doomed:
        remove_folder(path)
    return [path.name for path in doomed]


def _check_previous(stores: Stores, state: BuildState) -> None:
    current = files.read_current(stores.generations)
    name = current.generation if current else None
    if name != state.plan.previous:
        raise Refused(
            f"{name} became current while this build was made on {state.plan.previous}.",
            remedy="Build again; it starts from what is current now.",
        )


def _base_of(stores: Stores, name: str | None) -> tuple[Path, dict[str, FileState]]:
    """The folder that a build was made on, and what was published of its files; nothing for one from nothing."""
    folder = stores.generations / (name or "")
    return folder, {state.path: state for state in files.read_manifest(folder).files} if name else {}


def _file_states(folder: Path, base: tuple[Path, dict[str, FileState]]) -> list[FileState]:
    """Every file with its hash. One that is the base's by hard link has the hash it was published with: reading it
    again would take as long as the base is large, and would make damage to it look as if it were meant."""
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).as_posix() != GENERATION_MANIFEST_NAME and path.suffix != ".lock"
    ]
    held = [_held(path.relative_to(folder).as_posix(), path, base) for path in paths]
    hashes = files.file_hashes([path for path, state in zip(paths, held, strict=True) if state is None])
    return [state or _file_state(folder, path, next(hashes)) for path, state in zip(paths, held, strict=True)]


def _held(name: str, path: Path, base: tuple[Path, dict[str, FileState]]) -> FileState | None:
    held = base[1].get(name)
    return held if held is not None and (base[0] / name).exists() and path.samefile(base[0] / name) else None


def _file_state(folder: Path, path: Path, found: str | None) -> FileState:
    if found is None:
        raise GenerationError(f"The file {path.name} of a new generation went away.", remedy="Build again.")
    return FileState(path=path.relative_to(folder).as_posix(), bytes=path.stat().st_size, sha256=found)


def _touch(path: Path) -> None:
    """An empty file that is there: a record, or a lease for readers whose disk takes no new files."""
    if not path.exists():
        private_folder(path.parent)
        path.touch(mode=FILE_MODE)
        sync_folder(path.parent)
