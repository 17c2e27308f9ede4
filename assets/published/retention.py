"""Retention: the last generations stay, older ones go, none that is current or being read.

Belongs here: which folders go, and their removal. Does not belong here: deciding how many
(``NCRS_RETENTION``), extracts and audit, which have rules of their own.

Kept: the current generation, then those it came from (``previous``, link by link), then the newest
others, up to the number set. A folder is removed only with its lease held alone, so never under a
reader that started before, and only when no node reads it from a cluster. Removal is a rename first: a
half-removed folder never has its old name. What it has in a cluster goes next, the folder last: whatever
stops the removal, the folder still says what there is to remove, and the next build finishes it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Protocol

from assets.files import remove_folder
from assets.stores import Stores
from schemas.errors import GenerationError, NcrsError
from schemas.generation import GENERATION_MANIFEST_NAME, GenerationManifest
from search_api import generation_files as files
from search_api.durable import sync_folder

_DOOMED = ".removing-"


def kept_names(stores: Stores, current: str, keep: int) -> list[str]:
    """The generations to keep, most important first."""
    present = [path.name for path in reversed(files.folders(stores.generations))]
    kept = [current]
    while len(kept) < keep and (previous := _previous(stores, kept[-1])) in present and previous not in kept:
        kept.append(str(previous))
    others = [name for name in present if name not in kept]
    return [*kept, *others[: max(0, keep - len(kept))]]


class Cluster(Protocol):
    """What generations have outside their folders."""

    def may_go(self, generation: str) -> bool:
        """Whether nobody reads it there."""
        ...

    def remove(self, manifest: GenerationManifest) -> None:
        """Remove what it has there; again is harmless."""
        ...


def retire(stores: Stores, keep: int, cluster: Cluster | None = None) -> list[str]:
    """Remove what is beyond the number to keep; the names of what went. Safe to repeat after a kill.

    A cluster that cannot be asked puts a removal off and fails nothing.
    """
    _finish_removals(stores, cluster)
    current = files.read_current(stores.generations)
    if current is None:
        return []
    kept = set(kept_names(stores, current.generation, max(1, keep)))
    doomed = [path for path in files.folders(stores.generations) if path.name not in kept]
    return [path.name for path in doomed if _may_go(path.name, cluster) and _remove(stores, path, cluster)]


def _previous(stores: Stores, name: str) -> str | None:
    try:
        manifest = files.read_manifest(stores.generations / name)
    except GenerationError:
        return None
    return manifest.previous or manifest.base


def _may_go(name: str, cluster: Cluster | None) -> bool:
    try:
        return cluster is None or cluster.may_go(name)
    except NcrsError:
        return False


def _remove(stores: Stores, folder: Path, cluster: Cluster | None) -> bool:
    """Remove one folder unless someone reads it; whether it went."""
    lease = stores.generations / files.LEASES / folder.name
    lease.parent.mkdir(exist_ok=True)
    descriptor = os.open(lease, os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        doomed = folder.with_name(_DOOMED + folder.name)
        folder.rename(doomed)
        sync_folder(stores.generations)
        _finish_removal(stores, doomed, cluster)
        return True
    finally:
        os.close(descriptor)


def _finish_removals(stores: Stores, cluster: Cluster | None) -> None:
    if stores.generations.is_dir():
        for path in stores.generations.glob(f"{_DOOMED}*"):
            _finish_removal(stores, path, cluster)


def _finish_removal(stores: Stores, doomed: Path, cluster: Cluster | None) -> None:
    """What is in the cluster, then the folder, then what was said of it."""
    name = doomed.name.removeprefix(_DOOMED)
    manifest = _last_words(doomed, name)
    if cluster is not None and manifest is not None:
        try:
            cluster.remove(manifest)
        except NcrsError:  # whatever it is, what is published does not suffer from it
            return
    remove_folder(doomed)
    (stores.generations / files.PUBLISHED / name).unlink(missing_ok=True)
    (stores.generations / files.LEASES / name).unlink(missing_ok=True)


def _last_words(doomed: Path, name: str) -> GenerationManifest | None:
    """The manifest of a folder that has lost its name; None when it is gone or cannot be read."""
    try:
        return files.parse_manifest(name, (doomed / GENERATION_MANIFEST_NAME).read_bytes())
    except (OSError, GenerationError):
        return None
