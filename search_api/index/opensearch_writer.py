"""Filling one OpenSearch index from documents, one after the other.

Belongs here: batches, what is skipped when a filling goes on, the comparison at the end. Does not belong
here: retries (``sending.py``), several processes (``opensearch_bulk.py``), the index as a whole
(``opensearch_indices.py``).

A batch is sent while the next one is made, and recorded when the cluster has acknowledged it. A filling that
goes on makes the documents it has sent before without sending them, and compares their sum with what it
recorded: another sum means other documents, and then it begins anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from schemas.errors import PermanentFault
from search_api.index.opensearch_indices import Found, Indices
from search_api.index.opensearch_mapping import deletion_line, document_line
from search_api.index.opensearch_reader import Census, OpenSearchReader
from search_api.index.progress import Progress, Reached
from search_api.index.provider import SearchDocument
from search_api.index.sending import Outcome, Sender
from search_api.matching.rules import PdsRules

STREAM = 0
_MODULUS = 1 << 64


class Batches:
    """Lines gathered to requests of a size; one, or ``at_once``, are on their way while the next is gathered.

    ``acknowledged`` is called in a sending thread, in order, after the cluster has taken all lines before it.
    """

    def __init__(self, sender: Sender, size: int, at_once: int = 1) -> None:
        self._sender = sender
        self._size = size
        self._lines: list[bytes] = []
        self._bytes = 0
        self._at_once = at_once
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="ncrs-send")
        self._under_way: deque[Future[Outcome]] = deque()

    def add(self, line: bytes) -> bool:
        """Add a line; whether there is enough for a request."""
        self._lines.append(line)
        self._bytes += len(line)
        return self._bytes >= self._size

    def send(self, acknowledged: Callable[[], None] | None = None) -> None:
        """Send what was gathered, when there is room for a request; raises what an earlier one raised."""
        lines, self._lines, self._bytes = self._lines, [], 0
        while len(self._under_way) >= self._at_once:
            self._under_way.popleft().result()
        before = self._under_way[-1] if self._under_way else None
        self._under_way.append(self._pool.submit(self._deliver, lines, acknowledged, before))

    def wait(self) -> Outcome:
        """Wait for the requests under way; what became of the lines of the last."""
        outcome = Outcome()
        while self._under_way:
            outcome = self._under_way.popleft().result()
        return outcome

    def close(self) -> None:
        """End the sending thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _deliver(
        self, lines: list[bytes], acknowledged: Callable[[], None] | None, before: Future[Outcome] | None
    ) -> Outcome:
        outcome = self._sender.send(lines) if lines else Outcome()
        if before is not None:
            before.result()
        if acknowledged:
            acknowledged()
        return outcome


@dataclass(frozen=True)
class Work:
    """An index under construction and what is needed to fill it. ``copied``: from one that was finished."""

    indices: Indices
    found: Found
    progress: Progress
    batch_bytes: int
    rules: PdsRules
    copied: bool = False

    def reader(self) -> OpenSearchReader:
        """A reader of what was refreshed last."""
        return OpenSearchReader(self.indices.cluster, self.found.held, self.rules)

    def finish(self, expected: Census) -> None:
        """Compare what the index holds with what was sent, and finish it.

        Raises PermanentFault when they differ; the index then stays unfinished and cannot be opened.
        """
        self.indices.refresh(self.found.name)
        if not self.copied:
            # A quarter off the time of a search, for a tenth on that of the load. A copy has its base's one
            # large segment, and what few documents change is merged by the cluster as it sees fit.
            self.indices.merge(self.found)
        held = self.reader().census()
        if (held.documents, held.total % _MODULUS) != (expected.documents, expected.total % _MODULUS):
            self.progress.discard()
            raise PermanentFault(
                f"The index {self.found.name} holds {held.documents} documents where {expected.documents} were sent,"
                " or other ones.",
                remedy="Nothing was finished. Build again; it begins anew.",
            )
        self.indices.finish(self.found)


class OpenSearchWriter:
    """Adds and deletes documents in one new index; ``commit`` makes it complete."""

    def __init__(self, work: Work, held: Census, reached: Reached | None = None) -> None:
        self._work = work
        self._batches = Batches(work.indices.sender(work.found.name), work.batch_bytes)
        self._documents, self._total = held.documents, held.total
        self._sent = 0
        self._skip = reached or Reached(STREAM, "")
        self._unseen = False
        self._recording = True

    def add(self, documents: Iterable[SearchDocument]) -> int:
        """Add documents; returns how many. A document already there must be deleted first."""
        count = 0
        for document in documents:
            count += 1
            self._sent += 1
            self._documents += 1
            self._total = (self._total + document.fingerprint) % _MODULUS
            if self._sent <= self._skip.documents:
                self._passed()
            elif self._batches.add(document_line(document)):
                self._send()
        return count

    def delete(self, nhs_numbers: Sequence[int]) -> None:
        """Delete the documents added before this call; numbers that are not there do no harm."""
        self._send()
        self._batches.wait()
        if self._sent and self._recording:
            # What is held cannot be told by its place in a stream any more: a killed build begins anew.
            self._recording = False
            self._work.progress.discard()
        if self._unseen:
            self._work.indices.refresh(self._work.found.name)
        gone = self._work.reader().fingerprints(nhs_numbers)
        self._documents -= len(gone)
        self._total = (self._total - sum(gone.values())) % _MODULUS
        for number in gone:
            if self._batches.add(deletion_line(number)):
                self._batches.send()
        self._batches.send()
        self._unseen = True

    def commit(self) -> None:
        """Send everything, compare, and finish the index. The writer is then spent."""
        try:
            self._send()
            self._batches.wait()
        finally:
            self._batches.close()
        self._work.finish(Census(self._documents, self._total))
        self._work.progress.close()

    def _send(self) -> None:
        reached = Reached(STREAM, "", self._sent, self._sent, f"{self._total:x}")
        self._batches.send((lambda: self._work.progress.add(reached)) if self._recording else None)
        self._unseen = True

    def _passed(self) -> None:
        """At the end of what was sent before: it must have been the same."""
        if self._sent == self._skip.documents and f"{self._total:x}" != self._skip.total:
            self._work.progress.discard()
            raise PermanentFault(
                f"The documents of {self._work.found.name} are not those that its filling began with.",
                remedy="Build again; it begins anew.",
            )
