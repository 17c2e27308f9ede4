"""``ncrs`` on real homes: refusals, damage, locks, kills, and rows in quarantine. Each command is a process."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipelines.cli_common import Exit
from pipelines.home import ledger_of
from pipelines.instance import open_instance
from search_api.settings import Settings
from tests.lib.command_line import Ncrs, free_port
from tests.lib.extracts import Delivery, delivery, number_change, patient, summary
from tests.lib.house import ROOT

PATIENTS = 20
MARKER = "ZQXMARKER"


@dataclass(frozen=True)
class Base:
    """A home after one ``ncrs ingest``, its answer, and the reference of the row in quarantine."""

    ncrs: Ncrs
    answer: dict[str, Any]


def _deliver(home: Path, feed: str, rows: list[dict[str, Any]], **fields: Any) -> Delivery:
    made = delivery(rows, home.parent / "made" / feed, feed=feed, **fields)
    made.write(home / "drop")
    return made


def _marker(ncrs: Ncrs) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ncrs.home / "generations" / "current.json").read_text())
    return found


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """Good patients with one bad row, good summaries, and number changes whose hash is wrong."""
    home = tmp_path_factory.mktemp("base") / "home"
    rows = [patient(index) for index in range(PATIENTS)]
    rows[2]["gender"] = MARKER
    rows[3]["names"][0]["family"] = MARKER
    _deliver(home, "pds_patient", rows)
    _deliver(home, "scr_summary", [summary(index) for index in range(10)])
    bad = delivery([number_change(0)], home.parent / "made" / "bad", feed="pds_number_change")
    bad.manifest["files"][0]["sha256"] = "0" * 64
    bad.write(home / "drop")
    ncrs = Ncrs(home)
    return Base(ncrs, ncrs.json("ingest", code=Exit.DATA_REFUSED))


@pytest.fixture
def ncrs(base: Base, tmp_path: Path) -> Ncrs:
    """A copy of the base, to be changed."""
    shutil.copytree(base.ncrs.home, tmp_path / "home")
    return Ncrs(tmp_path / "home")


def test_a_refused_feed_does_not_stop_the_others(base: Base) -> None:
    outcomes = {feed["feed"]: [extract["outcome"] for extract in feed["extracts"]] for feed in base.answer["feeds"]}
    assert outcomes == {"pds_number_change": ["refused"], "pds_patient": ["partial"], "scr_summary": ["accepted"]}
    assert base.answer["published"] == _marker(base.ncrs)["generation"]
    acknowledged = json.loads((base.ncrs.home / "ack" / "pds_number_change" / "PDS" / "00000001.json").read_text())
    assert acknowledged["outcome"] == "refused"


def test_status_counts_what_was_refused_and_held(base: Base) -> None:
    status = base.ncrs.json("status", code=None)
    feeds = {feed["feed"]: feed for feed in status["feeds"]}
    assert feeds["pds_number_change"]["refusals"] == 1
    assert feeds["pds_patient"]["quarantined"] == 1
    rows = {table["table"]: table["rows"] for table in status["generation"]["tables"]}
    assert rows["replica__pds_patient"] == PATIENTS - 1


def test_nothing_of_a_patient_is_in_the_orchestrators_store(base: Base) -> None:
    """Also not when a row is quarantined and a file is refused."""
    stored = b"".join(path.read_bytes() for path in (base.ncrs.home / "dagster").rglob("*") if path.is_file())
    assert b"ingest__pds_patient" in stored
    assert MARKER.encode() not in stored
    assert patient(3)["nhs_number"].encode() not in stored


def test_again_there_is_nothing_to_do(ncrs: Ncrs) -> None:
    again = ncrs.json("ingest")
    assert again["published"] is None
    assert [feed["run"] for feed in again["feeds"]] == [None, None, None]


def test_a_corrected_delivery_is_taken_in_under_the_same_sequence(ncrs: Ncrs) -> None:
    _deliver(ncrs.home, "pds_number_change", [number_change(0)])
    first = _marker(ncrs)["generation"]
    done = ncrs.json("ingest", "pds_number_change", "--no-publish")
    assert [extract["outcome"] for feed in done["feeds"] for extract in feed["extracts"]] == ["accepted"]
    assert _marker(ncrs)["generation"] == first
    plan = ncrs.json("build", "--plan")
    assert [step["feed"] for step in plan["steps"]] == ["pds_number_change"]
    assert ncrs.json("publish", "--reason", "a correction")["published"] != first
    assert _marker(ncrs)["reason"] == "a correction"


def test_a_full_that_shrank_passes_once_a_person_said_why(ncrs: Ncrs) -> None:
    _deliver(ncrs.home, "pds_patient", [patient(index) for index in range(5)], sequence=2, kind="full")
    refused = ncrs.json("ingest", "pds_patient", "--no-publish", code=Exit.DATA_REFUSED)
    assert [extract["code"] for feed in refused["feeds"] for extract in feed["extracts"]] == ["FILE_SHRINK"]
    ncrs("approve", "pds_patient/PDS/1", "--reason", "it is another one", code=Exit.REFUSED)
    approved = ncrs.json("approve", "pds_patient/PDS/2", "--reason", "practice closed")
    assert approved["code"] == "FILE_SHRINK"
    taken = ncrs.json("ingest", "pds_patient", "--no-publish")
    assert [extract["accepted"] for feed in taken["feeds"] for extract in feed["extracts"]] == [5]


def test_build_anew_verify_and_roll_back(ncrs: Ncrs) -> None:
    first = _marker(ncrs)["generation"]
    second = ncrs.json("build", "--full", "--reason", "try")["published"]
    assert first != second
    assert first.split("-")[1] == second.split("-")[1], "built from the same extracts, the checksums are the same"
    assert ncrs.json("rollback", "--to", "previous", "--reason", "try")["generation"] == first
    assert [row["name"] for row in ncrs.json("generations")["generations"] if row["current"]] == [first]
    assert ncrs.json("publish")["published"] is None
    assert "REFUSED" in ncrs("rollback", "--to", "previous", "--reason", "x", code=Exit.REFUSED).stderr
    assert ncrs.json("verify")["passed"]
    deep = ncrs.json("verify", "--deep")
    assert [check["name"] for check in deep["checks"]] == ["manifest", "files", "tables", "index", "rows", "documents"]
    assert deep["passed"]


def test_damage_is_found_and_never_rolled_back_to(ncrs: Ncrs) -> None:
    first = _marker(ncrs)["generation"]
    ncrs("build", "--full")
    replica = ncrs.home / "generations" / first / "replica.duckdb"
    content = bytearray(replica.read_bytes())
    content[len(content) // 2] ^= 1
    replica.chmod(0o600)
    replica.write_bytes(content)
    result = ncrs.json("verify", first, code=Exit.FAILURE)
    assert [check["name"] for check in result["checks"] if not check["passed"]] == ["files"]
    refused = ncrs("rollback", "--to", first, "--reason", "try", code=Exit.FAILURE)
    assert "does not verify" in refused.stderr
    assert _marker(ncrs)["generation"] != first


def test_two_builders_at_a_time(ncrs: Ncrs) -> None:
    with (ncrs.home / "build.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = ncrs("build", "--full", code=Exit.REFUSED)
    assert "Another build is at work" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_killed_ingest_is_made_up_for_and_its_run_is_closed(tmp_path: Path) -> None:
    ncrs = Ncrs(tmp_path / "home")
    settings = Settings(home=ncrs.home)
    _deliver(ncrs.home, "pds_patient", [patient(index) for index in range(PATIENTS)])
    child = subprocess.Popen([sys.executable, "-m", "pipelines.cli", "ingest"], cwd=ROOT, env=ncrs.environment)
    deadline = time.monotonic() + 120
    while not list((ncrs.home / "landing").glob("*/*/*/manifest.json")):
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    done = ncrs.json("ingest")
    assert done["published"]
    assert [entry.outcome for entry in ledger_of(settings).entries("pds_patient")] == ["accepted"]
    with open_instance(settings) as instance:
        unfinished = instance.get_runs(
            dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
        )
        failed = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    assert not unfinished
    assert len(failed) == 1


@pytest.fixture
def held(ncrs: Ncrs) -> Iterator[tuple[Ncrs, str]]:
    """The sandbox's sign-in service for tokens, and the row in quarantine."""
    port = free_port()
    signed = Ncrs(ncrs.home, {"NCRS_ISSUER": f"http://127.0.0.1:{port}"})
    listed = signed.json("quarantine", "list", "pds_patient")
    assert [row["state"] for row in listed] == ["open"]
    with signed.serving("sandbox", "identity", "--port", str(port), ready=f"http://127.0.0.1:{port}/jwks"):
        yield signed, listed[0]["ref"]


def test_a_quarantined_row_is_listed_masked_and_shown_to_the_right_role_only(held: tuple[Ncrs, str]) -> None:
    ncrs, row = held
    number = patient(2)["nhs_number"]
    assert number not in ncrs("quarantine", "list").stdout
    clinician = Ncrs(ncrs.home, {**ncrs.variables, "NCRS_TOKEN": ncrs.token("clinician")})
    refused = clinician("quarantine", "show", row, "--reason", "look", code=Exit.REFUSED)
    assert number not in refused.stdout + refused.stderr
    assert "quarantine-show" in refused.stderr
    tried = json.loads(ncrs("audit", "export").stdout.splitlines()[-1])
    assert "910000000001" in json.dumps(tried), "who was refused is on record"
    keeper = Ncrs(ncrs.home, {**ncrs.variables, "NCRS_TOKEN": ncrs.token("records-manager")})
    before = ncrs.json("audit", "verify")["events"]
    assert number in keeper("quarantine", "show", row, "--reason", "look").stdout
    assert ncrs.json("audit", "verify")["events"] == before + 1
    keeper("quarantine", "drop", row, "--reason", "   ", code=Exit.REFUSED)
    assert ncrs.json("quarantine", "list")[0]["state"] == "open"
    assert keeper.json("quarantine", "drop", row, "--reason", "seen, wrong")["row"] == row
    assert ncrs.json("quarantine", "list") == []
    assert [entry["state"] for entry in ncrs.json("quarantine", "list", "--all")] == ["dropped"]


def test_replay_answers_from_a_named_generation_and_is_recorded(held: tuple[Ncrs, str]) -> None:
    ncrs, _ = held
    number = patient(1)["nhs_number"]
    generation = _marker(ncrs)["generation"]
    clinician = Ncrs(ncrs.home, {**ncrs.variables, "NCRS_TOKEN": ncrs.token("clinician")})
    answer = json.loads(clinician("replay", generation, "--json", text=f"{number}\n").stdout)
    assert (answer["generation"], answer["resource"]["id"]) == (generation, number)
    event = json.loads(ncrs("audit", "export").stdout.splitlines()[-1])
    assert number in json.dumps(event)
    nobody = Ncrs(ncrs.home, {**ncrs.variables, "NCRS_TOKEN": "nonsense"})
    assert number not in nobody("replay", generation, text=f"{number}\n", code=Exit.REFUSED).stdout
    assert number not in clinician("replay", generation, text=f"{number[:-1]}x\n", code=Exit.USAGE).stderr
