"""Programs of ours as processes that need not import anything: forked from one that has (``forge.py``).

Belongs here: starting the forge of the run, and a program from it. Does not belong here: which programs
(``command_line.py`` for ``ncrs``).
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.lib.house import ROOT
from tests.lib.opensearch import run_folder


class Forked:
    """A running program: as much of ``subprocess.Popen`` as tests use. Without ``files`` nobody hears what it says.

    ``session``: it leads a group of its own, with the processes it starts.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        files: tuple[int, int, int] | None = None,
        environment: Mapping[str, str] | None = None,
        session: bool = False,
    ) -> None:
        order = {
            "module": module,
            "arguments": arguments,
            "environment": dict(os.environ if environment is None else environment),
            "folder": str(ROOT),
            "session": session,
        }
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._line.connect(str(_forge()))
        with Path(os.devnull).open("r+b") as nothing:
            socket.send_fds(self._line, [json.dumps(order).encode()], files or (nothing.fileno(),) * 3)
        self._said = self._line.makefile("rb")
        self.pid = int(self._said.readline())
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once it has ended. Raises TimeoutError."""
        if self.returncode is None:
            self._line.settimeout(timeout)
            self.returncode = int(self._said.readline())
            self._said.close()
            self._line.close()
        return self.returncode

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        with suppress(TimeoutError, BlockingIOError):
            if self.returncode is None and self._line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                return self.wait()
        return self.returncode


def run(
    module: str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    text: str = "",
    timeout: float = 600,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with what it said."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        given.write(text.encode())
        given.seek(0)
        files = (given.fileno(), out.fileno(), errors.fileno())
        running = Forked(module, *arguments, files=files, environment=environment)
        try:
            code = running.wait(timeout)
        except BaseException:
            running.kill()
            running.wait(30)
            raise
        out.seek(0)
        errors.seek(0)
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.CompletedProcess(command, code, out.read().decode(), errors.read().decode())


def _forge() -> Path:
    """The address of the run's forge, which is started now when nobody needed it before."""
    folder, owner = run_folder()
    address = folder / "forge"
    with (folder / "forge.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not address.exists():
            _start(folder, address, owner)
    return address


def _start(folder: Path, address: Path, owner: int) -> None:
    """It ends by itself when the process that began the run has ended."""
    with (folder / "forge.log").open("wb") as log:
        forge = subprocess.Popen(
            [sys.executable, "-m", "tests.lib.forge", str(address), str(owner)],
            cwd=ROOT,
            # As for a command whose output is read by a program: what it says is written at once.
            env={**os.environ, "PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    forge.returncode = 0  # nobody waits for it, and a Popen that is forgotten while its process runs warns
    assert forge.stdout is not None
    with forge.stdout as said:
        assert said.readline() == b"ready\n", (folder / "forge.log").read_text()[-3000:]
