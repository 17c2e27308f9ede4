"""``ncrs run``, which ``make run`` calls: from an empty home to an answered question, and back to nothing running.

Real processes throughout: sandbox, ingest, uvicorn, issuer, Dagster's webserver and daemon.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.lib.command_line import Ncrs, free_port, stop
from tests.lib.running import Running, start

pytestmark = pytest.mark.slow

# Well known in every population of the sandbox (docs name her).
README_NUMBER = "9000000009"
AGAIN_S = 90
DELTA_S = 300


@pytest.fixture(scope="module")
def ncrs(tmp_path_factory: pytest.TempPathFactory) -> Ncrs:
    return Ncrs(tmp_path_factory.mktemp("run") / "home")


@pytest.fixture(scope="module")
def running(ncrs: Ncrs) -> Iterator[Running]:
    ports = (free_port(), free_port(), free_port())
    started = start(Ncrs(ncrs.home, {"NCRS_ISSUER": f"http://127.0.0.1:{ports[1]}"}), ports)
    yield started
    stop(started.child, signal.SIGINT)


def test_the_printed_command_finds_the_right_patient(running: Running) -> None:
    running.try_as_printed()


def test_personas_and_addresses_are_printed(running: Running) -> None:
    for word in ("clinician", "receptionist", "privacy", running.api, str(running.ports[1]), str(running.ports[2])):
        assert word in running.printed


def test_without_a_token_nothing_is_answered(running: Running) -> None:
    answer = httpx2.get(f"{running.api}/FHIR/R4/Patient/{README_NUMBER}", timeout=30)
    assert answer.status_code == 401
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_dagster_shows_the_runs_of_the_command_line(running: Running) -> None:
    query = {"query": "{ runsOrError { ... on Runs { results { jobName status } } } }"}
    answer = httpx2.post(f"http://127.0.0.1:{running.ports[2]}/graphql", json=query, timeout=30).json()
    runs = {(run["jobName"], run["status"]) for run in answer["data"]["runsOrError"]["results"]}
    assert runs >= {("ingest__pds_patient", "SUCCESS"), ("publish", "SUCCESS")}


def test_status_while_it_serves(running: Running) -> None:
    status = running.ncrs.json("status")
    assert status["generation"]["number"] in (1, 2)
    states = {feed["feed"]: feed["state"] for feed in status["feeds"]}
    assert states["pds_patient"] == "fresh"


def test_a_delivery_in_the_drop_folder_is_published_by_itself(running: Running) -> None:
    """Sensor, daemon, ingest, sensor, publication, and the API on the new generation without a restart."""
    running.ncrs("sandbox", "extract", "--day", "1")
    headers = {
        "Authorization": f"Bearer {running.ncrs.token()}",
        "X-Request-ID": "6f2a4c1e-7d0b-4c55-9a61-0b3d5c8e2f10",
    }
    deadline = time.monotonic() + DELTA_S
    served = ""
    while not served.startswith("000002-"):
        assert time.monotonic() < deadline, running.ncrs("status", code=None).stdout
        time.sleep(2)
        answer = httpx2.get(f"{running.api}/FHIR/R4/Patient/{README_NUMBER}", headers=headers, timeout=30)
        assert answer.status_code == 200
        served = answer.headers["ncrs-generation"]
    assert running.ncrs.json("status")["generation"]["number"] == 2


def test_the_access_log_holds_what_was_shown_and_is_whole(running: Running) -> None:
    report = running.ncrs.json("audit", "verify")
    assert report["whole"]
    assert report["events"] >= 1, "the run itself asked once"
    exported = running.ncrs("audit", "export").stdout.splitlines()
    assert {json.loads(line)["resourceType"] for line in exported} == {"AuditEvent"}


@pytest.mark.last
def test_ctrl_c_stops_all_and_a_second_run_starts_from_what_is_there(running: Running) -> None:
    assert stop(running.child, signal.SIGINT) == 0
    for port in running.ports:
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"http://127.0.0.1:{port}/", timeout=2)
    again = start(running.ncrs, running.ports)
    try:
        assert "Using what is there: generation 00000" in again.printed
        assert again.seconds < AGAIN_S
    finally:
        assert stop(again.child, signal.SIGTERM) == 0
