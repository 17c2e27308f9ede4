"""The journal of a national run: what counts after kills, torn lines, and for another run."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import Refused
from tests.performance.national.journal import NAME, Journal

RUN = {"patients": 1000, "seed": 1}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    made = Journal(tmp_path)
    made.begin(RUN)
    return made


def test_a_stage_that_was_killed_is_not_done_and_its_time_counts(tmp_path: Path, journal: Journal) -> None:
    journal.started("index")
    journal.running("index", 10.0, 2.0, 1.0)
    journal.running("index", 20.0, 3.5, 1.5)
    assert journal.entries() == {}
    again = Journal(tmp_path)
    again.begin(RUN)
    again.started("index")
    again.running("index", 7.0, 3.0, 1.2)
    entry = again.done("index", 1.1, {"rows": 5.0})
    assert (entry.seconds, entry.peak_gb, entry.disk_gb, entry.attempts) == (27.0, 3.5, 1.5, 2)
    assert entry.figures == {"rows": 5.0}


def test_the_disk_is_the_most_that_was_seen(journal: Journal) -> None:
    journal.started("replica")
    journal.running("replica", 1.0, 0.1, 2.0)
    assert journal.done("replica", 3.0, {}).disk_gb == 3.0


def test_a_stage_that_ended_before_the_first_look_took_no_time(journal: Journal) -> None:
    journal.started("publish")
    entry = journal.done("publish", 1.0, {})
    assert (entry.seconds, entry.peak_gb, entry.attempts) == (0.0, 0.0, 1)


def test_stages_do_not_count_for_each_other(journal: Journal) -> None:
    for stage, seconds in (("ingest", 5.0), ("replica", 9.0)):
        journal.started(stage)
        journal.running(stage, seconds, seconds, seconds)
        journal.done(stage, seconds, {})
    journal.spared(1.5)
    assert [(entry.stage, entry.seconds) for entry in journal.entries().values()] == [("ingest", 5.0), ("replica", 9.0)]


def test_a_torn_line_counts_for_nothing_and_spoils_none_that_follows(tmp_path: Path, journal: Journal) -> None:
    journal.started("search")
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'\n{"stage":"search","event":"do')
    assert journal.entries() == {}
    assert journal.done("search", 1.0, {"search_p50_ms": 0.5}).figures == {"search_p50_ms": 0.5}


@pytest.mark.parametrize("other", [{"patients": 1001, "seed": 1}, {"patients": 1000, "seed": 2}])
def test_a_home_is_of_one_size_and_seed(tmp_path: Path, journal: Journal, other: dict[str, int]) -> None:
    with pytest.raises(Refused, match="holds a national run"):
        Journal(tmp_path).begin(other)
    assert (tmp_path / NAME).read_bytes().count(b'"run"') == 1
