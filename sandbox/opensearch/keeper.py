"""Keeps one node for another process: started by it, ended with it, however that one ends.

Belongs here: what must outlive the parent by a moment. Does not belong here: anything of OpenSearch.
Run as a program by its path, with nothing but the standard library, so that it starts in a moment.

The parent holds the other end of standard input. When that end is gone, by a close or by a kill -9 of
the parent, the node is killed and the folder of the run removed. The first line of standard output is
the node's process id; this process then ends when the node does.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import Any


def main(order: dict[str, Any]) -> None:
    """Start, report, then wait for whichever ends first."""
    child = _start(order)
    # Only now: a signal that is ignored stays so in what is started, and the node must hear it.
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(kind, signal.SIG_IGN)
    sys.stdout.write(f"{child.pid}\n")
    sys.stdout.flush()
    alone = threading.Event()
    threading.Thread(target=_until_alone, args=(child, alone), daemon=True).start()
    code = child.wait()
    if alone.is_set():
        shutil.rmtree(order["remove"], ignore_errors=True)
    os._exit(code if code >= 0 else 128 - code)


def _start(order: dict[str, Any]) -> subprocess.Popen[bytes]:
    other = {} if order["uid"] is None else {"user": order["uid"], "group": order["gid"], "extra_groups": []}
    with open(order["log"], "ab") as log:  # noqa: PTH123 - pathlib would double the time this program takes to start
        return subprocess.Popen(  # noqa: S603 - the order comes from node.py
            order["command"],
            cwd=order["folder"],
            env=order["environment"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **other,
        )


def _until_alone(child: subprocess.Popen[bytes], alone: threading.Event) -> None:
    sys.stdin.buffer.read()
    alone.set()
    child.kill()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
