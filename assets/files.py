"""Files that are whole or not there: staged folders, atomic files, locks.

Belongs here: the few ways the stages write to disk so that a kill at any moment leaves the old
state or the new one. Does not belong here: what is written.

Everything under the home holds patient data: folders are 0700, files 0600.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from schemas.errors import PassingFault
from search_api.durable import sync_folder

FOLDER_MODE = 0o700
FILE_MODE = 0o600
_TEMPORARY = ".{name}.partial"
_LOCK_WAIT = 600.0
_COPY_CHUNK = 1 << 22


def private_folder(path: Path) -> Path:
    """Create a folder and the parents it lacks, all of them closed to others."""
    if not path.is_dir():
        private_folder(path.parent)
        path.mkdir(exist_ok=True, mode=FOLDER_MODE)
    return path


def sync_file(path: Path) -> None:
    """Make a written file survive a power cut, and close it to others."""
    path.chmod(FILE_MODE)
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def staged_folder(final: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``final`` in one rename when the block ends well.

    Leftovers of a killed attempt, temporary or final, are removed first: callers hold the feed's
    lock and know from the ledger that ``final`` does not count yet. On an exception nothing stays.
    """
    private_folder(final.parent)
    temporary = final.parent / _TEMPORARY.format(name=final.name)
    remove_folder(temporary)
    temporary.mkdir(mode=FOLDER_MODE)
    try:
        yield temporary
        for path in temporary.iterdir():
            sync_file(path)
        sync_folder(temporary)
        remove_folder(final)
        temporary.rename(final)
        sync_folder(final.parent)
    finally:
        remove_folder(temporary)


def remove_folder(path: Path) -> None:
    """Remove a folder of ours with its files, if it is there."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def write_atomically(path: Path, content: bytes, mode: int = FILE_MODE) -> None:
    """Write a file by temporary name, fsync and rename; readers see the old or the new content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / _TEMPORARY.format(name=path.name)
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    temporary.rename(path)
    sync_folder(path.parent)


@contextmanager
def feed_lock(home: Path, feed: str, wait: float = _LOCK_WAIT) -> Iterator[None]:
    """Hold the one lock of a feed: landing and validation of a feed never run twice at a time.

    Raises PassingFault when another process holds it for longer than ``wait`` seconds.
    """
    folder = private_folder(home / "locks")
    with (folder / f"{feed}.lock").open("w") as file:
        _take(file.fileno(), feed, time.monotonic() + wait)
        yield


def _take(descriptor: int, feed: str, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise PassingFault(f"Another run works on feed {feed}.", remedy="It is tried again.") from None
            time.sleep(0.1)
        else:
            return


def copy_checked(source: Path, target: Path) -> str:
    """Copy a file; SHA-256 (hex) of what was read, for the caller to compare."""
    digest = sha256()
    with source.open("rb") as read, target.open("wb") as written:
        while chunk := read.read(_COPY_CHUNK):
            digest.update(chunk)
            written.write(chunk)
    return digest.hexdigest()


def sync_tree(folder: Path) -> None:
    """Make every file and folder below (and this folder) survive a power cut."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            sync_tree(path)
        else:
            sync_file(path)
    folder.chmod(FOLDER_MODE)
    sync_folder(folder)
