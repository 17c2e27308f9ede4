"""A process that has imported what commands need, and forks one for each that is asked for: ``-m tests.lib.forge``.

Belongs here: the process itself. Does not belong here: starting it and asking it (``forked.py``).

A command of ours takes one to eight seconds of a processor to import what it needs and much less to do its work,
and the tests start hundreds. A forked one is a process all the same: it has its own arguments, environment,
files and end, and may be killed. That a command starts by itself is shown where it is started in earnest
(``tests/unit/test_cli.py``, ``tests/acceptance``).

An order is one message with three open files, for standard input, output and errors. The answer is the process
id, then the exit code when the process has ended, both as the text of a number and a line feed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

MOST_BYTES = 1 << 18
LOOK_S = 1.0
PRELOADED = (
    "assets.published.service", "great_expectations", "great_expectations.expectations.expectation_configuration",
    "pipelines.definitions", "pipelines.home", "pipelines.instance", "pipelines.launch", "search_api.index.engines",
    "search_api.trace.running", "tests.lib.validated", "tests.lib.trace_files",
)  # fmt: skip

Order = dict[str, Any]


def serve(at: Path, owner: int) -> Order | None:
    """Fork for every order until the owner's process is gone. Returns in each fork, with its order."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(str(at))
        door.listen(16)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while Path(f"/proc/{owner}").exists():
            _reap()
            if select.select([door], [], [], LOOK_S)[0]:
                asker, _ = door.accept()
                with asker:
                    order = _taken(asker, door)
                if order is not None:
                    return order
    return None


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _taken(asker: socket.socket, door: socket.socket) -> Order | None:
    """The order in the process that is to do it; None in this one."""
    message, files, _, _ = socket.recv_fds(asker, MOST_BYTES, 3)
    if not os.fork():
        door.close()
        # Who watches the command tells how it ended; the forge itself waits for nobody.
        command = os.fork()
        if not command:
            asker.close()
            return _placed(json.loads(message), files)
        _watch(command, asker, files)
    for file in files:
        os.close(file)
    return None


def _watch(command: int, asker: socket.socket, files: list[int]) -> None:
    for file in (0, 1, 2, *files):
        os.close(file)
    with suppress(OSError):
        asker.sendall(b"%d\n" % command)
    _, status = os.waitpid(command, 0)
    with suppress(OSError):
        asker.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _placed(order: Order, files: list[int]) -> Order:
    """This process, with the files, the folder and the environment of the order."""
    if order["session"]:
        os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return order


def become(order: Order) -> None:
    """Run the module of the order as ``python -m`` does."""
    sys.modules.pop(order["module"], None)
    sys.argv = [order["module"], *order["arguments"]]
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for name in PRELOADED:
        importlib.import_module(name)
    # What was imported is not looked through for garbage, which would copy its pages into each fork.
    gc.collect()
    gc.freeze()
    taken = serve(Path(sys.argv[1]), int(sys.argv[2]))
    if taken is not None:
        become(taken)
