"""Filling one OpenSearch index from whole frames with several processes, each making documents and sending them.

Belongs here: which part of which frame is left to do, the work of a process. Does not belong here: processes
(``workers.py``), batches and retries (``opensearch_writer.py``, ``sending.py``), what is recorded (``progress.py``).

A build that goes on finds in the record which frames are whole: of those no document is made. A frame that was
cut short goes on after the last row whose document was acknowledged.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from schemas.errors import PermanentFault
from search_api.cluster.client import Cluster
from search_api.index.documents import documents
from search_api.index.frequencies import Frequencies
from search_api.index.opensearch_mapping import document_line
from search_api.index.opensearch_reader import Census
from search_api.index.opensearch_writer import Batches, Work
from search_api.index.pieces import People, loaded
from search_api.index.progress import Progress, Reached
from search_api.index.provider import SearchDocument
from search_api.index.sending import Sender
from search_api.index.workers import Workers
from search_api.settings import Settings

_MODULUS = 1 << 64


@dataclass(frozen=True)
class SendJob:
    """What one process is told: where to send, with what to make documents, where to record."""

    settings: Settings
    alias: str
    progress: Path
    frequencies: Frequencies
    show_very_restricted: bool


class Piece(NamedTuple):
    """What is left of a frame, and how far it had come before."""

    reached: Reached
    frame: pl.DataFrame


class OpenSearchBulk:
    """Takes frames of the replica (``documents.COLUMNS``), always the same ones in the same order for one build,
    and fills one index from them. ``commit`` must be called once. Keys are not watched."""

    suspects: frozenset[str] | None = None

    def __init__(self, work: Work, job: SendJob, processes: int) -> None:
        self._work = work
        self._job = job
        self._processes = max(processes, 1)
        self._workers: Workers | None = None
        self._reached = work.progress.reached()
        self._frames: list[tuple[str, int]] = []

    def add_frame(self, frame: People) -> None:
        """Hand what is left of a frame to the next free process; waits while all are busy.

        Raises PermanentFault for what the cluster will never take, ClusterUnavailable when its patience is at
        its end; the build can then be gone on with.
        """
        frame = loaded(frame)
        number, digest = len(self._frames), _digest(frame)
        self._frames.append((digest, frame.height))
        reached = self._reached.get(number, Reached(number, digest))
        if reached.digest != digest:
            raise self._other_people()
        if reached.rows < frame.height:
            self._started().hand(Piece(reached, frame.slice(reached.rows)))

    def commit(self) -> int:
        """Wait for every process, compare what the index holds with what was sent, and finish it; the number of
        documents. Raises as ``add_frame``."""
        if self._workers is not None:
            self._workers.finish()
        reached = self._work.progress.reached()
        if [(each.digest, each.rows) for _, each in sorted(reached.items())] != self._frames:
            raise self._other_people()
        count = sum(each.documents for each in reached.values())
        self._work.finish(Census(count, sum(int(each.total, 16) for each in reached.values())))
        return count

    def _started(self) -> Workers:
        """No process is started before there is work for it."""
        if self._workers is None:
            self._workers = Workers(send_pieces, [self._job] * self._processes)
        return self._workers

    def _other_people(self) -> PermanentFault:
        if self._workers is not None:
            self._workers.stop()
        self._work.progress.discard()
        return PermanentFault(
            f"The people of {self._work.found.name} are not those that its filling began with.",
            remedy="Build again; it begins anew.",
        )


def send_pieces(job: SendJob, next_piece: Callable[[], Any]) -> int:
    """Body of a process: make and send the documents of pieces until None comes; how many there were."""
    # Documents hold no cycles; what else does is collected once a piece.
    gc.disable()
    progress, count = Progress(job.progress), 0
    with closing(Cluster(job.settings)) as cluster:
        sender = Sender(cluster, job.alias, job.settings.opensearch_bulk_patience)
        with closing(Batches(sender, job.settings.opensearch_bulk_bytes)) as batches:
            while (piece := next_piece()) is not None:
                count += _send_piece(job, piece, batches, progress)
                gc.collect()
            batches.wait()
    progress.close()
    return count


def _send_piece(job: SendJob, piece: Piece, batches: Batches, progress: Progress) -> int:
    """Send the documents of one piece; each batch's place in the frame is recorded when it is acknowledged."""
    reached, total, count = piece.reached, int(piece.reached.total, 16), 0
    made = documents(piece.frame, job.frequencies, show_very_restricted=job.show_very_restricted)
    for row, document in _with_rows(made, piece.frame["nhs_number"].to_list()):
        count += 1
        total = (total + document.fingerprint) % _MODULUS
        if batches.add(document_line(document)):
            _send(batches, progress, _moved(reached, row, count, total))
    _send(batches, progress, _moved(reached, piece.frame.height, count, total))
    return count


def _send(batches: Batches, progress: Progress, reached: Reached) -> None:
    batches.send(lambda: progress.add(reached))


def _moved(reached: Reached, rows: int, count: int, total: int) -> Reached:
    return replace(reached, rows=reached.rows + rows, documents=reached.documents + count, total=f"{total:x}")


def _with_rows(made: Iterator[SearchDocument], numbers: list[int]) -> Iterator[tuple[int, SearchDocument]]:
    """Each document with the rows of the frame that are done once it is: not every row makes one."""
    at = 0
    for document in made:
        while numbers[at] != document.nhs_number:
            at += 1
        at += 1
        yield at, document


def _digest(frame: pl.DataFrame) -> str:
    """Tells the people of one frame from those of another."""
    numbers = frame["nhs_number"].cast(pl.Int64).to_numpy()
    return blake2b(numbers.tobytes(), digest_size=8).hexdigest()
