"""The API as a process: uvicorn with the factory, settings from the environment, keys over HTTP.

Belongs here: what only a real server shows: start, answer, logs without addresses, orderly stop.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from search_api.settings import Settings
from tests.lib import cast
from tests.lib.api import BASE, SIGNER
from tests.lib.house import ROOT
from tests.lib.key_server import key_server
from tests.lib.tokens import bearer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One uvicorn process and what it wrote."""

    def __init__(self, folder: Path, served: Settings, keys: str) -> None:
        self.port = free_port()
        self.log = folder / "server.log"
        environment = {
            **os.environ,
            **{f"NCRS_{name.upper()}": str(value) for name, value in served.model_dump(exclude_unset=True).items()},
            "NCRS_AUDIT_DB": f"sqlite:///{folder / 'audit.db'}",
            "NCRS_JWKS_URL": keys,
            "NCRS_LOG_LEVEL": "DEBUG",
        }
        command = [sys.executable, "-m", "uvicorn", "--factory", "search_api.serve:build_app", "--port", str(self.port)]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)

    def wait(self) -> None:
        """Until it is ready; fails with its log."""
        for _ in range(150):
            try:
                if httpx2.get(f"http://127.0.0.1:{self.port}/readyz", timeout=1).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        pytest.fail(self.log.read_text())

    def ask(self, path: str, **more: object) -> httpx2.Response:
        """GET as a clinician."""
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx2.get(url, headers=bearer(SIGNER.clinician()), timeout=10, **more)  # type: ignore[arg-type]

    def stop(self) -> int:
        """Ask it to stop; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, served: Settings) -> Iterator[Server]:
    with key_server(SIGNER.jwks()) as keys:
        running = Server(tmp_path_factory.mktemp("serve"), served, keys.url)
        try:
            running.wait()
            yield running
        finally:
            running.process.kill()
            running.process.wait()


def test_it_answers_logs_no_address_and_stops(server: Server) -> None:
    found = server.ask(f"{BASE}/Patient", params={"family": "Cuthbert", "birthdate": "1988-04-12"})
    assert [entry["resource"]["id"] for entry in found.json()["entry"]] == [cast.CUTHBERT]
    assert server.ask(f"{BASE}/Patient/{cast.JANE}").json()["id"] == cast.JANE
    assert server.ask(f"{BASE}/Patient/{cast.UNKNOWN}").status_code == 404
    assert server.ask("/%00/Cuthbert").status_code == 400
    assert server.stop() in (0, -signal.SIGTERM)  # uvicorn ends, then repeats the signal
    log = server.log.read_text()
    for value in ("Cuthbert", "1988-04-12", cast.JANE, cast.UNKNOWN, "GET /"):
        assert value not in log
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    codes = [line["code"] for line in lines]
    assert codes[-1] == "API002"
    assert {"API001", "API010"} <= set(codes)


def test_told_to_stop_it_is_not_ready_but_answers_for_a_while(tmp_path: Path, served: Settings) -> None:
    """Whoever balances the load must see it before the door is closed."""
    with key_server(SIGNER.jwks()) as keys:
        running = Server(tmp_path, served.model_copy(update={"drain_seconds": 4.0}), keys.url)
        try:
            running.wait()
            running.process.send_signal(signal.SIGTERM)
            readiness = f"http://127.0.0.1:{running.port}/readyz"
            deadline = time.monotonic() + 3
            while httpx2.get(readiness, timeout=1).status_code == 200 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert httpx2.get(readiness, timeout=1).status_code == 503
            assert running.ask(f"{BASE}/Patient/{cast.JANE}").status_code == 200
            assert running.process.wait(20) in (0, -signal.SIGTERM)
        finally:
            running.process.kill()
            running.process.wait()
    codes = [json.loads(line)["code"] for line in running.log.read_text().splitlines() if line.startswith("{")]
    assert codes.index("API003") < codes.index("API010", codes.index("API003")) < codes.index("API002")
