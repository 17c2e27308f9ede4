"""Verifying a generation deeply: every record unpacked, every document made again.

Belongs here: the two checks that go through everybody, for ``ncrs verify --deep``. Does not belong here:
the checks of bytes, counts and sums (``verify.py``), which every roll-back makes.

What each build shows is that documents were made of the rows the replica has now; here it is shown that
they were made well, by this code, and that each record still says what it said when it was packed. Both
take as long as building the index, and longer where an index answers for one number at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import polars as pl

from assets.index.build import IndexSite
from assets.index.frames import count_people, document_frames
from assets.index.reconcile import content_of
from assets.progress import counted
from assets.published.verify import Check
from assets.replica.checksums import misprinted
from assets.replica.tables import RECORD_TABLES
from schemas.errors import NcrsError
from schemas.generation import FREQUENCIES_NAME, REPLICA_NAME, GenerationManifest
from search_api import db
from search_api import generation_files as files
from search_api.index.documents import documents
from search_api.index.frequencies import Frequencies
from search_api.index.provider import IndexReader
from search_api.weights_in_force import pinned

COMPARING = "Making every document again"
_AT_ONCE = 1_000


def verify_deeply(site: IndexSite, generation: str) -> tuple[Check, ...]:
    """The two checks of a generation whose files are whole. Never raises for damage: it is in the result."""
    return (
        _attempt("rows", lambda: _rows(site, generation)),
        _attempt("documents", lambda: _documents(site, generation)),
    )


def _attempt(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except NcrsError as error:
        return Check(name, False, error.message)
    except (db.DatabaseError, pl.exceptions.PolarsError) as error:
        return Check(name, False, f"the replica cannot be read ({type(error).__name__})")


def _opened(site: IndexSite, generation: str) -> db.Connection:
    settings = site.settings
    return db.open_scan(site.generations / generation / REPLICA_NAME, settings.build_memory_gb, settings.build_threads)


def _rows(site: IndexSite, generation: str) -> Check:
    with closing(_opened(site, generation)) as connection:
        wrong = sum(misprinted(connection, spec) for spec in RECORD_TABLES.values())
    return Check("rows", not wrong, f"{wrong} rows differ" if wrong else "every record says what it said when packed")


def _documents(site: IndexSite, generation: str) -> Check:
    folder = site.generations / generation
    manifest = files.read_manifest(folder)
    frequencies = _frequencies(site, manifest)
    with (
        closing(_opened(site, generation)) as connection,
        closing(site.engine.open(files.index_place(folder, manifest))) as reader,
    ):
        frames = counted(COMPARING, document_frames(connection), count_people(connection))
        made, wrong = 0, 0
        for found, different in (_compared(site, reader, frame, frequencies) for frame in frames):
            made, wrong = made + found, wrong + different
        wrong += abs(reader.count() - made)
    return Check("documents", not wrong, f"{wrong} documents differ" if wrong else f"{made} documents made again")


def _frequencies(site: IndexSite, manifest: GenerationManifest) -> Frequencies:
    loaded = Frequencies.load(site.generations / manifest.generation / FREQUENCIES_NAME)
    return replace(loaded, rule=pinned(manifest).frequency)


def _compared(site: IndexSite, reader: IndexReader, frame: pl.DataFrame, frequencies: Frequencies) -> tuple[int, int]:
    """Documents of a frame, and how many of them the index does not have as they are made."""
    shown, made, wrong = site.settings.show_very_restricted, 0, 0
    for piece in _pieces(frame):
        expected = {
            each.nhs_number: content_of(each) for each in documents(piece, frequencies, show_very_restricted=shown)
        }
        held = reader.find(list(expected))
        made += len(expected)
        wrong += sum(number not in held or content_of(held[number]) != content for number, content in expected.items())
    return made, wrong


def _pieces(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    for start in range(0, frame.height, _AT_ONCE):
        yield frame.slice(start, _AT_ONCE)
