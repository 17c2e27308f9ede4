"""Changes of the file system that Python makes in this process: counted, told apart, and one of them a trap.

Belongs here: which changes there are, what is their kind. Does not belong here: what happens at the trap
(``tests/faults``).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHANGES = {"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "shutil.rmtree", "fcntl.flock"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_GENERATION = re.compile("[0-9]{6}-[0-9a-f]{8}")
_OF_MANY_FILES = ("index", "records", "")


class Trap:
    """Counts changes below a folder, keeps the kind of each, and springs at the N-th. ``act`` None only counts."""

    def __init__(self, folder: Path, at: int, act: Callable[[], None] | None) -> None:
        self._folder = f"{folder}{os.sep}"
        self._at = at
        self._act = act
        self.kinds: list[str] = []
        self._sync = os.fsync
        sys.addaudithook(self._audit)
        os.fsync = self._fsync  # the one change without an audit event

    def _audit(self, event: str, values: tuple[Any, ...]) -> None:
        if event in _CHANGES or (event == "open" and self._is_write(values)):
            self._step(event, values[0])

    def _is_write(self, values: tuple[Any, ...]) -> bool:
        return isinstance(values[0], str) and values[0].startswith(self._folder) and bool(values[2] & _WRITING)

    def _fsync(self, descriptor: int) -> None:
        self._step("os.fsync", descriptor)
        self._sync(descriptor)

    def _step(self, event: str, place: object) -> None:
        self.kinds.append(f"{event} {self._kind(place)}")
        if len(self.kinds) == self._at and self._act is not None:
            self._act()

    def _kind(self, place: object) -> str:
        """Where something is done: the path, or its folder where many files lie that are alike."""
        known = Path(f"/proc/self/fd/{place}").readlink() if isinstance(place, int) else Path(str(place))
        path = Path(_GENERATION.sub("*", str(known).removeprefix(self._folder)))
        return str(path.parent / "*" if path.parent.name in _OF_MANY_FILES and path.suffix else path)
