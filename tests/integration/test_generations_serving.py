"""Serving a generation: pins, switching while serving, refusing, falling back, damage."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import GenerationError
from schemas.generation import CURRENT_NAME, GENERATION_MANIFEST_NAME, GENERATION_SCHEMA_VERSION, GenerationManifest
from search_api import generation_files as files
from search_api.generations import Generations, Serving
from tests.lib.validated import NUMBERS, Home, patient, removal

A, B = int(NUMBERS[0]), int(NUMBERS[1])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.extract("pds_patient", [patient(number) for number in NUMBERS[:5]], "full")
    made.build()
    return made


def serve(home: Home, **settings: Any) -> Generations:
    return Generations(home.settings.model_copy(update=settings), home.engine)


def next_generation(home: Home, version: int) -> GenerationManifest:
    home.extract("pds_patient", [patient(NUMBERS[0], version)])
    made = home.build().manifest
    assert made is not None
    return made


def until(condition: Callable[[], bool], seconds: float = 2.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def rewrite(home: Home, name: str, **fields: Any) -> None:
    """Change a manifest after publication, and the marker with it, as other code might have written them."""
    path = home.stores.generations / name / GENERATION_MANIFEST_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    marker = home.stores.generations / CURRENT_NAME
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "manifest_sha256": files.file_sha256(path)}))


def test_nothing_published_is_said_and_the_first_generation_is_picked_up(tmp_path: Path) -> None:
    empty = Home(tmp_path)
    with serve(empty) as generations:
        with pytest.raises(GenerationError, match="No generation is published"), generations.pin():
            pass
        empty.extract("pds_patient", [patient(NUMBERS[0])], "full")
        empty.build()
        assert until(lambda: generations.serving.generation is not None)
        with generations.pin() as generation:
            assert generation.replica.patient(A) is not None
            assert generation.index.count() == 1


def test_a_publication_is_visible_within_two_seconds_and_pins_keep_the_old(home: Home) -> None:
    with serve(home) as generations:
        with generations.pin() as old:
            made = next_generation(home, 2)
            assert until(lambda: generations.serving.generation == made.generation)
            with generations.pin() as new:
                assert new.manifest == made
                record = new.replica.patient(A)
                assert record is not None
                assert record.version_id == 2
            record = old.replica.patient(A)
            assert record is not None
            assert record.version_id == 1
            assert old.index.count() == 5
        with pytest.raises(GenerationError):
            old.replica.patient(B)


def test_a_pinned_generation_survives_its_removal(home: Home) -> None:
    home.settings = home.settings.model_copy(update={"retention": 1})
    with serve(home) as generations, generations.pin() as old:
        first = old.manifest.generation
        next_generation(home, 2)
        assert (home.stores.generations / first).is_dir(), "leased, so kept"
        assert old.replica.patient(B) is not None
        assert until(lambda: generations.serving.generation != first)
    next_generation(home, 3)
    assert [path.name[:6] for path in files.folders(home.stores.generations)] == ["000003"]


@pytest.fixture
def _looks_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The marker is looked at by ``refresh`` only, so that damage comes first."""
    monkeypatch.setattr("search_api.generations.POLL_SECONDS", 3600.0)


@pytest.mark.usefixtures("_looks_when_told")
def test_an_unknown_schema_version_is_refused_and_the_old_generation_kept(home: Home) -> None:
    with serve(home) as generations:
        before = generations.serving.generation
        made = next_generation(home, 2)
        rewrite(home, made.generation, schema_version=GENERATION_SCHEMA_VERSION + 1)
        assert generations.refresh().degraded
        assert generations.serving.generation == before
        assert "schema version" in str(generations.serving.problem)


@pytest.mark.usefixtures("_looks_when_told")
@pytest.mark.parametrize("damage", ["missing file", "short file", "other manifest", "documents", "rows"])
def test_a_generation_that_fails_the_quick_checks_is_refused(home: Home, damage: str) -> None:
    with serve(home) as generations:
        before = generations.serving.generation
        home.extract("pds_patient", [removal(NUMBERS[4], version_id=2)])
        made = home.build().manifest
        assert made is not None
        folder = home.stores.generations / made.generation
        if damage == "missing file":
            (folder / "frequencies.parquet").unlink()
        elif damage == "short file":
            replica = folder / "replica.duckdb"
            replica.write_bytes(replica.read_bytes()[:-1])
        elif damage == "other manifest":
            path = folder / GENERATION_MANIFEST_NAME
            path.write_bytes(path.read_bytes() + b" ")
        elif damage == "documents":
            rewrite(home, made.generation, index={**made.index.model_dump(), "documents": 99})
        else:
            rewrite(home, made.generation, tables=[{**made.tables[0].model_dump(), "rows": 99}])
        generations.refresh()
        assert generations.serving.generation == before
        assert generations.serving.degraded


def test_at_start_a_broken_generation_gives_way_to_the_one_before(home: Home) -> None:
    first = files.folders(home.stores.generations)[0].name
    made = next_generation(home, 2)
    path = home.stores.generations / made.generation / "replica.duckdb"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with serve(home) as generations:
        assert generations.serving.generation == first
        assert "damaged on disk" in str(generations.serving.problem)
        repaired = next_generation_anew(home)
        assert until(lambda: generations.serving == Serving(repaired, None))


def next_generation_anew(home: Home) -> str:
    made = home.build(anew=True).manifest
    assert made is not None
    return made.generation


def test_a_broken_marker_serves_nothing_and_says_how_to_go_on(home: Home) -> None:
    (home.stores.generations / CURRENT_NAME).write_text("{")
    with serve(home) as generations:
        assert generations.serving.generation is None
        with pytest.raises(GenerationError, match="marker"), generations.pin():
            pass


def test_every_flipped_byte_is_found_before_serving(home: Home) -> None:
    chance = random.Random(5)
    manifest = files.read_manifest(files.folders(home.stores.generations)[0])
    folder = home.stores.generations / manifest.generation
    for _ in range(200):
        path = folder / chance.choice([state.path for state in manifest.files if state.bytes])
        content = path.read_bytes()
        position = chance.randrange(len(content))
        damaged = content[:position] + bytes([content[position] ^ 1 << chance.randrange(8)]) + content[position + 1 :]
        path.write_bytes(damaged)
        with pytest.raises(GenerationError, match="damaged on disk"):
            files.check_hashes(folder, manifest)
        path.write_bytes(content)
    files.check_hashes(folder, manifest)


def test_readers_never_see_two_generations_in_one_answer(home: Home) -> None:
    """Each generation gives one person a version and indexes it; replica, index and manifest must agree."""
    stop = threading.Event()
    expected: dict[int, int] = {1: 1}

    def ask(generations: Generations) -> int:
        asked = 0
        while not stop.is_set():
            with generations.pin() as generation:
                record = generation.replica.patient(A)
                [document] = generation.index.find([A]).values()
                assert record is not None
                assert record.version_id == expected[generation.manifest.number]
                assert str(record.row["birth_date"]).replace("-", "") == str(document.numbers["birth"])
                asked += 1
            time.sleep(0.005)
        return asked

    with serve(home) as generations, ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, generations) for _ in range(4)]
        try:
            for version in range(2, 9):
                expected[version] = version
                made = next_generation(home, version)
                assert until(lambda made=made: generations.serving.generation == made.generation)
        finally:
            stop.set()
        assert min(future.result() for future in asking) > 20
    assert len(files.folders(home.stores.generations)) == home.settings.retention


def test_closing_while_pinned_waits_for_the_pin(home: Home) -> None:
    generations = serve(home)
    generations.start()
    with generations.pin() as generation:
        generations.close()
        assert generation.replica.patient(A) is not None
    with pytest.raises(GenerationError):
        generation.replica.patient(A)


def test_point_reads_from_many_threads(home: Home) -> None:
    with serve(home) as generations, generations.pin() as generation, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(generation.replica.patient, [int(number) for number in NUMBERS[:8]] * 50))
    assert sum(record is not None for record in found) == 5 * 50


def test_nothing_is_left_to_make_for_the_first_who_asks(home: Home) -> None:
    """At ten million patients the neighbours of names take over a second to make: longer than a search may."""
    with serve(home) as generations, generations.pin() as generation:
        made = vars(generation.frequencies)
        assert {"rarities", "family_spelling", "given_spelling"} <= made.keys()
