"""The command line: it answers at once, ends with the documented codes, and never with a traceback."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines import cli_common
from pipelines.cli_common import Exit, exit_code, in_words
from pipelines.home import ledger_of
from schemas.errors import ConfigurationError, DataFault, FileRefused, NcrsError, PassingFault, PermanentFault, Refused
from search_api.ops.ledger import ExtractEntry
from search_api.settings import Settings
from tests.lib import forked
from tests.lib.generations import manifest, write_current
from tests.lib.house import ROOT

HELP_SECONDS = 0.7
MARKER = "ZQXMARKER"


def _ncrs(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NCRS_HOME": str(home), **variables}
    return forked.run("pipelines.cli", *arguments, environment=environment, timeout=120)


def _started(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In earnest: with all that it has to import."""
    return _python(home, "-m", "pipelines.cli", *arguments)


def _python(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "NCRS_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _imported(home: Path, *arguments: str) -> set[str]:
    """Top-level names of the modules that a command imported."""
    code = f"import sys\nsys.argv = ['ncrs', *{arguments!r}]\nfrom pipelines.cli import main\ntry:\n    main()\nfinally:\n    print('\\n'.join(sys.modules), file=sys.stderr)"
    done = _python(home, "-c", code)
    return {line.split(".")[0] for line in done.stderr.splitlines()}


def test_help_answers_at_once(tmp_path: Path) -> None:
    """Processor time, the best of three: a machine that is busy elsewhere makes nothing slower here."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = _started(tmp_path, "--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        assert done.returncode == Exit.OK
    assert "Exit codes" in done.stdout
    assert min(times) < HELP_SECONDS


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = {"dagster", "polars", "duckdb", "sqlalchemy", "fastapi", "pydantic", "great_expectations"}
    assert _imported(tmp_path, "--help") & heavy == set()


def test_status_works_without_the_orchestrator(tmp_path: Path) -> None:
    assert "dagster" not in _imported(tmp_path / "home", "status")


def test_status_before_anything_was_published(tmp_path: Path) -> None:
    done = _ncrs(tmp_path / "home", "status", "--json")
    assert done.returncode == Exit.FAILURE
    document = json.loads(done.stdout)
    assert document["generation"] is None
    assert {feed["state"] for feed in document["feeds"]} == {"never"}


def test_status_names_the_generation_and_the_state_of_each_feed(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    write_current(settings, manifest(4, pds_patient=1))
    now = datetime.now(UTC)
    ledger_of(settings).record(
        ExtractEntry(
            feed="pds_patient",
            source="PDS",
            sequence=1,
            fingerprint="1",
            sha256="1",
            kind="full",
            as_at=now - timedelta(days=2),
            accepted=1234,
            quarantined=5,
            outcome="accepted",
            received_at=now,
        )
    )
    done = _ncrs(settings.home, "status")
    assert done.returncode == Exit.OK
    line = next(line for line in done.stdout.splitlines() if line.startswith("pds_patient"))
    assert line.split()[1] == "late"
    assert "2 d" in line
    assert "1,234" in line
    assert "Generation 000004-" in done.stdout


def test_the_home_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    _ncrs(tmp_path / "home", "status")
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0


def test_doctor_in_json(tmp_path: Path) -> None:
    done = _ncrs(tmp_path / "home", "doctor", "--json")
    findings = json.loads(done.stdout)
    assert {"name", "level", "text", "remedy"} == set(findings[0])
    assert done.returncode == (Exit.FAILURE if any(f["level"] == "fail" for f in findings) else Exit.OK)


def test_a_wrong_setting_is_named_and_its_value_is_not(tmp_path: Path) -> None:
    done = _ncrs(tmp_path, "status", NCRS_PORT=MARKER)
    assert done.returncode == Exit.USAGE
    assert done.stderr.startswith("CONFIGURATION: These settings are wrong: NCRS_PORT.")
    assert MARKER not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [("no-such-command",), ("status", "--no-such-option"), ("ingest", "no_such_feed")]
)
def test_wrong_usage(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = _ncrs(tmp_path / "home", *arguments)
    assert done.returncode == Exit.USAGE
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = _ncrs(tmp_path / "file" / "home", "status")
    assert done.returncode == Exit.FAILURE
    assert done.stderr.startswith("SYSTEM: ")
    assert len(done.stderr.splitlines()) == 1


def test_nothing_delivered_is_no_failure(tmp_path: Path) -> None:
    done = _ncrs(tmp_path / "home", "ingest", "--json")
    assert done.returncode == Exit.OK
    document = json.loads(done.stdout)
    assert document["published"] is None
    assert [feed["extracts"] for feed in document["feeds"]] == [[], [], []]


def test_a_later_day_of_the_sandbox_remembers_the_people_of_day_0(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert _ncrs(home, "sandbox", "extract", "--patients", "60", "--seed", "5").returncode == Exit.OK
    assert _ncrs(home, "sandbox", "extract", "--day", "1").returncode == Exit.OK
    assert json.loads((home / "sandbox.json").read_text()) == {"patients": 60, "seed": 5}
    manifests = sorted((home / "drop" / "pds_patient" / "PDS").glob("*/manifest.json"))
    read = [json.loads(manifest.read_text()) for manifest in manifests]
    assert [(manifest["kind"], manifest["sequence"]) for manifest in read] == [("full", 1), ("delta", 2)]
    assert read[0]["record_count"] == 60


def test_the_access_log_is_checked_and_its_head_can_be_kept(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = _ncrs(home, "audit", "verify", "--json")
    assert first.returncode == Exit.OK
    document = json.loads(first.stdout)
    assert (document["events"], document["whole"]) == (0, True)
    assert _ncrs(home, "audit", "verify", "--head", document["head"]).returncode == Exit.OK
    assert _ncrs(home, "audit", "verify", "--head", f"7:{'0' * 64}").returncode == Exit.FAILURE
    assert _ncrs(home, "audit", "verify", "--head", "nonsense").returncode == Exit.USAGE


def test_an_export_to_a_file_is_closed_to_others(tmp_path: Path) -> None:
    target = tmp_path / "audit.ndjson"
    done = _ncrs(tmp_path / "home", "audit", "export", "--to", str(target), "--json")
    assert json.loads(done.stdout) == {"events": 0, "file": str(target)}
    assert target.stat().st_mode & 0o077 == 0


def test_serve_refuses_a_port_that_is_taken(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        done = _ncrs(tmp_path / "home", "serve", "--port", str(server.getsockname()[1]))
    assert done.returncode == Exit.REFUSED
    assert done.stderr.startswith("REFUSED: Port ")


def test_run_refuses_a_port_that_is_taken_and_says_what_to_set(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        done = _ncrs(tmp_path / "home", "run", "--identity-port", str(server.getsockname()[1]))
    assert done.returncode == Exit.REFUSED
    assert "make run IDENTITY_PORT=" in done.stderr


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (ConfigurationError("x"), Exit.USAGE),
        (Refused("x"), Exit.REFUSED),
        (FileRefused("x"), Exit.DATA_REFUSED),
        (DataFault("x"), Exit.DATA_REFUSED),
        (PassingFault("x"), Exit.TRY_AGAIN),
        (PermanentFault("x"), Exit.FAILURE),
        (NcrsError("x"), Exit.FAILURE),
    ],
)
def test_each_kind_of_fault_has_its_exit_code(fault: NcrsError, code: Exit) -> None:
    assert exit_code(fault) == code


def test_every_exit_code_is_documented() -> None:
    assert set(cli_common.EXIT_MEANING) == set(Exit)


def test_an_unexpected_error_shows_where_and_not_what(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, cli_common.OneLineEnding():
        raise ValueError(MARKER)
    text = capsys.readouterr().err
    assert ended.value.code == Exit.FAILURE
    assert text.startswith("UNEXPECTED: ValueError.")
    assert "test_cli.py" in text
    assert "raise ValueError" in text
    assert MARKER not in text


def test_ctrl_c_has_its_exit_code() -> None:
    with pytest.raises(SystemExit) as ended, cli_common.OneLineEnding():
        raise KeyboardInterrupt
    assert ended.value.code == Exit.INTERRUPTED


def test_a_damaged_database_is_one_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "control.db").write_text(MARKER * 1000)
    done = _ncrs(home, "status")
    assert done.returncode == Exit.FAILURE
    assert done.stderr == "DATABASE: a database cannot be used (DatabaseError). Run `ncrs doctor`.\n"
    found = _ncrs(home, "doctor")
    assert found.returncode == Exit.FAILURE
    assert "fail  databases: " in found.stdout


def test_a_locked_database_may_be_tried_again() -> None:
    from sqlalchemy.exc import OperationalError

    line, code = cli_common.explain(OperationalError("SELECT", {}, Exception("database is locked")))
    assert code == Exit.TRY_AGAIN
    assert "SELECT" not in line


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (None, "–"),
        (timedelta(seconds=20), "0 min"),
        (timedelta(minutes=59), "59 min"),
        (timedelta(hours=5, minutes=10), "5 h 10 min"),
        (timedelta(days=3, hours=4), "3 d 4 h"),
        (timedelta(days=7), "7 d"),
        (-timedelta(hours=2), "-2 h 0 min"),
    ],
)
def test_spans_in_words(span: timedelta | None, words: str) -> None:
    assert in_words(span) == words
