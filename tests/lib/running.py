"""``ncrs run`` as somebody at a terminal has it: started, read, tried as it says.

Belongs here: the process and what it prints. Does not belong here: what is expected of it (``tests/acceptance``).
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from dataclasses import dataclass

import httpx2

from tests.lib.command_line import Ncrs, first_group
from tests.lib.house import ROOT

READY_LINE = "Ctrl-C stops everything"
START_S = 240


@dataclass(frozen=True)
class Running:
    """A run that has printed how to try it."""

    ncrs: Ncrs
    child: subprocess.Popen[bytes]
    ports: tuple[int, int, int]
    printed: str
    seconds: float

    @property
    def api(self) -> str:
        """Address of its API."""
        return f"http://127.0.0.1:{self.ports[0]}"

    def try_as_printed(self) -> httpx2.Response:
        """Do what it says, but for curl, which a fresh machine may not have: a misspelt name finds the patient."""
        token = first_group(r"TOKEN=\$\((.*)\)", self.printed)
        address = first_group(r"  '(http[^']+)'", self.printed)
        request_id = first_group(r"X-Request-ID: ([0-9a-f-]{36})", self.printed)
        expected = first_group(r"-> ([0-9]{10})  ", self.printed)
        bearer = self.ncrs(*shlex.split(token)[1:]).stdout.strip()
        headers = {"Authorization": f"Bearer {bearer}", "X-Request-ID": request_id}
        answer = httpx2.get(address, headers=headers, timeout=30)
        assert answer.status_code == 200
        first = answer.json()["entry"][0]
        assert first["resource"]["id"] == expected
        asked = httpx2.URL(address).params["family"]
        assert asked not in {name["family"] for name in first["resource"]["name"]}
        return answer


def start(ncrs: Ncrs, ports: tuple[int, int, int], *more: str, patients: int = 400) -> Running:
    """Start it and wait until it has printed how to try it; ``more`` are further options."""
    options = ("--patients", str(patients), "--port", str(ports[0]), "--identity-port", str(ports[1]), *more)
    began = time.monotonic()
    path = ncrs.home.parent / "run.log"
    with path.open("w") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", "run", *options, "--dagster-port", str(ports[2])],
            cwd=ROOT,
            env=ncrs.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while READY_LINE not in path.read_text():
        assert child.poll() is None, path.read_text()[-4000:]
        assert time.monotonic() - began < START_S, path.read_text()[-4000:]
        time.sleep(0.2)
    return Running(ncrs, child, ports, path.read_text(), time.monotonic() - began)
