"""What lies in the drop folder: complete deliveries, by source and sequence.

Belongs here: finding deliveries and telling whether one was seen before. Does not belong here:
reading data files (``copying.py``), judging (``quality``).

A delivery is complete when its manifest exists; one without is still being written and is left
alone. The drop folder belongs to the suppliers: nothing in it is changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from assets.stores import Stores
from quality.manifest import MANIFEST_LIMIT
from quality.reasons import refused
from schemas.extract import MANIFEST_NAME
from schemas.feeds import FEEDS

_SOURCE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SEQUENCE = re.compile(r"[0-9]{8}")


@dataclass(frozen=True)
class Delivery:
    """One complete delivery: where it lies, and what its folder says it is."""

    feed: str
    source: str
    sequence: int
    folder: Path


def deliveries(stores: Stores, feed: str) -> list[Delivery]:
    """Complete deliveries of a feed, by source and sequence."""
    found = []
    for source in _folders(stores.drop / feed):
        if not _SOURCE.fullmatch(source.name):
            continue
        for folder in _folders(source):
            if _SEQUENCE.fullmatch(folder.name) and _complete(folder):
                found.append(Delivery(feed, source.name, int(folder.name), folder))
    return sorted(found, key=lambda delivery: (delivery.source, delivery.sequence))


def strays(stores: Stores) -> list[Path]:
    """Manifests in folders that are of no feed, source or sequence: nobody will ever read them.

    Paths below the drop folder; for ops to look at (``ncrs doctor``), never taken in.
    """
    ours = {delivery.folder for feed in FEEDS for delivery in deliveries(stores, feed)}
    if not stores.drop.is_dir():
        return []
    manifests = stores.drop.rglob(MANIFEST_NAME)
    return sorted(path.relative_to(stores.drop) for path in manifests if path.parent not in ours)


def fingerprint(delivery: Delivery) -> str:
    """What was seen of a delivery, cheaply: manifest bytes, and size and time of each file.

    The same fingerprint means that nobody touched the delivery since; a different one says only
    that it has to be looked at again. Raises FileRefused when the manifest cannot be read.
    """
    seen = hashlib.sha256(read_plain(delivery.folder / MANIFEST_NAME, MANIFEST_LIMIT))
    for entry in sorted(os.scandir(delivery.folder), key=lambda entry: entry.name):
        about = entry.stat(follow_symlinks=False)
        seen.update(f"\n{entry.name} {about.st_size} {about.st_mtime_ns} {about.st_mode}".encode())
    return seen.hexdigest()


def open_plain(path: Path) -> int:
    """Descriptor of a regular file, opened without following a link and without blocking.

    Raises FileRefused: FILE_MISSING, or FILE_NOT_PLAIN for links, folders, pipes, devices.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise refused("FILE_MISSING", path.name) from None
    except OSError:
        # ELOOP: a link. ENXIO: a socket or pipe. Anything else is our own trouble.
        if path.is_symlink() or not stat.S_ISREG(path.lstat().st_mode):
            raise refused("FILE_NOT_PLAIN", path.name) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise refused("FILE_NOT_PLAIN", path.name)
    return descriptor


def read_plain(path: Path, limit: int) -> bytes:
    """The bytes of a small regular file, at most ``limit`` + 1 of them. Raises FileRefused."""
    with os.fdopen(open_plain(path), "rb") as file:
        return file.read(limit + 1)


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    with os.scandir(parent) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_dir())


def _complete(folder: Path) -> bool:
    # A manifest that is a link or a folder counts as delivered, and will be refused.
    return os.path.lexists(folder / MANIFEST_NAME)
