"""Reconciling: replica and index of one generation hold the same people, with the same values.

Belongs here: the comparison (promises.md R8). Does not belong here: making every document anew
(``deep.py``), repairing, publishing.

Three comparisons, 0 differences allowed: documents counted in the replica and in the index; the sum of
the hashes of the replica's rows against the sum of those that the documents carry; and a sample of
documents made anew and compared field by field, with invalidated numbers that must not be found, and
with rows that must say, unpacked, what they said when they were packed. Where a cluster holds the records
as well, their number and checksum besides.

The sums show that each document was made of a row that the replica has now, none missing, none twice,
none left over from before. They do not show that it was made well: for that are the sample, the hashes of
the files, the tests, and ``ncrs verify --deep`` (docs/decisions/0022).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace

from assets.index.build import IndexSite, document_stream, frequencies_of, index_place
from assets.index.frames import expected, frame_of
from assets.index.records import COMPARISONS as RECORDS_COMPARISONS
from assets.index.records import NONE_COMPARED, ComparedRecords, compare_records
from assets.replica.adoption import unfit
from assets.replica.checksums import misprinted
from assets.replica.tables import INVALIDATED, PATIENT, PATIENT_TABLE
from assets.replica.workspace import Workspace
from schemas.errors import ReconcileError, Refused
from search_api import db
from search_api.index.frequencies import Frequencies
from search_api.index.provider import IndexReader, SearchDocument

SAMPLE = 1_000
COUNTED, FINGERPRINTS = "documents_counted", "fingerprints_equal"
SAMPLED, ABSENT = "sampled_documents_equal", "invalidated_people_absent"
COMPARISONS = {
    COUNTED: "As many documents in the index as the replica has people to be found.",
    FINGERPRINTS: "Each document carries the hash of a row that the replica has; their sums are equal.",
    SAMPLED: "1,000 sampled documents, made anew, are equal field by field, and their rows are as they were packed.",
    ABSENT: "Up to 1,000 sampled invalidated people are not in the index.",
    **RECORDS_COMPARISONS,
}


@dataclass(frozen=True)
class Sides:
    """What is compared: a replica and an index, and with what the index was made."""

    site: IndexSite
    connection: db.Connection
    reader: IndexReader
    frequencies: Frequencies


@dataclass(frozen=True)
class Reconciled:
    """What was compared; equal when ``differences`` is empty. Counts and codes, never a value."""

    replica_documents: int
    index_documents: int
    replica_checksum: str
    index_checksum: str
    sampled: int
    absent_sampled: int
    differences: tuple[str, ...]
    records: ComparedRecords = NONE_COMPARED


def reconcile(site: IndexSite, place: Workspace) -> Reconciled:
    """Compare, and mark the build reconciled when nothing differs. Raises Refused without an index."""
    state = place.state
    if state.index is None:
        raise Refused(f"Build {place.build_id} has no index yet.", remedy="Materialise the index asset first.")
    with (
        closing(_scan(site, place)) as connection,
        closing(site.engine.open(index_place(site.engine, place))) as reader,
    ):
        found = compare(site, connection, reader, frequencies_of(place), seed=state.plan.number)
        records = compare_records(site.records, connection, state) if site.records else NONE_COMPARED
        found = replace(found, records=records, differences=(*found.differences, *records.differences))
    done = state.model_copy(update={"reconciled": not found.differences})
    place.save(unfit(done) if found.differences else done)
    return found


def _scan(site: IndexSite, place: Workspace) -> db.Connection:
    return db.open_scan(place.replica, site.settings.build_memory_gb, site.settings.build_threads)


def require_equal(found: Reconciled) -> None:
    """Raise ReconcileError, naming the comparisons that failed."""
    if found.differences:
        raise ReconcileError(
            f"Replica and index differ: {', '.join(found.differences)}.",
            remedy="Nothing was published. Build from nothing with ncrs build --full; report this as a fault.",
        )


def compare(
    site: IndexSite, connection: db.Connection, reader: IndexReader, frequencies: Frequencies, *, seed: int
) -> Reconciled:
    """The three comparisons; ``seed`` chooses the sample."""
    sides = Sides(site, connection, reader, frequencies)
    documents, checksum = expected(connection, show_very_restricted=site.settings.show_very_restricted)
    index_checksum = reader.checksum()
    sample = _sample(connection, seed, f"security <> '{INVALIDATED}'")
    absent = _sample(connection, seed, f"security = '{INVALIDATED}'")
    pairs = (
        (COUNTED, documents == reader.count()),
        (FINGERPRINTS, checksum == index_checksum),
        (SAMPLED, _same_fields(sides, sample) and not _misprinted(connection, sample)),
        (ABSENT, not reader.find(absent)),
    )
    return Reconciled(
        replica_documents=documents,
        index_documents=reader.count(),
        replica_checksum=checksum,
        index_checksum=index_checksum,
        sampled=len(sample),
        absent_sampled=len(absent),
        differences=tuple(name for name, equal in pairs if not equal),
    )


def _sample(connection: db.Connection, seed: int, condition: str) -> list[int]:
    found = db.rows(
        connection,
        f'SELECT nhs_number FROM "{PATIENT_TABLE}" WHERE {condition} ORDER BY hash(nhs_number, ?) LIMIT {SAMPLE}',
        [seed],
    )
    return [row[0] for row in found]


def _misprinted(connection: db.Connection, sample: list[int]) -> int:
    listed = ", ".join(str(int(number)) for number in sample) or "NULL"
    return misprinted(connection, PATIENT, f"nhs_number IN ({listed})")


def _same_fields(sides: Sides, sample: list[int]) -> bool:
    frames = [frame_of(sides.connection, sample)]
    expected = {
        document.nhs_number: content_of(document)
        for document in document_stream(sides.site.settings, frames, sides.frequencies)
    }
    return expected == {number: content_of(document) for number, document in sides.reader.find(sample).items()}


def content_of(document: SearchDocument) -> tuple[object, ...]:
    """What engines store; keys and terms are covered by the fingerprint of the content they are made of."""
    return document.open, document.numbers, document.payload, document.fingerprint
