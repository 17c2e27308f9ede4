"""Filling an index of the cluster, killed for real at any moment: it goes on where it stopped, and nothing differs.

Belongs here: SIGKILL to the process that fills, alone or with the processes it started. Does not belong here:
whole builds (``test_build_resume.py``), nodes that fail (``test_opensearch_nodes.py``).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import httpx2
import polars as pl
import pytest

from search_api.cluster.shared import close_all
from search_api.index.documents import documents
from search_api.index.frequencies import Frequencies
from search_api.index.progress import acknowledged, progress_path
from search_api.index.provider import IndexPlace, SearchDocument, checksum_of
from tests.faults.index_load import BATCH_BYTES, CHANGED, PEOPLE, PROCESSES, Load, changed, everybody
from tests.lib import forked
from tests.lib.index import keyed

pytestmark = pytest.mark.slow

# The least that a document of the crowd takes in a request.
LEAST_BYTES = 300
BATCH = BATCH_BYTES // LEAST_BYTES
WAIT_S = 120.0


@pytest.fixture(scope="module")
def place(
    opensearch_url: str, opensearch_module_prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Load]:
    """Where this module fills, with an index that nobody killed."""
    load = Load(tmp_path_factory.mktemp("load"), opensearch_url, opensearch_module_prefix, "bulk")
    assert load.fill("base") == PEOPLE
    yield load
    close_all()


@pytest.fixture(scope="module")
def after(place: Load) -> IndexPlace:
    """An index, made in one go, of what a branch comes to."""
    people, at = everybody(), place.at("after")
    writer = place.engine.create(at)
    writer.add(_made(pl.concat([changed(people), people.slice(CHANGED)])))
    writer.commit()
    return at


def _made(people: pl.DataFrame) -> Iterator[SearchDocument]:
    """Documents as every filling makes them."""
    return documents(people, _frequencies())


@cache
def _frequencies() -> Frequencies:
    return Frequencies.build([everybody()])


def begun(load: Load, name: str) -> forked.Forked:
    """A process that fills, in a group of its own with the processes it starts."""
    command = (str(load.folder), load.address, load.prefix, load.how, name)
    return forked.Forked("tests.faults.index_load", *command, session=True)


def killed_when(load: Load, name: str, reached: Callable[[], bool], *, group: bool) -> None:
    """Begin a filling and kill it as soon as something is true, or once it has ended."""
    process = begun(load, name)
    until = time.monotonic() + WAIT_S
    while not reached() and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.002)
    if group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    while _alive(process.pid):
        assert time.monotonic() < until
        time.sleep(0.01)


def _alive(group: int) -> bool:
    """Whether processes of a group are left: they end by themselves when the one that began them is gone."""
    states = [Path(f"/proc/{entry.name}/stat") for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    for state in states:
        try:
            fields = state.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False


def versions(load: Load, at: IndexPlace) -> Iterator[int]:
    """How often each document was written."""
    body = {"size": 20_000, "version": True, "query": {"range": {"nhs": {"gt": 0}}}}
    answer = httpx2.post(f"{load.address}/{at.location}/_search", json=body, timeout=60, trust_env=False)
    for hit in answer.raise_for_status().json()["hits"]["hits"]:
        yield hit["_version"]


def assert_same(load: Load, one: IndexPlace, other: IndexPlace) -> None:
    """Count, checksum and candidates of two indexes are equal."""
    first, second = load.engine.open(one), load.engine.open(other)
    assert (first.count(), first.checksum()) == (second.count(), second.checksum())
    for document in _made(everybody().gather_every(200)):
        asked = keyed(document.keys, limit=30)
        assert first.candidates(asked) == second.candidates(asked)


KILLED: dict[str, tuple[str, bool, tuple[float, ...]]] = {
    "with its processes": ("bulk", True, (0.0, 0.3, 0.8, 1.0)),
    "alone": ("bulk", False, (0.5, 1.0)),
    "one process": ("single", True, (0.5, 1.0)),
}


@pytest.mark.parametrize("killed", KILLED)
def test_a_filling_killed_again_and_again_goes_on_where_it_stopped(place: Load, killed: str) -> None:
    how, group, shares = KILLED[killed]
    load, name = Load(place.folder, place.address, place.prefix, how), f"killed-{how}-{group}".lower()
    at, before, kills = load.at(name), 0, 0
    for share in shares:
        killed_when(load, name, partial(_sent, at, share * PEOPLE), group=group)
        kills += 1
        assert acknowledged(at) >= before
        before = acknowledged(at)
    assert before == PEOPLE
    assert load.fill(name) == PEOPLE
    assert_same(load, at, load.at("base"))
    written = list(versions(load, at))
    again = sum(version - 1 for version in written)
    processes = PROCESSES if how == "bulk" else 1
    assert len(written) == PEOPLE
    assert again <= kills * processes * BATCH
    assert again < PEOPLE / 4


def test_what_was_acknowledged_is_not_sent_again(place: Load) -> None:
    """Seen from the cluster: a filling that goes on writes what was left, and at most a request a process more."""
    load = Load(place.folder, place.address, place.prefix, "bulk")
    at = load.at("counted")
    killed_when(load, "counted", lambda: acknowledged(at) >= PEOPLE // 2, group=True)
    stopped, indexed = acknowledged(at), _indexed(load, at)
    assert PEOPLE // 2 <= stopped < PEOPLE
    assert load.fill("counted") == PEOPLE
    assert _indexed(load, at) - indexed <= PEOPLE - stopped + 1
    assert_same(load, at, load.at("base"))


def _indexed(load: Load, at: IndexPlace) -> int:
    answer = httpx2.get(f"{load.address}/{at.location}/_stats/indexing", timeout=60, trust_env=False)
    return int(answer.raise_for_status().json()["_all"]["primaries"]["indexing"]["index_total"])


MOMENTS: dict[str, Callable[[Load, IndexPlace], bool]] = {
    "the copy is there": lambda load, at: _exists(load, at),
    "it is known to be a copy": lambda load, at: progress_path(at).exists(),
    "documents were sent": lambda load, at: acknowledged(at) > 0,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_branch_killed_half_way_is_made_again(place: Load, after: IndexPlace, moment: str) -> None:
    load, name = Load(place.folder, place.address, place.prefix, "branch"), f"branch-{list(MOMENTS).index(moment)}"
    at = load.at(name)
    killed_when(load, name, lambda: MOMENTS[moment](load, at), group=True)
    assert _exists(load, at)
    assert load.fill(name) == PEOPLE
    assert_same(load, at, after)
    base = load.engine.open(load.at("base"))
    assert base.checksum() == checksum_of(document.fingerprint for document in _made(everybody()))


def _sent(at: IndexPlace, least: float) -> bool:
    return progress_path(at).exists() and acknowledged(at) >= least


def _exists(load: Load, at: IndexPlace) -> bool:
    return httpx2.head(f"{load.address}/{at.location}", timeout=60, trust_env=False).status_code == 200
