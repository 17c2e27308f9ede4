"""Building the index of a generation from its own replica, in full or by what changed.

Belongs here: which documents are written, name frequencies, the index's state. Does not belong
here: what is in a document, engines (``search_api/index``), comparing index and replica
(``reconcile.py``).

Name frequencies are counted when the index is built from nothing and carried along with each
generation built on it: a document's payload holds steps of them, so all documents of one index must
come from one count. They are no part of the fingerprint, so a full and a branch have equal checksums.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import polars as pl

from assets.files import copy_checked, remove_folder
from assets.index.extracts import Extract, Piece, name_pieces, others, pieces
from assets.index.fold import Recipe, suspects
from assets.index.frames import changed_frames, count_people, document_frames, name_frames, processes_for
from assets.index.records import build_records
from assets.progress import counted
from assets.replica.tables import CHANGED_TABLE, PATIENT
from assets.replica.workspace import BuildState, Workspace, parts_of
from assets.stores import Stores
from schemas.generation import FREQUENCIES_NAME, IndexState
from search_api import db
from search_api import generation_files as files
from search_api.cluster.records_writer import RecordsStore
from search_api.index import crowding
from search_api.index.documents import documents
from search_api.index.frequencies import Frequencies
from search_api.index.pieces import loaded
from search_api.index.provider import BulkEngine, IndexEngine, IndexPlace, SearchDocument
from search_api.matching.weights import FrequencyRule, Weights
from search_api.settings import Settings

COUNTING, WRITING = "Counting names", "Writing the search index"
WATCHING = "Looking for crowded keys"
_DELETE_ROWS = 10_000
# The replica is only read through here; memory is for the processes that make documents.
_DATABASE_GB = 1.0


@dataclass(frozen=True)
class IndexSite:
    """With what an index is built: settings, engine, and where generations and extracts lie.

    ``records``: where the records go besides, None when nowhere.
    """

    settings: Settings
    engine: IndexEngine
    stores: Stores
    records: RecordsStore | None = None

    @property
    def generations(self) -> Path:
        """The folder of published generations."""
        return self.stores.generations


@dataclass(frozen=True)
class Everybody:
    """Whoever is to be found in a settled replica: of ``extracts`` from their files, of any other from their records."""

    connection: db.Connection
    extracts: tuple[Extract, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return count_people(self.connection)

    def frames(self) -> Iterator[pl.DataFrame | Piece]:
        """In pieces, always the same ones in the same order."""
        yield from pieces(self.connection, self.extracts)
        yield from document_frames(self.connection, where=others(self.extracts))

    def names(self) -> Iterator[pl.DataFrame]:
        """Their names alone."""
        yield from name_pieces(self.connection, self.extracts)
        yield from name_frames(self.connection, where=others(self.extracts))


def build_index(site: IndexSite, place: Workspace) -> BuildState:
    """Build the index of a settled replica; the new state of the build.

    On a base it is a branch of the base's index with the changed numbers replaced. Which those are is
    forgotten only once the index is on record: a build killed before can do it again. The records follow
    where a cluster is to hold them.
    """
    with place.database(site.settings, _DATABASE_GB) as connection:
        if place.state.index is None:
            place.save(_indexed(site, place, connection))
        if site.records is not None and place.state.records is None:
            records = build_records(site.records, site.generations, place, connection)
            place.save(place.state.model_copy(update={"records": records}))
        connection.execute(f'DROP TABLE IF EXISTS "{CHANGED_TABLE}"')
    return place.state


def _indexed(site: IndexSite, place: Workspace, connection: db.Connection) -> BuildState:
    """Write the index, and look at what was written."""
    state = place.state
    at = index_place(site.engine, place)
    # What a killed build left of an index in a folder; an engine elsewhere knows itself where it stopped.
    remove_folder(at.folder / at.location)
    written = _in_full(site, place, connection) if state.plan.fresh_index else _branch(site, place, connection)
    with closing(site.engine.open(at)) as reader:
        index = IndexState(
            engine=site.engine.name,
            location=at.location,
            documents=reader.count(),
            checksum=reader.checksum(),
            uuid=site.engine.uuid(at),
        )
    return state.model_copy(update={"index": index, "documents_changed": written})


def index_place(engine: IndexEngine, place: Workspace) -> IndexPlace:
    """Where the index of a build is made; the same each time the build goes on."""
    state = place.state
    if state.index is not None:
        return IndexPlace(place.generation, state.index.location, state.index.uuid)
    return IndexPlace(place.generation, engine.new_location(state.cluster_name))


def frequencies_of(place: Workspace) -> Frequencies:
    """The name frequencies of a build, under the weights it is for. Raises GenerationError when they are not there."""
    return replace(Frequencies.load(place.generation / FREQUENCIES_NAME), rule=frequency_rule(place))


def frequency_rule(place: Workspace) -> FrequencyRule | None:
    """How the weights that this build is for reckon a name's share."""
    pinned = place.state.plan.versions.weights
    return Weights.parse(pinned.content).frequency if pinned else None


def document_stream(
    settings: Settings, frames: Iterable[pl.DataFrame], frequencies: Frequencies
) -> Iterator[SearchDocument]:
    """The documents of these frames, as this installation indexes them."""
    for frame in frames:
        yield from documents(frame, frequencies, show_very_restricted=settings.show_very_restricted)


def _in_full(site: IndexSite, place: Workspace, connection: db.Connection) -> int:
    """Names counted, every document written, crowded keys counted."""
    people = Everybody(connection, tuple(_extracts(site.stores, place.state)))
    counts = Frequencies.build(counted(COUNTING, people.names(), people.count))
    frequencies = replace(counts, rule=frequency_rule(place))
    recipe = Recipe(frequencies, site.settings.show_very_restricted, crowding.floor_of(site.settings.key_cap))
    written, found = _filled(site, place, people, recipe)
    if found is None:
        frames = counted(WATCHING, people.frames(), people.count)
        found = suspects(frames, recipe, processes_for(connection, site.settings))
    with closing(site.engine.open(index_place(site.engine, place))) as reader:
        whole = crowding.counted(frequencies, found, reader, recipe.floor)
    whole.save(place.generation / FREQUENCIES_NAME)
    return written


def _extracts(stores: Stores, state: BuildState) -> Iterator[Extract]:
    """The patient extracts of this build: their files are there, for the replica was just made of them."""
    for step in (applied.step for applied in state.applied if applied.step.feed == PATIENT.feed):
        extract = Extract(step.source, step.sequence, tuple(parts_of(stores, step)))
        if extract.in_order:
            yield extract


def _filled(site: IndexSite, place: Workspace, people: Everybody, recipe: Recipe) -> tuple[int, frozenset[str] | None]:
    """A new index of everybody: documents, and keys that may be crowded if every document was watched."""
    processes, at = processes_for(people.connection, site.settings), index_place(site.engine, place)
    frames = counted(WRITING, people.frames(), people.count)
    if processes > 1 and isinstance(site.engine, BulkEngine):
        shown, floor = recipe.show_very_restricted, recipe.floor
        bulk = site.engine.bulk(
            at, recipe.frequencies, show_very_restricted=shown, processes=processes, floor=floor
        )  # fmt: skip
        for frame in frames:
            bulk.add_frame(frame)
        return bulk.commit(), bulk.suspects
    writer, counter = site.engine.create(at), crowding.CrowdCounter(recipe.floor)
    batches = counter.watch(document_stream(site.settings, map(loaded, frames), recipe.frequencies))
    written = writer.add(chain.from_iterable(batches))
    writer.commit()
    return written, frozenset(counter.take())


def _branch(site: IndexSite, place: Workspace, connection: db.Connection) -> int:
    """The base's index with the documents of changed numbers taken out and made again."""
    base = site.generations / str(place.state.plan.base)
    copy_checked(base / FREQUENCIES_NAME, place.generation / FREQUENCIES_NAME)
    frequencies = frequencies_of(place)
    manifest = files.read_manifest(base)
    writer = site.engine.branch(files.index_place(base, manifest), index_place(site.engine, place))
    changed = db.rows(connection, f'SELECT DISTINCT nhs_number FROM "{CHANGED_TABLE}" ORDER BY nhs_number')
    numbers = [row[0] for row in changed]
    for start in range(0, len(numbers), _DELETE_ROWS):
        writer.delete(numbers[start : start + _DELETE_ROWS])
    frames = counted(WRITING, changed_frames(connection), len(numbers))
    written = writer.add(document_stream(site.settings, frames, frequencies))
    writer.commit()
    return written
