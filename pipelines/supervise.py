"""Processes that belong together: started, waited for, watched, stopped as one.

Belongs here: what ``ncrs run`` needs of the operating system. Does not belong here: which processes
(``everything.py``). For production use a service manager; this is for one terminal.

Each child leads a session of its own, so Ctrl-C reaches only this process, which then stops the
children in order, each with all that it started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from schemas.errors import PermanentFault

POLL_S = 0.25
STOP_S = 20.0
LAST_LINES = 12


@dataclass(frozen=True)
class Program:
    """One process: its command, and the address that answers (any status below 500) once it is ready."""

    name: str
    command: Sequence[str]
    ready: str | None
    log: Path


class Company:
    """The children. As a context manager it leaves none behind."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = {**os.environ, **environment}
        self._folder = folder
        self._running: list[tuple[Program, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Company:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, program: Program) -> None:
        """Start one; its output goes to its log, which begins anew; that of the last time stays beside it."""
        program.log.parent.mkdir(parents=True, exist_ok=True)
        if program.log.exists():
            program.log.replace(program.log.with_suffix(".log.1"))
        with program.log.open("wb") as log:
            child = subprocess.Popen(  # noqa: S603 - commands are ours
                list(program.command),
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append((program, child))

    def wait_ready(self, timeout_s: float, *names: str) -> None:
        """Return when the named children answer (all when none is named).

        Raises PermanentFault when any ends, or one does not answer in time.
        """
        waiting = [program for program, _ in self._running if program.ready and (not names or program.name in names)]
        deadline = time.monotonic() + timeout_s
        while waiting:
            self.check()
            waiting = [program for program in waiting if not _answers(str(program.ready))]
            if waiting and time.monotonic() > deadline:
                silent = ", ".join(program.name for program in waiting)
                raise PermanentFault(
                    f"{silent} did not answer within {timeout_s:.0f} s.", remedy=f"See {waiting[0].log}."
                )
            time.sleep(POLL_S if waiting else 0)

    def check(self) -> None:
        """Raises PermanentFault with the end of its log when a child has ended."""
        for program, child in self._running:
            if child.poll() is not None:
                raise PermanentFault(
                    f"{program.name} ended with code {child.returncode}.\n{_tail(program.log)}\n",
                    remedy=f"The whole log is {program.log}.",
                )

    def watch(self) -> None:
        """Block until a child ends (PermanentFault) or a signal says stop (KeyboardInterrupt)."""
        while True:
            self.check()
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End the children, last started first: ask, wait, then make sure, each with its whole group."""
        for _, child in reversed(self._running):
            _signal(child, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        for _, child in reversed(self._running):
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(child, signal.SIGKILL)
                child.wait()
            _signal(child, signal.SIGKILL)
        self._running.clear()


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP become a KeyboardInterrupt inside the block."""
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {kind: signal.signal(kind, _interrupt) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> Any:
    raise KeyboardInterrupt


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    """To the child's group: also to what it started and has outlived it."""
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _answers(address: str) -> bool:
    import httpx2

    try:
        return httpx2.get(address, timeout=2.0).status_code < 500
    except httpx2.HTTPError:
        return False


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:] if log.exists() else []
    return "\n".join(f"    {line}" for line in lines)
