"""Reconciling: replica and index of one generation hold the same people, with the same values.

Belongs here: the comparison (promises.md R8). Does not belong here: repairing, publishing.

Three comparisons, 0 differences allowed: documents counted in the replica and in the index; the
checksum of fingerprints, made anew from every row of the replica, against the index's; and a sample
of documents field by field, with invalidated numbers that must not be found.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from assets.index.build import IndexSite, document_stream, frequencies_of, index_place
from assets.index.fold import Recipe, fold
from assets.index.frames import count_people, document_frames, frame_of, processes_for
from assets.progress import counted
from assets.replica.adoption import unfit
from assets.replica.tables import INVALIDATED, PATIENT_TABLE
from assets.replica.workspace import Workspace
from schemas.errors import ReconcileError, Refused
from search_api import db
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
}


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


def reconcile(site: IndexSite, place: Workspace) -> Reconciled:
    """Compare, and mark the build reconciled when nothing differs. Raises Refused without an index."""
    state = place.state
    if state.index is None:
        raise Refused(f"Build {place.build_id} has no index yet.", remedy="Materialise the index asset first.")
    with (
        closing(db.open_reader(place.replica, site.settings.serve_memory_gb)) as connection,
        closing(site.engine.open(index_place(site.engine, place))) as reader,
    ):
        found = compare(site, connection, reader, frequencies_of(place), seed=state.plan.number)
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
    recipe = Recipe(frequencies, site.settings.show_very_restricted)
    frames = counted(COMPARING, document_frames(connection), count_people(connection))
    folded = fold(frames, recipe, processes_for(connection, site.settings))
    index_checksum = reader.checksum()
    sample = _sample(connection, seed, f"security <> '{INVALIDATED}'")
    absent = _sample(connection, seed, f"security = '{INVALIDATED}'")
    pairs = (
        (COUNTED, folded.documents == reader.count()),
        (FINGERPRINTS, folded.checksum == index_checksum),
        (SAMPLED, _same_fields(site, connection, reader, frequencies, sample)),
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


def _same_fields(
    site: IndexSite, connection: db.Connection, reader: IndexReader, frequencies: Frequencies, sample: list[int]
) -> bool:
    expected = {
        document.nhs_number: _fields(document)
        for document in document_stream(site.settings, [frame_of(connection, sample)], frequencies)
    }
    return expected == {number: _fields(document) for number, document in reader.find(sample).items()}


def _fields(document: SearchDocument) -> tuple[object, ...]:
    """What engines store; keys and terms are covered by the fingerprint of the content they are made of."""
    return document.open, document.numbers, document.payload, document.fingerprint
