"""Commands watched from outside: their size and time are told, and none outlives the one that watches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.performance.figures import ROOT
from tests.performance.national.watching import held_gb, session, watch

# Modules of the standard library that print and end, fail, and go on until they are ended.
PRINTS, FAILS, STAYS = ["this"], ["json.tool", "no such file"], ["http.server", "0", "--bind", "127.0.0.1"]
PATIENCE = 30.0


def test_what_a_command_prints_comes_back_and_its_time_is_told() -> None:
    told = list[tuple[float, float]]()
    done = watch(PRINTS, {}, lambda seconds, peak: told.append((seconds, peak)))
    assert "Zen of Python" in done.output
    assert told == [(done.seconds, done.peak_gb)]
    assert done.seconds > 0


def test_a_command_that_fails_is_told() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        watch(FAILS, {}, lambda _seconds, _peak: None)


def test_a_process_holds_memory_and_one_that_ended_holds_none() -> None:
    assert held_gb([os.getpid()]) > 0.01
    assert held_gb([2**22 + 1]) == 0.0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_command_ends_with_the_one_that_watches_it(number: signal.Signals) -> None:
    # Whoever runs the tests in the background of a shell hands on that SIGINT is ignored.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heard}; from tests.performance.national.watching import watch; watch({STAYS}, {{}}, print)"
    watcher = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        [child] = _soon(lambda: _children(watcher.pid))
        assert session(child) == [child]
        watcher.send_signal(number)
        watcher.wait(PATIENCE)
        _soon(lambda: not Path(f"/proc/{child}").exists() or _is_over(child))
    finally:
        watcher.kill()
        watcher.wait()


def _children(process: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _is_over(process: int) -> bool:
    """Ended, though nobody has asked how: the init of a container need not."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _soon(look):  # type: ignore[no-untyped-def]
    """What the look gives once it gives something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)
    return found
