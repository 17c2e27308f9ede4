"""The index of a build: one process and several make the same; differences to the replica are found."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from assets.index import extracts as extracts_of
from assets.index import frames
from assets.index.build import build_index, document_stream, frequencies_of, index_place
from assets.index.extracts import Extract
from assets.index.fold import Recipe, suspects
from assets.index.frames import document_frames, expected, frame_of
from assets.index.reconcile import ABSENT, COUNTED, FINGERPRINTS, SAMPLED, compare, reconcile
from assets.published.service import Builder, begin_build, builder
from assets.replica.build import apply_feed, settle_replica
from assets.replica.workspace import Workspace, build_lock, parts_of
from schemas.errors import PermanentFault
from search_api.index.documents import COLUMNS, documents
from search_api.index.embedded import EmbeddedEngine
from search_api.index.frequencies import Frequencies
from search_api.index.items import FROM_ROW
from tests.lib.index import at
from tests.lib.validated import NUMBERS, Home, patient


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    rows = [patient(number) for number in NUMBERS[:40]]
    gone = patient(NUMBERS[40], security="REDACTED")
    hidden = patient(NUMBERS[41], security="V")
    made.extract("pds_patient", [*rows, gone, hidden], "full")
    return made


def built(made: Builder) -> Workspace:
    with build_lock(made.stores):
        place = begin_build(made, "index")
        apply_feed(made.site, place, "pds_patient")
        settle_replica(made.site, place)
        build_index(made.index, place)
    return place


def test_several_processes_build_the_same_index_and_find_it_right(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = built(home.builder).state.index
    monkeypatch.setattr(frames, "_MANY", 0)
    home.settings = home.settings.model_copy(update={"build_threads": 2})
    engine = EmbeddedEngine(heap_bytes=30_000_000, threads=1)
    beside = builder(home.stores, home.ledger, home.settings, "tester", engine)
    place = built(beside)
    assert place.state.index == alone
    found = reconcile(beside.index, place)
    assert (found.differences, found.replica_documents, found.sampled) == ((), 40, 41)
    assert place.state.reconciled


def test_frames_have_the_columns_that_documents_are_made_of(home: Home) -> None:
    place = built(home.builder)
    with place.database(home.settings) as connection:
        pieces = list(document_frames(connection, rows=10))
        one = frame_of(connection, [int(NUMBERS[3]), int(NUMBERS[40]), 1])
    assert sum(piece.height for piece in pieces) == 41, "everyone but the invalidated"
    assert all({*COLUMNS, FROM_ROW} == set(piece.columns) for piece in pieces)
    assert one["nhs_number"].to_list() == [int(NUMBERS[3])]
    assert one["names"].to_list()[0][0]["family"] == patient(NUMBERS[3])["names"][0]["family"]


def test_extracts_and_records_tell_the_same_people(home: Home) -> None:
    place = built(home.builder)
    extracts = [
        Extract(step.source, step.sequence, tuple(parts_of(home.stores, step))) for step in place.state.plan.steps
    ]
    with place.database(home.settings) as connection:
        told = [piece.frame() for piece in extracts_of.pieces(connection, extracts)]
        held = list(document_frames(connection))
        others = list(document_frames(connection, where=extracts_of.others(extracts)))
    made = [
        {each.nhs_number: each for each in documents(pl.concat(side), Frequencies.empty())} for side in (told, held)
    ]
    assert made[0] == made[1]
    assert len(made[0]) == 40
    assert not others


def test_an_extract_that_changed_since_is_refused(home: Home) -> None:
    place = built(home.builder)
    (step,) = place.state.plan.steps
    (path,) = parts_of(home.stores, step)
    with place.database(home.settings) as connection:
        (piece,) = extracts_of.pieces(connection, [Extract(step.source, step.sequence, (path,))])
    pl.read_parquet(path).tail(-1).write_parquet(path)
    with pytest.raises(PermanentFault, match="has changed since"):
        piece.frame()


def test_very_restricted_people_are_indexed_only_where_the_setting_says_so(home: Home) -> None:
    assert built(home.builder).state.documents_changed == 40
    home.settings = home.settings.model_copy(update={"show_very_restricted": True})
    assert built(home.builder).state.documents_changed == 41


def test_showing_very_restricted_people_asks_for_a_new_index(home: Home) -> None:
    home.build()
    home.settings = home.settings.model_copy(update={"show_very_restricted": True})
    made = home.build()
    assert made.manifest is not None
    assert made.plan.fresh_index
    assert made.manifest.index.documents == 41


@pytest.mark.parametrize("spoilt", ["one missing", "one too many", "one changed", "one of an older row"])
def test_any_difference_is_found(home: Home, spoilt: str) -> None:
    made = home.builder
    place = built(made)
    frequencies = frequencies_of(place)
    other = at(place.folder / "spoilt")
    writer = made.index.engine.branch(index_place(made.index.engine, place), other)
    with place.database(home.settings) as connection:
        changed = frame_of(connection, [int(NUMBERS[0])])
        if spoilt != "one too many":
            writer.delete([int(NUMBERS[0])])
        if spoilt == "one changed":
            changed = changed.with_columns(gender=changed["gender"].replace({"male": "female", "female": "male"}))
        if spoilt == "one of an older row":
            changed = changed.with_columns(fingerprint=changed["fingerprint"] - 1)
        if spoilt != "one missing":
            writer.add(document_stream(home.settings, [changed], frequencies))
        writer.commit()
        with closing(made.index.engine.open(other)) as reader:
            found = compare(made.index, connection, reader, frequencies, seed=1)
    expected = {
        "one missing": {COUNTED, FINGERPRINTS, SAMPLED},
        "one too many": {COUNTED, FINGERPRINTS},
        "one changed": {SAMPLED},
        "one of an older row": {FINGERPRINTS, SAMPLED},
    }[spoilt]
    assert set(found.differences) == expected


def test_an_invalidated_person_in_the_index_is_found(home: Home) -> None:
    made = home.builder
    place = built(made)
    frequencies = frequencies_of(place)
    other = at(place.folder / "spoilt")
    writer = made.index.engine.branch(index_place(made.index.engine, place), other)
    with place.database(home.settings) as connection:
        smuggled = frame_of(connection, [int(NUMBERS[0])])
        smuggled = smuggled.with_columns(nhs_number=smuggled["nhs_number"] * 0 + int(NUMBERS[40]))
        writer.add(document_stream(home.settings, [smuggled], frequencies))
        writer.commit()
        with closing(made.index.engine.open(other)) as reader:
            found = compare(made.index, connection, reader, frequencies, seed=1)
    assert ABSENT in found.differences


def test_keys_watched_beside_are_those_watched_here(home: Home) -> None:
    place = built(home.builder)
    with place.database(home.settings) as connection:
        pieces = list(document_frames(connection, rows=7))
    here, beside = (
        suspects(pieces, Recipe(frequencies_of(place), False, floor), count) for floor, count in ((1, 1), (1, 2))
    )
    assert here == beside
    assert here


def test_the_replica_says_what_the_index_ought_to_hold(home: Home) -> None:
    place = built(home.builder)
    assert place.state.index is not None
    with place.database(home.settings) as connection:
        assert expected(connection, show_very_restricted=False) == (40, place.state.index.checksum)
        assert expected(connection, show_very_restricted=True)[0] == 41
