"""Crowded keys of generations: counted when the index is built from nothing, carried along by what is built on it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from assets.index import frames
from assets.published.service import build_and_publish, builder
from schemas.generation import FREQUENCIES_NAME
from search_api.index.documents import documents
from search_api.index.embedded import EmbeddedEngine
from search_api.index.frequencies import Frequencies
from tests.lib.index import frame, nhs_number
from tests.lib.index import person as indexed
from tests.lib.validated import NUMBERS, Home, patient, removal

CAP = 5
ROWS = [patient(number) for number in NUMBERS[:32]]
ROWS += [patient(number, birth_date="1980-03-14") for number in NUMBERS[32:40]]


def current(home: Home) -> tuple[Path, Frequencies]:
    """The frequencies file of the generation just published."""
    engine = EmbeddedEngine(heap_bytes=30_000_000, threads=1)
    made = builder(home.stores, home.ledger, home.settings, "tester", engine)
    outcome = build_and_publish(made, "crowded", "a test")
    assert outcome.manifest is not None
    path = home.stores.generations / outcome.manifest.generation / FREQUENCIES_NAME
    return path, Frequencies.load(path)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Forty people, eight of them born on one day."""
    made = Home(tmp_path, {"key_cap": CAP})
    made.extract("pds_patient", ROWS, "full")
    return made


def true_counts() -> dict[str, int]:
    """The keys of the forty people, counted in plain Python, from the floor on."""
    people = [
        indexed(
            nhs_number(at),
            *row["names"],
            born=row["birth_date"],
            gender=row["gender"],
            addresses=row["addresses"],
            telecoms=row["telecoms"],
        )
        for at, row in enumerate(ROWS, 1)
    ]
    counts = Counter(key for document in documents(frame(people), Frequencies.empty()) for key in document.keys)
    return {key: count for key, count in counts.items() if count >= CAP}


@pytest.mark.parametrize("processes", [1, 2])
def test_a_full_build_keeps_the_true_numbers(home: Home, processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_MANY", 0)
    home.settings = home.settings.model_copy(update={"build_threads": processes})
    _, known = current(home)
    assert known.crowded == true_counts()
    assert known.crowded["b19800314LS1"] == 8
    assert known.population == 40


def test_a_delta_carries_the_file_along_byte_for_byte(home: Home) -> None:
    path, first = current(home)
    content = path.read_bytes()
    home.extract("pds_patient", [removal(number) for number in NUMBERS[36:40]])
    path, later = current(home)
    assert path.read_bytes() == content
    assert later.crowded == first.crowded


def test_building_from_nothing_counts_anew(home: Home) -> None:
    current(home)
    home.extract("pds_patient", [removal(number) for number in NUMBERS[36:40]])
    home.build()
    home.settings = home.settings.model_copy(update={"show_very_restricted": True})
    _, known = current(home)
    assert "b19800314LS1" not in known.crowded
