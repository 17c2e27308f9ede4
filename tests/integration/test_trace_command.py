"""``ncrs trace`` and the Dagster job ``trace`` over a published generation: answers, refusals, nothing of a row said."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import select

from pipelines.cli_common import Exit
from pipelines.definitions import build_definitions
from search_api.access.audit_store import EVENTS, audit_engine
from search_api.settings import Settings
from tests.lib import cast
from tests.lib.api import cast_home
from tests.lib.command_line import Ncrs
from tests.lib.trace_files import CUTHBERT, JANE, answers, text_of

WHO = ("--actor", "A. Jones", "--reason", "letters without numbers")
MARKERS = ("Markwell", "Zorblax", "zorblaxreference", cast.JANE, cast.CUTHBERT)
ROWS = [
    {**JANE, "NHS_NO": cast.JANE},
    CUTHBERT,
    {
        "FAMILY_NAME": "Markwell",
        "GIVEN_NAME": "Zorblax",
        "UNIQUE REFERENCE": "zorblaxreference",
        "DATE_OF_BIRTH": "Zorblax",
    },
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    source, folder = cast_home().home, tmp_path / "home"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("dagster", "audit.db*", "control.db*", "trace"))
    # Whoever closes the database last takes files away beside it: it is copied by itself, whole.
    with (
        closing(sqlite3.connect(source / "control.db")) as one,
        closing(sqlite3.connect(folder / "control.db")) as other,
    ):
        one.backup(other)
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "letters.csv"
    path.write_bytes(text_of(ROWS).encode())
    return path


def recorded(home: Path) -> list[dict[str, Any]]:
    with audit_engine(f"sqlite:///{home / 'audit.db'}").connect() as connection:
        found = connection.execute(select(EVENTS).where(EVENTS.c.policy == "trace")).mappings().all()
    return [dict(row) for row in found]


def test_a_file_is_answered_beside_itself(home: Path, file: Path) -> None:
    ncrs = Ncrs(home)
    done = ncrs("trace", str(file), *WHO)
    answer = file.with_name("letters.traced.csv")
    rows = answers(answer.read_text())
    assert [row["MATCHED_NHS_NO"] for row in rows] == [cast.JANE, cast.CUTHBERT, ""]
    assert [row["OUTCOME"] for row in rows] == ["cross_checked", "found", "wrong_format"]
    assert not [marker for marker in MARKERS if marker in done.stdout + done.stderr]
    (event,) = recorded(home)
    assert (event["user_id"], event["client_id"]) == ("A. Jones", "ncrs-operator")
    assert event["detail"].endswith("reason=letters without numbers")
    again = ncrs("trace", str(file), *WHO, code=Exit.REFUSED)
    assert "--restart" in again.stderr
    document = ncrs.json("trace", str(file), *WHO, "--restart", "--processes", "1")
    assert document["outcomes"] == {"cross_checked": 1, "found": 1, "wrong_format": 1}
    assert len(recorded(home)) == 2


def test_who_and_why_are_asked_for(home: Path, file: Path) -> None:
    ncrs = Ncrs(home)
    assert ncrs("trace", str(file), "--actor", "A. Jones", code=Exit.USAGE).returncode
    assert "--reason" in ncrs("trace", str(file), "--actor", "A. Jones", "--reason", " ", code=Exit.USAGE).stderr
    assert "--actor" in ncrs("trace", str(file), "--actor", "", "--reason", "x", code=Exit.USAGE).stderr
    assert recorded(home) == []


def test_a_file_that_is_none_names_line_and_rule(home: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text('UNIQUE REFERENCE,FAMILY_NAME\nR1,a\nR2,"Markwell\n')
    said = Ncrs(home)("trace", str(bad), *WHO, code=Exit.DATA_REFUSED).stderr
    assert "TRACE_FILE" in said
    assert "Line 4" in said or "Line 3" in said
    assert "Markwell" not in said


def test_the_dagster_job_answers_a_folder_and_keeps_no_value(home: Path, file: Path, tmp_path: Path) -> None:
    folder, target = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("b.csv", "a.csv"):
        shutil.copy(file, folder / name)
    (folder / "notes.md").write_text("not a trace file")
    config = {"folder_in": str(folder), "folder_out": str(target), "actor": "night", "reason": "nightly letters"}
    run_config = {"ops": {"trace_files": {"config": config}}}
    settings = Settings(home=home, trace_processes=1)
    job = build_definitions(settings=settings, automation=False).resolve_job_def("trace")
    with dg.DagsterInstance.ephemeral() as instance:
        first = job.execute_in_process(run_config=run_config, instance=instance)
        second = job.execute_in_process(run_config=run_config, instance=instance)
        logged = [entry.to_json() for run in (first, second) for entry in instance.all_logs(run.run_id)]
    assert sorted(path.name for path in target.iterdir()) == ["a.csv", "b.csv"]
    assert [_counts(run)["files"] for run in (first, second)] == [2, 0]
    assert _counts(second)["answered_before"] == 2
    assert len(logged) > 10
    assert [marker for marker in MARKERS if marker in "".join(logged)] == []
    assert {event["user_id"] for event in recorded(home)} == {"night"}


def _counts(run: Any) -> dict[str, int]:
    (output,) = [event for event in run.all_events if event.event_type_value == "STEP_OUTPUT"]
    return {name: value.value for name, value in output.step_output_data.metadata.items()}
