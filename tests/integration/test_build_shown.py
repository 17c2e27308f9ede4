"""What ``ncrs ingest`` and ``ncrs publish`` say while and after a generation is built. Each command is a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.cli_common import Exit
from tests.lib.command_line import Ncrs
from tests.lib.extracts import delivery, number_change, patient

PATIENTS = 12


@pytest.fixture
def ncrs(tmp_path: Path) -> Ncrs:
    """A home to which patients and a bad file of number changes were delivered."""
    home = tmp_path / "home"
    delivery([patient(index) for index in range(PATIENTS)], tmp_path / "made").write(home / "drop")
    bad = delivery([number_change(0)], tmp_path / "bad", feed="pds_number_change")
    bad.manifest["files"][0]["sha256"] = "0" * 64
    bad.write(home / "drop")
    return Ncrs(home)


def test_a_log_gets_one_line_for_each_step_and_the_sentence_of_a_refusal(ncrs: Ncrs) -> None:
    done = ncrs("ingest", code=Exit.DATA_REFUSED)
    steps = [line for line in done.stderr.splitlines() if line.endswith("...") and ": " in line]
    assert steps == [f"{step}: {PATIENTS} ..." for step in ("Counting names", "Writing the search index")]
    [said] = [line for line in done.stdout.splitlines() if line.startswith("pds_number_change/PDS/1: ")]
    assert "SHA-256" in said or "hash" in said


def test_a_terminal_gets_documents_done_of_all(ncrs: Ncrs, monkeypatch: pytest.MonkeyPatch) -> None:
    ncrs("ingest", "--no-publish", code=Exit.DATA_REFUSED)
    monkeypatch.setenv("FORCE_COLOR", "1")
    done = ncrs("publish", code=Exit.OK)
    assert "Writing the search index" in done.stderr
    assert f"{PATIENTS}/{PATIENTS}" in done.stderr


def test_a_program_gets_one_document_and_no_steps(ncrs: Ncrs) -> None:
    ncrs("ingest", "--no-publish", code=Exit.DATA_REFUSED)
    done = ncrs("publish", "--json", code=Exit.OK)
    assert done.stderr.splitlines() == ["Building and publishing a generation ..."]
    assert done.stdout.lstrip().startswith("{")


def test_status_says_why_the_last_build_failed_until_one_succeeds(ncrs: Ncrs) -> None:
    ncrs("ingest", "--no-publish", code=Exit.DATA_REFUSED)
    validated = ncrs.home / "validated"
    validated.rename(ncrs.home / "elsewhere")
    ncrs("publish", code=Exit.FAILURE)
    failure = ncrs.json("status", code=None)["failure"]
    assert failure["code"] == "PERMANENT"
    assert "validated rows" in failure["detail"]
    assert "The last build failed at" in ncrs("status", code=None).stdout
    (ncrs.home / "elsewhere").rename(validated)
    ncrs("publish", code=Exit.OK)
    assert ncrs.json("status", code=None)["failure"] is None
