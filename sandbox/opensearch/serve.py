"""One node in the foreground, until it is told to stop: what ``python -m sandbox opensearch`` does.

Belongs here: signals, what is printed, when to end. Does not belong here: options (``sandbox/cli.py``),
the node (``node.py``).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from sandbox.opensearch.artefact import VERSION, fetch
from sandbox.opensearch.java import find_java
from sandbox.opensearch.node import Node, Plan
from sandbox.opensearch.room import Room
from schemas.errors import PermanentFault

POLL_S = 0.25


class _Stop(Exception):
    """A signal asked to stop."""


def download(say: Callable[[str], None]) -> None:
    """Fetch what a node needs, and no more."""
    java = find_java()
    home = fetch(bar, languages=java.whole)
    say(f"OpenSearch {VERSION} is in {home}; Java {java.version} in {java.home}.")


def serve(plan: Plan, say: Callable[[str], None], until_ends: int | None = None) -> None:
    """Serve until a signal, or until another process ends. Raises PermanentFault when the node ends by itself."""
    with Room(bar) as room, _signals():
        node = Node(room, plan)
        try:
            say(f"Starting OpenSearch {VERSION}, Java {room.java.version}, data in {node.data} ...")
            node.start()
            node.wait_ready()
            say(f"OpenSearch answers at {node.address}. Ctrl-C stops it.")
            _watch(node, until_ends)
        except _Stop:
            say("Stopping OpenSearch ...")
        finally:
            node.stop()


def _watch(node: Node, until_ends: int | None) -> None:
    while until_ends is None or _lives(until_ends):
        if not node.running:
            raise PermanentFault(f"OpenSearch ended.\n{node.tail()}\n", remedy="Its last lines are above.")
        time.sleep(POLL_S)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _signals() -> Iterator[None]:
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {kind: signal.signal(kind, _stop) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _Stop


@contextmanager
def bar(name: str, size: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error for a download."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=size)
        yield lambda part: progress.advance(task, part)


def plan_of(port: int, heap: str, data: Path | None, *, quick: bool) -> Plan:
    """What the command's options ask for."""
    return Plan(port=port, heap=heap, data=data, quick=quick)
