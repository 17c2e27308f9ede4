"""Filling the index of a generation's records from its replica, in full or by what changed.

Belongs here: which index is filled, what is skipped when a filling goes on, the comparison at the end.
Does not belong here: rows (``records_rows.py``), the form of documents (``records_form.py``), batches and
retries (``search_api/index/sending.py``), when a generation is built (``assets``).

A filling that was cut short goes on after the last document acknowledged, when it is of the same replica;
a half-made copy of a base is made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from schemas.errors import PermanentFault
from schemas.generation import RecordsState
from search_api import db
from search_api.cluster import records_form as form
from search_api.cluster import records_rows as rows
from search_api.cluster.client import Cluster
from search_api.cluster.records import ClusterRecords, check_records, open_records
from search_api.cluster.records_form import Document
from search_api.cluster.records_rows import Before
from search_api.cluster.shared import cluster_of
from search_api.index.opensearch_indices import Found, Indices
from search_api.index.opensearch_places import Places
from search_api.index.opensearch_writer import STREAM, Batches
from search_api.index.progress import Progress, Reached
from search_api.index.provider import IndexPlace
from search_api.settings import Settings

_MODULUS = 1 << 64
# Requests on their way: a node packs the records of one while it takes in the next.
_AT_ONCE = 2


@dataclass(frozen=True)
class BaseRecords:
    """The records that a delta is made on: their index, and the replica it was made from."""

    state: RecordsState
    replica: Path


class RecordsStore:
    """The records of generations as indexes of one cluster."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster = cluster
        self._settings = settings
        self._places = Places(Indices(cluster, settings, form.FORM), settings.home)

    def new_location(self, build: str) -> str:
        """The concrete index name of a build."""
        return f"{self._settings.opensearch_prefix}{form.CONTENT}-{build}"

    def write(self, at: IndexPlace, connection: db.Connection, replica: str) -> RecordsState:
        """All records of a settled replica, into a new index or the unfinished one of the same replica.

        ``replica`` tells one replica from another (the checksums of its tables). The connection is used for
        nothing else meanwhile. Raises PermanentFault for what the cluster will never take and for a count or
        checksum that differs at the end, ClusterUnavailable when it takes nothing for too long.
        """
        counted = rows.counted(connection)
        found, progress = self._places.begin(at, replica)
        with self._filling(found, progress) as filling:
            filling.skip(progress.reached().get(STREAM))
            filling.add(rows.documents(connection))
        return self._finish(at, filling, counted)

    def branch(self, at: IndexPlace, connection: db.Connection, base: BaseRecords) -> RecordsState:
        """A copy of the base's records with what differs between the two replicas replaced.

        Raises as ``write`` does, and GenerationError when the base is gone.
        """
        counted = rows.counted(connection)
        with rows.attached(connection, base.replica):
            difference = rows.difference(connection)
        base_place = IndexPlace(at.folder, base.state.location, base.state.uuid)
        found, progress = self._places.copy(base_place, at)
        with self._filling(found, progress) as filling:
            filling.begin_with(base.state)
            filling.replace(difference.before, difference.after(connection))
        return self._finish(at, filling, counted)

    def open(self, state: RecordsState) -> ClusterRecords:
        """A reader. Raises GenerationError for what is missing, unfinished, or not the one the state means."""
        return open_records(self._cluster, self._settings, state)

    def verify(self, state: RecordsState) -> None:
        """Count and checksum are those of the state, added up anew. Raises GenerationError."""
        check_records(self.open(state), state)

    def uuid(self, at: IndexPlace) -> str:
        """The uuid the cluster gave this index. Raises GenerationError when it is not there."""
        return self._places.uuid(at)

    def remove(self, at: IndexPlace) -> None:
        """Delete the index, if this installation made it; nothing when it is gone."""
        self._places.remove(at)

    @contextmanager
    def _filling(self, found: Found, progress: Progress) -> Iterator[_Filling]:
        sender = self._places.indices.sender(found.name)
        filling = _Filling(found, progress, Batches(sender, self._settings.opensearch_bulk_bytes, _AT_ONCE))
        try:
            yield filling
            filling.end()
        finally:
            filling.close()

    def _finish(self, at: IndexPlace, filling: _Filling, counted: dict[str, int]) -> RecordsState:
        """Compare what the index holds with what was sent, and close it to writing."""
        found = filling.found
        routes = found.meta.routes if found.meta else ()
        self._places.indices.sender(found.name).send([form.counted_line(counted, routes[form.shard_of(routes, 0)])])
        self._places.indices.refresh(found.name)
        state = RecordsState(
            engine=form.ENGINE,
            location=at.location,
            uuid=found.uuid,
            documents=filling.documents,
            checksum=f"{filling.total:016x}",
        )
        records = ClusterRecords(self._cluster, found)
        if (records.documents(), records.checksum()) != (state.documents, state.checksum):
            filling.progress.discard()
            raise PermanentFault(
                f"The index {at.location} holds {records.documents()} records where {state.documents} were sent,"
                " or other ones.",
                remedy="Nothing was finished. Build again; it begins anew.",
            )
        self._places.indices.finish(found)
        return state


class _Filling:
    """Counts and adds up what is sent, and leaves out what was acknowledged before."""

    def __init__(self, found: Found, progress: Progress, batches: Batches) -> None:
        self.found = found
        self.progress = progress
        self.documents = 0
        self.total = 0
        self._batches = batches
        self._routes: Sequence[str] = found.meta.routes if found.meta else ()
        self._skip = Reached(STREAM, "")

    def skip(self, reached: Reached | None) -> None:
        """Leave out as many documents as were acknowledged."""
        self._skip = reached or self._skip

    def begin_with(self, state: RecordsState) -> None:
        """The index holds this already."""
        self.documents, self.total = state.documents, int(state.checksum, 16)

    def add(self, documents: Iterable[Document]) -> None:
        """Send documents that are new, and record how far it came."""
        for document in documents:
            self.documents += 1
            self.total = (self.total + document.fingerprint) % _MODULUS
            if self.documents <= self._skip.documents:
                self._passed()
            elif self._batches.add(document.line(self._routes)):
                self._send()
        self._send()

    def replace(self, before: Sequence[Before], after: Iterable[Document]) -> None:
        """Write what stands now, and take out what stands no more."""
        written: set[str] = set()
        for document in after:
            written.add(document.id)
            self.total = (self.total + document.fingerprint) % _MODULUS
            if self._batches.add(document.line(self._routes)):
                self._batches.send()
        for gone in before:
            self.total = (self.total - gone.fingerprint) % _MODULUS
            line = form.deletion_line(gone.id, self._routes[form.shard_of(self._routes, gone.number)])
            if gone.id not in written and self._batches.add(line):
                self._batches.send()
        self.documents += len(written) - len(before)
        self._batches.send()

    def end(self) -> None:
        """Wait for the last request."""
        self._batches.wait()

    def close(self) -> None:
        """Let go of thread and file."""
        self._batches.close()
        self.progress.close()

    def _send(self) -> None:
        reached = Reached(STREAM, "", self.documents, self.documents, f"{self.total:x}")
        self._batches.send(lambda: self.progress.add(reached))

    def _passed(self) -> None:
        """At the end of what was sent before: it must have been the same."""
        if self.documents == self._skip.documents and f"{self.total:x}" != self._skip.total:
            self.progress.discard()
            raise PermanentFault(
                f"The records of {self.found.name} are not those that its filling began with.",
                remedy="Build again; it begins anew.",
            )


def records_store(settings: Settings) -> RecordsStore | None:
    """The store of records that the settings name; None where they stay in each generation's own file."""
    if settings.records == "duckdb" or settings.index == "embedded":
        return None
    return RecordsStore(cluster_of(settings), settings)


def replica_identity(checksums: Sequence[str]) -> str:
    """Tells one settled replica from another, by the checksums of its tables."""
    return sha256("".join(checksums).encode()).hexdigest()[:16]
