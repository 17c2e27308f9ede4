"""The folder of a run under way: what is answered, what is recorded, what may be joined.

Belongs here: names, order of writing, what a second run finds. Does not belong here: answering, processes, the
access log itself.

A chunk's life. A process writes its answer (``.part``), then who was seen (``.seen``), each durable: now it is
*answered*, and is never asked again. Then its access event is made durable, then the answer gets its name
(``.rows``) and a line in the journal: now it is *done*. Whatever is killed between two of these steps, the next run
goes on with the step that is missing. The folder holds patients' values: it is its owner's alone.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from schemas.errors import Refused
from search_api.durable import append_line, journal_lines, replace_file, sync_folder

JOURNAL, LOCK = "journal.ndjson", "lock"
_RESTART = "Trace anew with --restart, or bring back what was."


@dataclass(frozen=True)
class Identity:
    """What a run is of. A second run goes on only when all of it is the same. ``run`` names it in the access log."""

    source: str
    generation: str
    rules: str
    chunk_rows: int
    run: str = ""


@dataclass(frozen=True)
class Seen:
    """An answered chunk: its answer's hash, its rows, outcomes by name, and the patients who were matched."""

    index: int
    sha256: str
    rows: int
    outcomes: dict[str, int]
    patients: tuple[int, ...]


class Work:
    """One run's folder. Only who holds ``locked`` may change what is done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: dict[int, dict[str, Any]] = {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One run at a time. Raises Refused while another has it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused("This file is being traced already.", remedy="Wait until that run has ended.") from None
            yield

    def begin(self, identity: Identity, *, restart: bool) -> Identity:
        """The identity of the run to go on with, or of this new one. Raises Refused when they differ."""
        found = None if restart else self._read()
        if found is None:
            self._clear()
            append_line(self.folder / JOURNAL, asdict(identity))
            return identity
        for name, what in (
            ("source", "The file has changed since its trace began."),
            ("generation", "Another generation was published since this file's trace began."),
            ("rules", "Settings or weights of the trace have changed since it began."),
            ("chunk_rows", "NCRS_TRACE_CHUNK_ROWS has changed since this file's trace began."),
        ):
            if getattr(found, name) != getattr(identity, name):
                raise Refused(what, remedy=_RESTART)
        return found

    def answered(self, index: int) -> Seen | None:
        """What a process left of a chunk that is not done; None when it must be asked."""
        try:
            raw = orjson.loads(self._path(index, "seen").read_bytes())
            seen = Seen(index, raw["sha256"], raw["rows"], raw["outcomes"], tuple(raw["patients"]))
        except (OSError, ValueError, KeyError):
            return None
        for kind in ("part", "rows"):
            if _hash(self._path(index, kind)) == seen.sha256:
                return seen
        return None

    def write(self, index: int, content: bytes, outcomes: dict[str, int], patients: tuple[int, ...]) -> Seen:
        """In a process: keep an answer and who was seen, in this order, durable."""
        seen = Seen(index, sha256(content).hexdigest(), sum(outcomes.values()), outcomes, patients)
        replace_file(self._path(index, "part"), content)
        replace_file(self._path(index, "seen"), orjson.dumps(asdict(seen)))
        sync_folder(self.folder)
        return seen

    def finish(self, seen: Seen) -> None:
        """Give the answer its name; its access event is durable."""
        part = self._path(seen.index, "part")
        if part.exists():
            part.replace(self._path(seen.index, "rows"))
            sync_folder(self.folder)
        line = {"chunk": seen.index, "sha256": seen.sha256, "rows": seen.rows, "outcomes": seen.outcomes}
        append_line(self.folder / JOURNAL, line)
        self.done[seen.index] = line
        self._path(seen.index, "seen").unlink(missing_ok=True)

    def parts(self) -> list[Path]:
        """The answers in order."""
        return [self._path(index, "rows") for index in sorted(self.done)]

    def remove(self) -> None:
        """The run has ended, its answer has its name."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, index: int, kind: str) -> Path:
        return self.folder / f"{index:08d}.{kind}"

    def _read(self) -> Identity | None:
        """Read the journal; a line does not count whose answer is not there."""
        self.done = {}
        first, *lines = journal_lines(self.folder / JOURNAL) or [{}]
        try:
            identity = Identity(**first)
        except TypeError:
            return None
        for line in lines:
            if _hash(self._path(line["chunk"], "rows")) == line["sha256"]:
                self.done[line["chunk"]] = line
        return identity

    def _clear(self) -> None:
        self.done = {}
        for path in self.folder.iterdir():
            if path.name != LOCK:
                path.unlink()


def _hash(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
