"""The records of a generation in a cluster: written beside the index, compared with the replica.

Belongs here: whether they are written in full or on the base's, and the two comparisons. Does not
belong here: their form, sending (``search_api/cluster``), the index.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assets.progress import counted, watched
from assets.replica.tables import CHANGE_TABLE, PATIENT_TABLE, SUMMARY_TABLE
from assets.replica.workspace import BuildState, Workspace
from schemas.generation import REPLICA_NAME, RecordsState
from search_api import db
from search_api import generation_files as files
from search_api.cluster.records_rows import documents
from search_api.cluster.records_writer import BaseRecords, RecordsStore, replica_identity
from search_api.index.progress import acknowledged
from search_api.index.provider import IndexPlace, checksum_of

WRITING, COMPARING = "Writing the records", "Comparing records and replica"
COUNTED, FINGERPRINTS = "records_counted", "records_fingerprints_equal"
COMPARISONS = {
    COUNTED: "As many records in the cluster as in the replica, where it holds them.",
    FINGERPRINTS: "Checksum over every record in the cluster, made anew from the replica.",
}


@dataclass(frozen=True)
class ComparedRecords:
    """What was compared; all zero where a cluster holds no records."""

    replica_records: int = 0
    cluster_records: int = 0
    replica_checksum: str = ""
    cluster_checksum: str = ""

    @property
    def differences(self) -> tuple[str, ...]:
        """The comparisons that failed."""
        pairs = (
            (COUNTED, self.replica_records == self.cluster_records),
            (FINGERPRINTS, self.replica_checksum == self.cluster_checksum),
        )
        return tuple(name for name, equal in pairs if not equal)


NONE_COMPARED = ComparedRecords()


def build_records(store: RecordsStore, generations: Path, place: Workspace, connection: db.Connection) -> RecordsState:
    """Write the records of a settled replica: on a copy of the base's, or all of them."""
    state = place.state
    at = records_place(store, place)
    if not state.plan.fresh_records:
        base = generations / str(state.plan.base)
        held = files.read_manifest(base).records
        if held is not None:
            return store.branch(at, connection, BaseRecords(held, base / REPLICA_NAME))
    with watched(WRITING, lambda: acknowledged(at), _rows(state)):
        return store.write(at, connection, replica_identity([table.checksum for table in state.tables]))


def records_place(store: RecordsStore, place: Workspace) -> IndexPlace:
    """Where the records of a build are made; the same each time the build goes on."""
    return IndexPlace(place.generation, store.new_location(place.state.cluster_name))


def compare_records(store: RecordsStore, connection: db.Connection, state: BuildState) -> ComparedRecords:
    """Count and sum the records of the replica anew, and those that the cluster has now."""
    if state.records is None:
        return NONE_COMPARED
    count = total = 0
    for document in counted(COMPARING, documents(connection), _rows(state), lambda _: 1):
        count += 1
        total += document.fingerprint
    found = store.open(state.records)
    return ComparedRecords(count, found.documents(), checksum_of([total]), found.checksum())


def _rows(state: BuildState) -> int:
    """Rows that become records."""
    return sum(table.rows for table in state.tables if table.table in (PATIENT_TABLE, CHANGE_TABLE, SUMMARY_TABLE))
