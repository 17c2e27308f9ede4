"""Packed records: what they say comes back, whoever packed them, and damage is found."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from assets.index.build import build_index, document_stream, frequencies_of, index_place
from assets.index.frames import frame_of
from assets.published.deep import verify_deeply
from assets.published.service import begin_build
from assets.replica.build import apply_feed, settle_replica
from assets.replica.checksums import misprinted, table_states
from assets.replica.folding import MOST_FILES
from assets.replica.tables import PATIENT, PATIENT_TABLE
from assets.replica.workspace import build_lock
from schemas.errors import GenerationError
from schemas.generation import REPLICA_NAME, GenerationManifest
from search_api import generation_files as files
from search_api import packed
from search_api.record_files import FOLDER, file_numbers, file_path
from search_api.replica import ReplicaReader
from tests.lib.index import at
from tests.lib.validated import NUMBERS, Home, change, patient, summary

MANY = 1_200
NAMES = ("Whitlock", "Ní Dhúill", "O'Brien", "𝒵", 'quote " and \\ and \n', "")


def numbers(count: int) -> list[str]:
    """Well-formed numbers that nobody has."""
    found: list[str] = []
    stem = 999_000_000
    while len(found) < count:
        stem += 1
        text = str(stem)
        check = 11 - sum(int(digit) * (10 - place) for place, digit in enumerate(text)) % 11
        if check != 10:
            found.append(f"{text}{0 if check == 11 else check}")
    return found


def people(count: int) -> list[dict[str, Any]]:
    rows = []
    for place, number in enumerate(numbers(count)):
        row = patient(number)
        row["names"][0]["family"] = NAMES[place % len(NAMES)]
        if place % 7 == 0:
            row["related_persons"] = [f'{{"resourceType": "RelatedPerson", "id": "R{place}"}}']
        rows.append(row)
    return rows


def read_back(home: Home, rows: list[dict[str, Any]], manifest: GenerationManifest | None = None) -> None:
    """Every row of a generation, or of one built now, says what was sent."""
    manifest = manifest or home.build().manifest
    assert manifest is not None
    with ReplicaReader(home.stores.generations / manifest.generation / REPLICA_NAME) as replica:
        found = replica.patients(int(row["nhs_number"]) for row in rows)
        for row in rows:
            number = int(row["nhs_number"])
            for column in ("birth_date", "gender", "version_id"):
                assert found[number].row[column] == row[column]
            assert [name["family"] for name in found[number].row["names"]] == [name["family"] for name in row["names"]]
            assert replica.patient(number) == found[number]
            assert len(replica.related(number)) == len(row.get("related_persons") or [])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def dictionaries(home: Home) -> dict[str, bytes]:
    """The dictionary that the next records of each feed will be packed with, where there is one."""
    folder = max(path for path in home.stores.generations.iterdir() if path.name[0] == "0")
    found = {feed: packed.last_dictionary(folder, feed) for feed in ("pds_patient", "scr_summary")}
    return {feed: dictionary for feed, dictionary in found.items() if dictionary}


def test_records_come_back_with_a_dictionary_and_without(home: Home) -> None:
    few, many = people(40), people(MANY)
    home.extract("pds_patient", few, "full")
    read_back(home, few)
    assert dictionaries(home) == {}
    home.extract("pds_patient", many[40:])
    read_back(home, many)
    assert set(dictionaries(home)) == {"pds_patient"}
    kept = dictionaries(home)
    home.extract("pds_patient", [patient(row["nhs_number"], version=2, names=row["names"]) for row in many])
    home.build()
    assert dictionaries(home) == kept, "carried along"


def test_the_checksums_do_not_depend_on_a_dictionary(tmp_path: Path) -> None:
    rows = people(MANY)
    at_once, piecewise = Home(tmp_path / "one"), Home(tmp_path / "two")
    at_once.extract("pds_patient", rows, "full")
    whole = at_once.build().manifest
    piecewise.extract("pds_patient", rows[:50], "full")
    piecewise.build()
    piecewise.extract("pds_patient", rows[50:])
    grown = piecewise.build().manifest
    assert whole is not None
    assert grown is not None
    assert whole.tables[0] == grown.tables[0]
    assert whole.index.checksum == grown.index.checksum


def test_a_record_that_says_something_else_is_found(home: Home) -> None:
    home.extract("pds_patient", people(60), "full")
    home.extract("scr_summary", [summary(number) for number in numbers(20)], "full")
    made = home.builder
    with build_lock(home.stores):
        place = begin_build(made, "spoilt")
        for feed in ("pds_patient", "scr_summary"):
            apply_feed(made.site, place, feed)
        settle_replica(made.site, place)
    with place.database(home.settings) as connection:
        before = table_states(connection)
        assert misprinted(connection, PATIENT) == 0
        first = numbers(2)
        connection.execute(
            f'UPDATE "{PATIENT_TABLE}" SET record = (SELECT record FROM "{PATIENT_TABLE}" WHERE nhs_number = {first[1]}) '
            f"WHERE nhs_number = {first[0]}"
        )
        assert misprinted(connection, PATIENT) == 1
        assert table_states(connection) == before, "the sums are of hashes made before packing"


def test_bytes_that_are_no_record_are_a_damaged_generation(home: Home) -> None:
    home.extract("pds_patient", people(30), "full")
    made = home.builder
    with build_lock(home.stores):
        place = begin_build(made, "torn")
        apply_feed(made.site, place, "pds_patient")
        settle_replica(made.site, place)
    spoilt = file_path(place.generation, "pds_patient", 1)
    content = spoilt.read_bytes()
    spoilt.write_bytes(content[:40] + bytes(len(content) - 40))
    with ReplicaReader(place.replica) as replica, pytest.raises(GenerationError, match="cannot be read"):
        replica.patient(int(numbers(1)[0]))


def test_deep_verification_finds_a_document_that_was_made_otherwise(home: Home) -> None:
    home.extract("pds_patient", [patient(number) for number in NUMBERS[:30]], "full")
    manifest = home.build().manifest
    assert manifest is not None
    made = home.builder
    assert [check.passed for check in verify_deeply(made.index, manifest.generation)] == [True, True]
    with build_lock(home.stores):
        place = begin_build(made, "again", anew=True)
        apply_feed(made.site, place, "pds_patient")
        settle_replica(made.site, place)
        build_index(made.index, place)
    folder = home.stores.generations / manifest.generation
    writer = made.index.engine.branch(index_place(made.index.engine, place), at(folder / "spoilt"))
    with place.database(home.settings) as connection:
        frame = frame_of(connection, [int(NUMBERS[0])])
    changed = frame.with_columns(gender=frame["gender"].replace({"male": "female", "female": "male"}))
    writer.delete([int(NUMBERS[0])])
    writer.add(document_stream(home.settings, [changed], frequencies_of(place)))
    writer.commit()
    (folder / "index").rename(folder / "sound")
    (folder / "spoilt").rename(folder / "index")
    rows, documents = verify_deeply(made.index, manifest.generation)
    assert rows.passed
    assert (documents.passed, documents.text) == (False, "1 documents differ")


def folder_of(home: Home, manifest: GenerationManifest | None) -> Path:
    assert manifest is not None
    return home.stores.generations / manifest.generation


def test_generations_share_the_files_of_what_did_not_change(home: Home) -> None:
    home.extract("pds_patient", people(40), "full")
    first = home.build().manifest
    home.extract("pds_patient", [patient(number, version=2) for number in numbers(3)])
    second = home.build().manifest
    old, new = (file_path(folder_of(home, each), "pds_patient", 1) for each in (first, second))
    assert old.samefile(new)
    assert file_numbers(folder_of(home, first), "pds_patient") == [1], "nothing is added to what is published"
    assert file_numbers(folder_of(home, second), "pds_patient") == [1, 2]
    assert first is not None
    assert second is not None
    shared = f"{FOLDER}/{old.name}"
    published = next(state for state in first.files if state.path == shared)
    assert published in second.files


def test_damage_to_a_shared_file_is_not_published_as_if_it_were_meant(home: Home) -> None:
    """The hash that a file was published with goes on with it, so verifying finds the damage in either generation."""
    home.extract("pds_patient", people(40), "full")
    home.extract("scr_summary", [summary(number) for number in numbers(3)], "full")
    first = home.build().manifest
    path = file_path(folder_of(home, first), "scr_summary", 1)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    home.extract("pds_patient", [patient(numbers(1)[0], version=2)])
    second = home.build().manifest
    for manifest in (first, second):
        assert manifest is not None
        damaged = files.damaged_files(folder_of(home, manifest), manifest)
        assert [state.path for state in damaged] == [f"{FOLDER}/{path.name}"]


def test_many_small_files_are_packed_together_and_nothing_is_lost(tmp_path: Path) -> None:
    rows = {row["nhs_number"]: row for row in people(60)}
    daily, at_once = Home(tmp_path / "daily"), Home(tmp_path / "at once")
    daily.extract("pds_patient", list(rows.values()), "full")
    daily.build()
    for day, number in enumerate(numbers(MOST_FILES + 2)):
        rows[number] = {**rows[number], "version_id": 2, "birth_date": f"1950-01-{day + 1:02d}"}
        daily.extract("pds_patient", [rows[number]])
    folded = daily.build().manifest
    assert len(file_numbers(folder_of(daily, folded), "pds_patient")) > MOST_FILES, "the base's own may still be read"
    read_back(daily, [], folded)
    daily.extract("pds_patient", [patient(numbers(60)[-1], version=9)])
    rows[numbers(60)[-1]] = patient(numbers(60)[-1], version=9)
    after = daily.build().manifest
    assert len(file_numbers(folder_of(daily, after), "pds_patient")) <= 3, "only what is spoken of is taken over"
    read_back(daily, list(rows.values()), after)
    at_once.extract("pds_patient", list(rows.values()), "full")
    whole = at_once.build().manifest
    assert after is not None
    assert whole is not None
    assert after.tables[0] == whole.tables[0]


def test_the_newest_of_several_summaries_of_one_person_is_found(home: Home) -> None:
    kept, gone = NUMBERS[0], NUMBERS[1]
    home.extract("pds_patient", [patient(kept), patient(gone)], "full")
    home.extract("scr_summary", [summary(kept, 1), summary(gone, 2)], "full")
    home.extract("pds_number_change", [change(gone, kept)], "full")
    with ReplicaReader(folder_of(home, home.build().manifest) / REPLICA_NAME) as replica:
        found = replica.summary(int(kept))
        assert found is not None
        assert found["scr_uuid"] == f"{gone}-2"
        assert replica.summary(int(gone)) is None
        assert replica.current_number(int(gone)) == int(kept)
        assert replica.number_change(int(kept)) is None


def test_a_disk_that_takes_no_more_is_said_to_be_that(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are written while the database reads: the error is the disk's, not one of the database about it."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    home.extract("pds_patient", people(40), "full")
    monkeypatch.setattr("search_api.record_files.os.write", full)
    with pytest.raises(OSError, match="no space"):
        home.build()
