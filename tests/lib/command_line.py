"""``ncrs`` as ops run it, and programs that serve meanwhile: for tests of the whole way.

Belongs here: starting processes and reading what they print. Does not belong here: what is expected.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.lib import forked
from tests.lib.house import ROOT


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@dataclass(frozen=True)
class Ncrs:
    """The command line on one home."""

    home: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a process of this home gets."""
        return {**os.environ, "NCRS_HOME": str(self.home), "PYTHONUNBUFFERED": "1", **self.variables}

    def __call__(self, *arguments: str, code: int | None = 0, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end; ``code`` None accepts every exit code."""
        done = forked.run("pipelines.cli", *arguments, environment=self.environment, text=text)
        assert code is None or done.returncode == code, (
            f"{shlex.join(arguments)}: {done.returncode}\n{done.stderr[-3000:]}"
        )
        return done

    def json(self, *arguments: str, code: int | None = 0) -> Any:
        """The JSON answer of a command."""
        return json.loads(self(*arguments, "--json", code=code).stdout)

    def token(self, persona: str = "clinician") -> str:
        """A token of the sandbox."""
        return self("sandbox", "token", "--persona", persona).stdout.strip()

    @contextmanager
    def serving(self, *arguments: str, ready: str) -> Iterator[subprocess.Popen[bytes]]:
        """A command that serves, until the block ends; its output goes to a file in the home's folder."""
        log = self.home.parent / f"{arguments[-1] if len(arguments) == 1 else '-'.join(arguments[:2])}.log"
        with log.open("wb") as out:
            child = subprocess.Popen(
                [sys.executable, "-m", "pipelines.cli", *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                wait_until_answers(ready, child, log)
                yield child
            finally:
                stop(child)


def wait_until_answers(address: str, child: subprocess.Popen[bytes], log: Path, timeout_s: float = 90) -> None:
    """Return once the address answers below 500; fail with the log when the process ends or time is up."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        assert child.poll() is None, log.read_text(errors="replace")[-3000:]
        try:
            if httpx2.get(address, timeout=2).status_code < 500:
                return
        except httpx2.HTTPError:
            time.sleep(0.2)
    raise AssertionError(f"{address} did not answer: {log.read_text(errors='replace')[-3000:]}")


def stop(child: subprocess.Popen[bytes], number: int = signal.SIGTERM, timeout_s: float = 60) -> int:
    """Ask a process to end and wait; then make sure of its group. Returns its exit code."""
    if child.poll() is None:
        child.send_signal(number)
    try:
        return child.wait(timeout_s)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def first_group(pattern: str, text: str) -> str:
    """What the pattern's first group finds."""
    found = re.search(pattern, text)
    assert found, f"{pattern} is not in:\n{text[-3000:]}"
    return found[1]
