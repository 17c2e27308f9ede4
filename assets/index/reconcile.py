"""Reconciling: replica and index of one generation hold the same people, with the same values.

Belongs here: the comparison (promises.md R8), and keeping the crowded keys of an index built from
nothing, which come to light in the same pass (``search_api/index/crowding.py``). Does not belong here:
repairing, publishing.

Three comparisons, 0 differences allowed: documents counted in the replica and in the index; the
checksum of fingerprints, made anew from every row of the replica, against the index's; and a sample
of documents field by field, with invalidated numbers that must not be found. Where a cluster holds the
records as well, their number and checksum besides.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace

from assets.index.build import IndexSite, document_stream, frequencies_of, index_place
from assets.index.fold import Folded, Recipe, fold
from assets.index.frames import count_people, document_frames, frame_of, processes_for
from assets.index.records import COMPARISONS as RECORDS_COMPARISONS
from assets.index.records import NONE_COMPARED, ComparedRecords, compare_records
from assets.progress import counted
from assets.replica.adoption import unfit
from assets.replica.tables import INVALIDATED, PATIENT_TABLE
from assets.replica.workspace import Workspace
from schemas.errors import ReconcileError, Refused
from schemas.generation import FREQUENCIES_NAME
from search_api import db
from search_api.index import crowding
from search_api.index.frequencies import Frequencies
from search_api.index.provider import IndexReader, SearchDocument

COMPARING = "Comparing index and replica"
SAMPLE = 1_000
COUNTED, FINGERPRINTS = "documents_counted", "fingerprints_equal"
SAMPLED, ABSENT = "sampled_documents_equal", "invalidated_people_absent"
COMPARISONS = {
    COUNTED: "As many documents in the index as the replica has people to be found.",
    FINGERPRINTS: "Checksum over the fingerprints of every document, made anew from the replica.",
    SAMPLED: "1,000 sampled documents are equal, field by field.",
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
        closing(db.open_reader(place.replica, site.settings.serve_memory_gb)) as connection,
        closing(site.engine.open(index_place(site.engine, place))) as reader,
    ):
        sides = Sides(site, connection, reader, frequencies_of(place))
        floor = crowding.floor_of(site.settings.key_cap) if state.plan.fresh_index else 0
        folded = _folded(sides, floor)
        found = _compared(sides, folded, seed=state.plan.number)
        records = compare_records(site.records, connection, state) if site.records else NONE_COMPARED
        found = replace(found, records=records, differences=(*found.differences, *records.differences))
        if floor and not found.differences:
            whole = crowding.counted(sides.frequencies, folded.suspects, reader, floor)
            whole.save(place.generation / FREQUENCIES_NAME)
    done = state.model_copy(update={"reconciled": not found.differences})
    place.save(unfit(done) if found.differences else done)
    return found


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
    return _compared(sides, _folded(sides, 0), seed=seed)


def _folded(sides: Sides, floor: int) -> Folded:
    """The whole replica; with a floor also keys that may be crowded."""
    settings, connection = sides.site.settings, sides.connection
    recipe = Recipe(sides.frequencies, settings.show_very_restricted, floor)
    frames = counted(COMPARING, document_frames(connection), count_people(connection))
    return fold(frames, recipe, processes_for(connection, settings))


def _compared(sides: Sides, folded: Folded, *, seed: int) -> Reconciled:
    connection, reader = sides.connection, sides.reader
    index_checksum = reader.checksum()
    sample = _sample(connection, seed, f"security <> '{INVALIDATED}'")
    absent = _sample(connection, seed, f"security = '{INVALIDATED}'")
    pairs = (
        (COUNTED, folded.documents == reader.count()),
        (FINGERPRINTS, folded.checksum == index_checksum),
        (SAMPLED, _same_fields(sides, sample)),
        (ABSENT, not reader.find(absent)),
    )
    return Reconciled(
        replica_documents=folded.documents,
        index_documents=reader.count(),
        replica_checksum=folded.checksum,
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


def _same_fields(sides: Sides, sample: list[int]) -> bool:
    frames = [frame_of(sides.connection, sample)]
    expected = {
        document.nhs_number: _fields(document)
        for document in document_stream(sides.site.settings, frames, sides.frequencies)
    }
    return expected == {number: _fields(document) for number, document in sides.reader.find(sample).items()}


def _fields(document: SearchDocument) -> tuple[object, ...]:
    """What engines store; keys and terms are covered by the fingerprint of the content they are made of."""
    return document.open, document.numbers, document.payload, document.fingerprint
