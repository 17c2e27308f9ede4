"""Building an embedded index in several processes: each makes segments, which are then put together.

Belongs here: the work of a process and the joining of their folders. Does not belong here: processes
(``workers.py``), what a document is (``documents.py``), branches (``embedded.py``; a delta is small).

A tantivy folder is a list of immutable segments and a small json file that names them; segments of
folders with one schema may stand side by side in one. The parent only hands frames out. Every question
looks each key up in every segment, so there are to be few.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from search_api.index import parts, places
from search_api.index.crowding import NO_WATCH, Watch
from search_api.index.documents import slices
from search_api.index.embedded_writer import Segments, Told, fresh_folder, merge_segments
from search_api.index.frequencies import Frequencies
from search_api.index.keying import worded
from search_api.index.memo import Memos
from search_api.index.parts import PartWriter
from search_api.index.payloads import PayloadWriter
from search_api.index.pieces import People, loaded
from search_api.index.workers import Workers

# Segments are of one size: small, for a large one under construction does not fit the processor's caches, and alike, for
# the engine then puts all of them together in one pass at the end. Left to itself it would do so twice on the way.
RUN_ROWS = 300_000
META, MANAGED = "meta.json", ".managed.json"


@dataclass(frozen=True)
class PartJob:
    """What one worker is told: where to write, with what."""

    folder: Path
    frequencies: Frequencies
    show_very_restricted: bool
    heap_bytes: int
    number: int = 0
    watch: Watch = NO_WATCH
    run_rows: int = RUN_ROWS


class Made(NamedTuple):
    """What a worker came to: documents, and keys that may be crowded."""

    documents: int
    suspects: list[str]


class ParallelWriter:
    """Takes frames of the replica (``documents.COLUMNS``) and builds one index folder from them. ``suspects``: keys
    that may be crowded, once it is built.

    ``commit`` must be called once; until then the folder holds only parts.
    """

    def __init__(self, location: Path, job: PartJob, processes: int) -> None:
        self._location = location
        self.suspects: frozenset[str] | None = None
        self._jobs = [
            replace(job, folder=location / f"part-{at}", number=at, watch=Watch(job.watch.floor, processes))
            for at in range(processes)
        ]
        self._workers = Workers(work, self._jobs)

    def add_frame(self, frame: People) -> None:
        """Hand a frame to the next free worker; waits while all are busy.

        Raises:
            PermanentFault: a worker ended early.
        """
        self._workers.hand(frame)

    def commit(self) -> int:
        """Finish every part and put them together; the number of documents.

        Raises:
            PermanentFault: a worker failed; nothing usable was written.
        """
        made: list[Made] = self._workers.finish()
        join_parts([job.folder for job in self._jobs], self._location)
        parts.joined(self._location, [job.number for job in self._jobs])
        self.suspects = frozenset(key for part in made for key in part.suspects)
        return sum(part.documents for part in made)


class Runs:
    """The segments of one worker, each written in a folder of its own, so that none is merged before all are there."""

    def __init__(self, job: PartJob) -> None:
        self._job = job
        self._payloads, self._part = PayloadWriter(job.folder, job.number), PartWriter(job.folder, job.number)
        self._folders: list[Path] = []
        self._segments = self._begun()
        self._rows = 0

    def add(self, told: Told) -> int:
        """Write the documents of a slice; how many they are."""
        at = self._payloads.add(told.payloads)
        self._part.add(told.some, told.keyed, at)
        self._segments.add(told, at)
        self._rows += len(at)
        if self._rows >= self._job.run_rows:
            self._segments.finish()
            self._segments, self._rows = self._begun(), 0
        return len(at)

    def finish(self) -> None:
        """Make one index of the runs, of as few segments as the engine will."""
        self._payloads.close()
        self._segments.finish()
        self._part.pause()
        join_parts(self._folders, self._job.folder)
        merge_segments(self._job.folder, self._job.heap_bytes)
        places.write(self._job.folder)

    def _begun(self) -> Segments:
        folder = self._job.folder / f"run-{len(self._folders)}"
        fresh_folder(folder)
        self._folders.append(folder)
        return Segments(folder, self._job.heap_bytes, 1)


def work(job: PartJob, next_frame: Callable[[], Any]) -> Made:
    """Body of a worker: index frames until None comes."""
    fresh_folder(job.folder)
    runs, memos = Runs(job), Memos(job.frequencies)
    crowd = job.watch.counter()
    count = 0
    while (people := next_frame()) is not None:
        for made in slices(loaded(people), memos, show_very_restricted=job.show_very_restricted):
            found = worded(made)
            count += runs.add(Told.of_slice(made, found))
            if crowd is not None:
                crowd.count(found.words.head(found.keys))
    suspects = crowd.take() if crowd else []
    # What was kept of names and keys makes room for putting the runs together.
    del memos, crowd
    runs.finish()
    return Made(count, suspects)


def join_parts(parts: list[Path], location: Path) -> None:
    """Move the segments of part folders into one folder and name them all; the parts are removed."""
    metas = [json.loads((part / META).read_text("utf-8")) for part in parts]
    managed = sorted({name for part in parts for name in json.loads((part / MANAGED).read_text("utf-8"))})
    whole = metas[0]
    whole["segments"] = [segment for meta in metas for segment in meta["segments"]]
    whole["opstamp"] = max(meta["opstamp"] for meta in metas)
    for part in parts:
        for file in part.iterdir():
            if file.suffix not in (".json", ".lock"):
                file.rename(location / file.name)
        shutil.rmtree(part)
    (location / MANAGED).write_text(json.dumps(managed), "utf-8")
    # The folder is an index only from here on.
    (location / META).write_text(json.dumps(whole), "utf-8")
