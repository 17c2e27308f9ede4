"""Retention: the last generations stay, older ones go, none that is current or being read.

Belongs here: which folders go, and their removal. Does not belong here: deciding how many
(``NCRS_RETENTION``), extracts and audit, which have rules of their own.

Kept: the current generation, then those it came from (``previous``, link by link), then the newest
others, up to the number set. A folder is removed only with its lease held alone, so never under a
reader that started before. Removal is a rename first: a half-removed folder never has its old name.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from assets.files import remove_folder, sync_folder
from assets.stores import Stores
from schemas.errors import GenerationError
from search_api import generation_files as files

_DOOMED = ".removing-"


def kept_names(stores: Stores, current: str, keep: int) -> list[str]:
    """The generations to keep, most important first."""
    present = [path.name for path in reversed(files.folders(stores.generations))]
    kept = [current]
    while len(kept) < keep and (previous := _previous(stores, kept[-1])) in present and previous not in kept:
        kept.append(str(previous))
    others = [name for name in present if name not in kept]
    return [*kept, *others[: max(0, keep - len(kept))]]


def retire(stores: Stores, keep: int) -> list[str]:
    """Remove what is beyond the number to keep; the names of what went. Safe to repeat after a kill."""
    _finish_removals(stores)
    current = files.read_current(stores.generations)
    if current is None:
        return []
    kept = set(kept_names(stores, current.generation, max(1, keep)))
    doomed = [path for path in files.folders(stores.generations) if path.name not in kept]
    return [path.name for path in doomed if _remove(stores, path)]


def _previous(stores: Stores, name: str) -> str | None:
    try:
        manifest = files.read_manifest(stores.generations / name)
    except GenerationError:
        return None
    return manifest.previous or manifest.base


def _remove(stores: Stores, folder: Path) -> bool:
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
        remove_folder(doomed)
        (stores.generations / files.PUBLISHED / folder.name).unlink(missing_ok=True)
        lease.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)


def _finish_removals(stores: Stores) -> None:
    if stores.generations.is_dir():
        for path in stores.generations.glob(f"{_DOOMED}*"):
            remove_folder(path)
