"""A generation on disk as a reader sees it: marker, manifest, checks, lease.

Belongs here: reading ``current.json`` and ``manifest.json``, checking a folder against its manifest,
and the lease that keeps a folder while it is read. Does not belong here: building, publishing or
removing (``assets/published``), keeping one open for requests (``sources.py``,
``generations.py``).

A lease is a shared lock on ``generations/leases/<id>``. Retention removes a folder only when it gets
that lock alone. (On Linux an open file outlives its name, so even a folder removed by hand does not
disturb who has it open.)
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from schemas.errors import GenerationError
from schemas.generation import (
    CURRENT_NAME,
    GENERATION_MANIFEST_NAME,
    GENERATION_SCHEMA_VERSION,
    INDEX_NAME,
    CurrentGeneration,
    FileState,
    GenerationManifest,
)
from search_api.index.provider import IndexPlace

LEASES = "leases"
PUBLISHED = "published"
_CHUNK = 1 << 20
_HASHED_AT_ONCE = 2
_INDEX = f"{INDEX_NAME}/"
_ROLL_BACK = "Roll back to another generation with ncrs rollback --to, or build anew with ncrs build."

Progress = Callable[[int, int], None]


def read_current(generations: Path) -> CurrentGeneration | None:
    """The marker, or None when nothing was ever published. Raises GenerationError when unreadable."""
    path = generations / CURRENT_NAME
    try:
        return CurrentGeneration.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValidationError, OSError) as error:
        raise GenerationError(
            f"The marker {CURRENT_NAME} cannot be read ({type(error).__name__}).", remedy=_ROLL_BACK
        ) from None


def read_manifest(folder: Path, expected_sha256: str | None = None) -> GenerationManifest:
    """The manifest of a generation folder.

    Raises GenerationError when it is missing, damaged, of a schema version this code does not know,
    or not the one the marker names.
    """
    try:
        content = (folder / GENERATION_MANIFEST_NAME).read_bytes()
    except OSError as error:
        raise GenerationError(
            f"The manifest of generation {folder.name} cannot be read ({type(error).__name__}).", remedy=_ROLL_BACK
        ) from None
    if expected_sha256 is not None and sha256(content).hexdigest() != expected_sha256:
        raise GenerationError(f"The manifest of {folder.name} is not the one that was published.", remedy=_ROLL_BACK)
    return parse_manifest(folder.name, content)


def readable(read: Callable[[], GenerationManifest]) -> GenerationManifest | None:
    """What this gives, or None when it is damaged or of another version."""
    try:
        return read()
    except GenerationError:
        return None


def parse_manifest(name: str, content: bytes) -> GenerationManifest:
    """The manifest in these bytes. Raises GenerationError for another shape, version or generation."""
    try:
        manifest = GenerationManifest.model_validate_json(content)
    except ValidationError:
        raise GenerationError(f"The manifest of generation {name} has another shape.", remedy=_ROLL_BACK) from None
    if manifest.schema_version != GENERATION_SCHEMA_VERSION:
        raise GenerationError(
            f"Generation {name} has schema version {manifest.schema_version}; this code reads "
            f"{GENERATION_SCHEMA_VERSION}.",
            remedy="Build anew with ncrs build, or run the version of the code that made it.",
        )
    if manifest.generation != name:
        raise GenerationError(f"The folder {name} holds the manifest of another generation.", remedy=_ROLL_BACK)
    return manifest


def index_place(folder: Path, manifest: GenerationManifest) -> IndexPlace:
    """Where the index of a generation is."""
    return IndexPlace(folder, manifest.index.location, manifest.index.uuid)


def check_sizes(folder: Path, manifest: GenerationManifest) -> None:
    """Every file of the manifest is there with its size. Raises GenerationError."""
    for state in manifest.files:
        path = folder / state.path
        size = path.stat().st_size if path.is_file() else None
        if size != state.bytes:
            found = "is missing" if size is None else f"has {size} bytes instead of {state.bytes}"
            raise GenerationError(f"The file {folder.name}/{state.path} {found}.", remedy=_ROLL_BACK)


def damaged_files(folder: Path, manifest: GenerationManifest, progress: Progress | None = None) -> Iterator[FileState]:
    """Files whose bytes are not those of the manifest; ``progress`` gets bytes done and bytes in all.

    Files are read through, and what was read last stays in memory where not all fits: the index, of which a search
    needs many places, comes after the records, of which it needs few.
    """
    index = index_files(manifest)
    states = sorted(manifest.files, key=lambda state: (state in index, -state.bytes))
    total = sum(state.bytes for state in states)
    done = 0
    for state, found in zip(states, file_hashes([folder / state.path for state in states]), strict=True):
        if found != state.sha256:
            yield state
        done += state.bytes
        if progress is not None:
            progress(done, total)


def index_files(manifest: GenerationManifest) -> list[FileState]:
    """The files of its search index; none where that is in a cluster."""
    return [state for state in manifest.files if state.path.startswith(_INDEX)]


def check_hashes(folder: Path, manifest: GenerationManifest) -> None:
    """Every file has the bytes that were published. Raises GenerationError naming the first that has not."""
    for state in damaged_files(folder, manifest):
        raise GenerationError(f"The file {folder.name}/{state.path} was damaged on disk.", remedy=_ROLL_BACK)


def file_hashes(paths: Sequence[Path]) -> Iterator[str | None]:
    """SHA-256 of files in their order, None of one that is not there; a few are read at a time, for hashing leaves the
    interpreter to others."""
    with ThreadPoolExecutor(_HASHED_AT_ONCE) as pool:
        try:
            yield from pool.map(lambda path: file_sha256(path) if path.is_file() else None, paths)
        finally:
            pool.shutdown(cancel_futures=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    digest = sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def generation_number(name: str) -> int | None:
    """The leading number of a generation's name (``000007-1a2b3c4d``), or None for other names."""
    head, dash, tail = name.partition("-")
    return int(head) if dash and tail and head.isdecimal() else None


def lower(names: Sequence[str], name: str) -> list[str]:
    """Those of some generations with a lower number than ``name``, newest first; ``names`` are in ascending order."""
    top = generation_number(name)
    return [each for each in reversed(names) if top is not None and (generation_number(each) or 0) < top]


def earlier(names: Sequence[str], name: str, manifest_of: Callable[[str], GenerationManifest]) -> list[str]:
    """As ``lower``, but first those that ``name`` came from, link by link: what was published before it. One that was
    rolled back from is none of them, and comes after."""
    below = lower(names, name)
    chain: list[str] = []
    at = name
    while (previous := _previous(at, manifest_of)) in below and previous not in chain:
        at = str(previous)
        chain.append(at)
    return [*chain, *(each for each in below if each not in chain)]


def _previous(name: str, manifest_of: Callable[[str], GenerationManifest]) -> str | None:
    try:
        return manifest_of(name).previous
    except GenerationError:
        return None


def folders(generations: Path) -> list[Path]:
    """Generation folders, lowest number first."""
    if not generations.is_dir():
        return []
    found = [path for path in generations.iterdir() if path.is_dir() and generation_number(path.name) is not None]
    return sorted(found, key=lambda path: (generation_number(path.name), path.name))


def published_folders(generations: Path) -> list[Path]:
    """Folders of generations that are or once were current, lowest number first.

    A build killed between its two renames leaves a whole folder that never was; it is left out. The
    record is an empty file ``published/<name>``, made once the marker names the generation.
    """
    try:
        current = read_current(generations)
    except GenerationError:
        current = None
    name = current.generation if current else None
    return [
        path for path in folders(generations) if path.name == name or (generations / PUBLISHED / path.name).exists()
    ]


class Lease:
    """A shared lock that says a generation is being read; ``release`` gives it back."""

    def __init__(self, generations: Path, name: str) -> None:
        self._descriptor = _open_lease(generations / LEASES / name)
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def renew(self) -> None:
        """A lock holds until it is given back."""

    def release(self) -> None:
        """Give the lock back; harmless when done twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _open_lease(path: Path) -> int | None:
    """A descriptor for locking, or None on a disk that takes no new files (it loses none either)."""
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        pass
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDONLY | os.O_CREAT, 0o600)
    except OSError:
        return None
