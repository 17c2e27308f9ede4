"""How far the filling of an index has come: what the cluster has acknowledged, on disk.

Belongs here: the file, whose lines are added one at a time by the processes that send. Does not belong here:
sending (``sending.py``), what is sent.

The file lies beside the generation under construction. It holds counts and hashes, never a patient's value. A
line is written after the cluster has acknowledged what it says, in one write, so a kill leaves whole lines
and at most one torn one at the end, which counts for nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search_api.durable import as_line, journal_lines
from search_api.index.provider import IndexPlace


@dataclass(frozen=True)
class Reached:
    """How much of one piece is acknowledged: rows of the frame, documents made of them, and the sum of their
    fingerprints modulo 2^64 as hex. ``digest`` tells the piece from another in its place."""

    piece: int
    digest: str
    rows: int = 0
    documents: int = 0
    total: str = "0"


@dataclass(frozen=True)
class Filling:
    """What is being filled: the index by its uuid, and from what (the build)."""

    uuid: str
    build: str


def progress_path(at: IndexPlace) -> Path:
    """Where the progress of filling this index is kept: beside the folder of its generation."""
    return at.folder.parent / f"{at.location}.progress"


def acknowledged(at: IndexPlace) -> int:
    """Documents of this index that the cluster has acknowledged so far, for whoever shows progress."""
    return sum(reached.documents for reached in _reached(journal_lines(progress_path(at))).values())


class Progress:
    """The file, open for adding; each process opens its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def begin(self, filling: Filling) -> None:
        """A new file for a new index."""
        self.discard()
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._add({"filling": asdict(filling)})

    def filling(self) -> Filling | None:
        """What the file is about, if there is one."""
        for line in journal_lines(self._path):
            if isinstance(line.get("filling"), dict):
                return Filling(**line["filling"])
        return None

    def add(self, reached: Reached) -> None:
        """Record that this much of a piece is acknowledged."""
        self._add(asdict(reached))

    def reached(self) -> dict[int, Reached]:
        """The furthest record of each piece."""
        return _reached(journal_lines(self._path))

    def discard(self) -> None:
        """Forget everything: the next filling begins anew."""
        self.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _add(self, line: dict[str, Any]) -> None:
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.write(self._file, as_line(line))


def _reached(lines: Iterable[dict[str, Any]]) -> dict[int, Reached]:
    furthest: dict[int, Reached] = {}
    for line in lines:
        if "piece" not in line:
            continue
        reached = Reached(**line)
        known = furthest.get(reached.piece)
        if known is None or (reached.rows, reached.documents) >= (known.rows, known.documents):
            furthest[reached.piece] = reached
    return furthest
