"""Building an embedded index in several processes: each makes segments, which are then put together.

Belongs here: the worker processes and the joining of their folders. Does not belong here: what a
document is (``documents.py``), branches (``embedded.py``; a delta is small).

A tantivy folder is a list of immutable segments and a small json file that names them; segments of
folders with one schema may stand side by side in one. The parent only hands frames out.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import shutil
import threading
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import polars as pl

from schemas.errors import NcrsError, PermanentFault
from search_api.index.documents import documents
from search_api.index.embedded_writer import EmbeddedWriter, fresh_folder
from search_api.index.frequencies import Frequencies

META, MANAGED = "meta.json", ".managed.json"
WAITING_FRAMES = 2
POLL_SECONDS = 1.0


@dataclass(frozen=True)
class PartJob:
    """What one worker is told: where to write, with what."""

    folder: Path
    frequencies: Frequencies
    show_very_restricted: bool
    heap_bytes: int


class ParallelWriter:
    """Takes frames of the replica (``documents.COLUMNS``) and builds one index folder from them.

    ``commit`` must be called once; until then the folder holds only parts.
    """

    def __init__(self, location: Path, job: PartJob, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._location = location
        self._frames: Any = context.Queue(maxsize=WAITING_FRAMES)
        self._results: Any = context.Queue()
        self._jobs = [
            PartJob(location / f"part-{at}", job.frequencies, job.show_very_restricted, job.heap_bytes)
            for at in range(processes)
        ]
        self._workers: list[BaseProcess] = [
            context.Process(target=work, args=(each, self._frames, self._results), daemon=True) for each in self._jobs
        ]
        for worker in self._workers:
            worker.start()

    def add_frame(self, frame: pl.DataFrame) -> None:
        """Hand a frame to the next free worker; waits while all are busy.

        Raises:
            PermanentFault: a worker ended early.
        """
        self._put(frame)

    def commit(self) -> int:
        """Finish every part and put them together; the number of documents.

        Raises:
            PermanentFault: a worker failed; nothing usable was written.
        """
        for _ in self._workers:
            self._put(None)
        results = [self._result() for _ in self._workers]
        for worker in self._workers:
            worker.join()
        failed = [error for _, error in results if error]
        if failed:
            raise PermanentFault(f"A part of the index could not be built: {failed[0]}.", remedy="Build again.")
        join_parts([job.folder for job in self._jobs], self._location)
        return sum(count for count, _ in results)

    def _put(self, item: pl.DataFrame | None) -> None:
        while True:
            try:
                self._frames.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                self._check_alive()
            else:
                return

    def _result(self) -> tuple[int, str]:
        while True:
            try:
                count, error = self._results.get(timeout=POLL_SECONDS)
            except queue.Empty:
                self._check_alive(ended_well=True)
            else:
                return count, error

    def _check_alive(self, *, ended_well: bool = False) -> None:
        for worker in self._workers:
            if worker.exitcode is not None and (worker.exitcode != 0 or not ended_well):
                self._stop()
                raise PermanentFault(
                    f"A process that builds the index ended with code {worker.exitcode}.",
                    remedy="Look for lack of memory, then build again.",
                )

    def _stop(self) -> None:
        for worker in self._workers:
            worker.terminate()


def end_with_parent() -> None:
    """In a worker: end when the parent does, be it killed; otherwise it would wait for frames for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def work(job: PartJob, frames: Any, results: Any) -> None:
    """Body of a worker: index frames until None comes, then report the count or what went wrong."""
    end_with_parent()
    try:
        fresh_folder(job.folder)
        writer = EmbeddedWriter(job.folder, job.heap_bytes, threads=1)
        count = 0
        while (frame := frames.get()) is not None:
            made = documents(frame, job.frequencies, show_very_restricted=job.show_very_restricted)
            count += writer.add(made)
        writer.commit()
    except (NcrsError, OSError, ValueError, pl.exceptions.PolarsError) as error:
        results.put((0, type(error).__name__))
    else:
        results.put((count, ""))


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
