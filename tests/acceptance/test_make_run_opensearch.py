"""``make run INDEX=opensearch``: the whole product on a real node that it brings with it, and back.

Belongs here: that the node comes first, is kept and found again, and that the engine may change. Does not
belong here: what holds for every engine (``test_make_run.py``), the node itself (``tests/unit``).
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.lib.command_line import Ncrs, first_group, free_port, stop
from tests.lib.drawn import whole
from tests.lib.house import ROOT
from tests.lib.running import Running, start

pytestmark = pytest.mark.slow


@pytest.fixture
def ncrs(tmp_path: Path) -> Iterator[Ncrs]:
    """A home; as root its node keeps its data elsewhere, which goes as well."""
    made = Ncrs(tmp_path / "home")
    yield made
    log = (made.home / "logs" / "opensearch.log").read_text()
    shutil.rmtree(first_group(r"data in (\S+) ", log))


def test_the_product_runs_on_a_node_of_its_own(ncrs: Ncrs) -> None:
    """Started on an empty home, started again from what is there, then on files: each time the question is answered.

    Its node compiles its program for speed, as an operator's does, the second time only (``make test WHOLE=1``: also
    the first time): that costs half a minute of both cores.
    """
    ports = (free_port(), free_port(), free_port())
    ncrs = Ncrs(ncrs.home, {"NCRS_ISSUER": f"http://127.0.0.1:{ports[1]}"})
    port = free_port()
    choice = ("--index", "opensearch", "--opensearch-port", str(port))
    hurried = Ncrs(ncrs.home, {**ncrs.variables, "OPENSEARCH_QUICK": "0" if whole() else "1"})
    first = _tried(start(hurried, ports, *choice))
    assert _documents(port) == {"patients": 1, "records": 1}
    _stopped(first, port)
    second = _tried(start(ncrs, ports, *choice))
    assert "Using what is there: generation 000001" in second.printed
    _stopped(second, port)
    third = _tried(start(ncrs, ports, "--index", "embedded"))
    assert "building anew" in third.printed
    _stopped(third, port)


def _tried(running: Running) -> Running:
    try:
        generation = running.try_as_printed().headers["ncrs-generation"]
        assert running.ncrs.json("status")["generation"]["generation"] == generation
    except BaseException:
        stop(running.child)
        raise
    return running


def _documents(port: int) -> dict[str, int]:
    """How many indexes of each kind the node holds."""
    rows = httpx2.get(f"http://127.0.0.1:{port}/_cat/indices?format=json", timeout=30).json()
    names = [row["index"].split("-")[0] for row in rows]
    return {kind: names.count(kind) for kind in ("patients", "records")}


def _stopped(running: Running, port: int) -> None:
    assert stop(running.child, signal.SIGINT) == 0
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"http://127.0.0.1:{port}/", timeout=2)


def test_make_passes_the_choice_on() -> None:
    made = subprocess.run(
        ["make", "--dry-run", "run", "INDEX=opensearch", "OPENSEARCH_PORT=9999"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--index opensearch --opensearch-port 9999" in made.stdout
    plain = subprocess.run(["make", "--dry-run", "run", "INDEX="], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--index" not in plain.stdout
