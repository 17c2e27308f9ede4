"""Building an embedded index in several processes: each makes segments, which are then put together.

Belongs here: the work of a process and the joining of their folders. Does not belong here: processes
(``workers.py``), what a document is (``documents.py``), branches (``embedded.py``; a delta is small).

A tantivy folder is a list of immutable segments and a small json file that names them; segments of
folders with one schema may stand side by side in one. The parent only hands frames out.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from search_api.index.crowding import NO_WATCH, Watch
from search_api.index.documents import slices
from search_api.index.embedded_writer import EmbeddedWriter, fresh_folder
from search_api.index.frequencies import Frequencies
from search_api.index.keying import keys
from search_api.index.memo import Memos
from search_api.index.pieces import People, loaded
from search_api.index.workers import Workers

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
        self.suspects = frozenset(key for part in made for key in part.suspects)
        return sum(part.documents for part in made)


def work(job: PartJob, next_frame: Callable[[], Any]) -> Made:
    """Body of a worker: index frames until None comes."""
    fresh_folder(job.folder)
    writer = EmbeddedWriter(job.folder, job.heap_bytes, threads=1, number=job.number)
    memos = Memos(job.frequencies)
    crowd = job.watch.counter()
    count = 0
    while (people := next_frame()) is not None:
        for made in slices(loaded(people), memos, show_very_restricted=job.show_very_restricted):
            keyed = keys(made.parts, len(made.numbers))
            count += writer.add_columns(made, keyed)
            if crowd is not None:
                crowd.count(keyed.explode(keep_nulls=False, empty_as_null=False))
    writer.commit()
    return Made(count, crowd.take() if crowd else [])


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
