"""Real processes: waited for, watched, and stopped with everything they started."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from pipelines.supervise import Company, Program
from schemas.errors import PermanentFault

SERVER = """
import http.server, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
open(sys.argv[1], "w").write(str(server.server_port))
server.serve_forever()
"""


def _program(tmp_path: Path, code: str, *arguments: str, ready: str | None = None) -> Program:
    return Program("part", (sys.executable, "-u", "-c", code, *arguments), ready, tmp_path / "logs" / "part.log")


def _gone(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat")
    if stat.exists():
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def _wait_for(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return path.read_text()


def test_a_child_and_what_it_started_are_gone_after_the_block(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    with Company({}, tmp_path) as company:
        company.start(_program(tmp_path, SERVER, str(port_file)))
        _wait_for(port_file)
        company.check()
        grandchild = int(_wait_for(tmp_path / "logs" / "part.log").split()[1])
        assert not _gone(grandchild)
    deadline = time.monotonic() + 10
    while not _gone(grandchild):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ready_means_that_the_address_answers(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    with Company({}, tmp_path) as company:
        company.start(_program(tmp_path, SERVER, str(port_file)))
        port = _wait_for(port_file)
        company.start(_program(tmp_path, "import time; time.sleep(60)", ready=f"http://127.0.0.1:{port}/"))
        company.wait_ready(20)


def test_a_child_that_does_not_answer_in_time_is_named_with_its_log(tmp_path: Path) -> None:
    program = _program(tmp_path, "import time; time.sleep(60)", ready="http://127.0.0.1:9/")
    with Company({}, tmp_path) as company:
        company.start(program)
        with pytest.raises(PermanentFault, match=r"part did not answer within 1 s. See .*part\.log"):
            company.wait_ready(1)


def test_a_child_that_ends_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Company({}, tmp_path) as company:
        company.start(_program(tmp_path, "print('no room left'); raise SystemExit(7)"))
        with pytest.raises(PermanentFault, match=r"(?s)part ended with code 7.*no room left"):
            company.watch()


def test_children_get_the_environment_that_was_given(tmp_path: Path) -> None:
    with Company({"NCRS_HOME": "/somewhere"}, tmp_path) as company:
        company.start(_program(tmp_path, "import os, time; print(os.environ['NCRS_HOME']); time.sleep(60)"))
        assert _wait_for(tmp_path / "logs" / "part.log").strip() == "/somewhere"
