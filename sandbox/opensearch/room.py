"""Where nodes of one run live: their runtime, their user, their folders.

Belongs here: folders, owners, rights. Does not belong here: starting a node (``node.py``).

OpenSearch refuses to run as root. As root its nodes run as ``nobody``, who must reach the programs and
the data: what lies under a folder closed to others is linked or copied to a place that is not.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from sandbox.opensearch.artefact import Progress, fetch, link_tree
from sandbox.opensearch.java import Java, find_java
from schemas.errors import Refused

NOBODY = 65534
LASTING = Path("/var/tmp")  # noqa: S108 - only as root, and only a folder that is shown to be the node's own


@dataclass(frozen=True)
class User:
    """Whom a node runs as."""

    uid: int
    gid: int


def node_user() -> User | None:
    """``nobody`` for root; None, the user as he is, for everybody else."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return User(NOBODY, NOBODY)
    return User(entry.pw_uid, entry.pw_gid)


class Room:
    """A folder of the run, gone afterwards, with programs that the nodes' user can read."""

    def __init__(self, progress: Progress | None = None) -> None:
        java = find_java()
        home = fetch(progress, languages=java.whole)
        self.user = node_user()
        self.folder = Path(tempfile.mkdtemp(prefix="ncrs-opensearch-"))
        self.folder.chmod(0o711)
        self.home = self._reachable(home, "home")
        self.java = Java(self._reachable(java.home, "java"), java.version, java.modules)

    def __enter__(self) -> Room:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Everything of the run but data folders given from outside."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def own_folder(self, *names: str) -> Path:
        """A folder in the room that belongs to the nodes' user."""
        folder = self.folder.joinpath(*names)
        folder.mkdir(parents=True, exist_ok=True)
        self.give(folder)
        return folder

    def data_folder(self, wanted: Path) -> Path:
        """The folder for lasting data: the wanted one, or one in its stead when the nodes' user cannot reach that.

        Whoever removes the wanted folder starts afresh, also when another one stood in for it.
        """
        wanted = wanted.absolute()
        fresh = not wanted.exists()
        wanted.mkdir(parents=True, exist_ok=True)
        if self.user is None:
            return wanted
        folder = wanted if can_reach(wanted.parent, self.user) else _instead_of(wanted, self.user)
        if fresh:
            for left in folder.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        self.give(folder)
        return folder

    def give(self, folder: Path) -> None:
        """Make the nodes' user the owner of all that is in a folder."""
        if self.user is None:
            return
        for path in (folder, *folder.rglob("*")):
            os.chown(path, self.user.uid, self.user.gid, follow_symlinks=False)

    def _reachable(self, tree: Path, name: str) -> Path:
        if self.user is None or can_reach(tree, self.user):
            return tree
        link_tree(tree, self.folder / name)
        return self.folder / name


def can_reach(folder: Path, user: User) -> bool:
    """May the user enter the folder, and every folder on the way?"""
    return all(_may_enter(step.stat(), user) for step in (folder, *folder.parents))


def _may_enter(entry: os.stat_result, user: User) -> bool:
    if entry.st_uid == user.uid:
        return bool(entry.st_mode & stat.S_IXUSR)
    if entry.st_gid == user.gid:
        return bool(entry.st_mode & stat.S_IXGRP)
    return bool(entry.st_mode & stat.S_IXOTH)


def _instead_of(wanted: Path, user: User) -> Path:
    """A name in a lasting folder is anybody's to take: it must be a real folder of the nodes' user alone."""
    name = hashlib.sha256(str(wanted).encode()).hexdigest()[:16]
    parent = LASTING if LASTING.is_dir() else Path(tempfile.gettempdir())
    folder = parent / f"ncrs-opensearch-{name}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        mine = stat.S_ISDIR(found.st_mode) and found.st_uid in {0, user.uid} and not found.st_mode & 0o077
        if not mine:
            raise Refused(f"{folder} is not this node's.", remedy="Look whose it is, and remove it.") from None
    return folder
