"""A real OpenSearch for tests: one node for the whole run, three for the faults.

Belongs here: which node a test talks to, names that do not meet, cleaning up. Does not belong here:
how a node is run (``sandbox/opensearch``), faults of the network (``tests/lib/proxy.py``).

All processes of a run share one node. The first test that needs it starts it under a lock, as a child
of nobody that ends with the process that began the run, however that ends. ``OPENSEARCH_URL`` names
another cluster; then nothing is started.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from sandbox.opensearch.cluster import LocalCluster
from sandbox.opensearch.node import free_ports
from schemas.errors import NcrsError

URL = "OPENSEARCH_URL"
RUN = "NCRS_TEST_RUN"
HEAP = "768m"
READY_S = 240.0
_KEPT: list[subprocess.Popen[bytes]] = []  # a Popen that is forgotten while its process runs warns
HOW = f"Give {URL}=http://HOST:PORT to run these tests on a cluster that is there already."


def begin_run() -> bool:
    """Called as pytest starts: True in the process that began the run, False in its workers."""
    if RUN in os.environ:
        return False
    os.environ[RUN] = f"{tempfile.mkdtemp(prefix='ncrs-test-run-')}:{os.getpid()}"
    return True


def end_run() -> None:
    """Called as the run ends, also by Ctrl-C: stop what was started, in the process that began the run."""
    folder, owner = run_folder()
    if owner != os.getpid():
        return
    started = folder / "pid"
    if started.is_file():
        _stop(int(started.read_text()))
    shutil.rmtree(folder, ignore_errors=True)
    del os.environ[RUN]


def opensearch_address() -> str:
    """The address of the run's node, started now when no test needed it before. Fails the test when there is none."""
    given = os.environ.get(URL)
    if given:
        return given.rstrip("/")
    folder, owner = run_folder()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = folder / "address"
        if not known.is_file():
            known.write_text(_start(folder, owner))
    return known.read_text()


def run_folder() -> tuple[Path, int]:
    """What the processes of a run share, and the process that began it."""
    folder, _, owner = os.environ[RUN].rpartition(":")
    return Path(folder), int(owner)


def _start(folder: Path, owner: int) -> str:
    """Start the node and wait for it; when that failed once, later tests fail at once with the same words."""
    log = folder / "opensearch.log"
    if log.is_file():
        pytest.fail(_failure(log), pytrace=False)
    port = free_ports(1)[0]
    command = ("opensearch", "--port", str(port), "--heap", HEAP, "--quick", "--until-ends", str(owner))
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _KEPT.append(process)
    (folder / "pid").write_text(str(process.pid))
    _wait(process, log)
    return f"http://127.0.0.1:{port}"


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while b"OpenSearch answers" not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(_failure(log), pytrace=False)
        time.sleep(0.1)


def _failure(log: Path) -> str:
    return f"OpenSearch could not be started:\n{log.read_text(errors='replace')}\n{HOW}"


def _stop(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
        for _ in range(300):
            os.kill(pid, 0)
            _reap(pid)
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _reap(pid: int) -> None:
    """In a run of one process the node's process is a child of ours, and stays as a zombie until waited for."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


@contextmanager
def index_prefix(address: str) -> Iterator[str]:
    """A prefix for index names that nobody else has; what was made under it is removed afterwards."""
    prefix = f"t{uuid.uuid4().hex[:10]}-"
    try:
        yield prefix
    finally:
        remove_indices(address, prefix)


def remove_indices(address: str, prefix: str) -> None:
    """Delete every index under a prefix."""
    with httpx2.Client(base_url=address, timeout=30.0, trust_env=False) as client:
        found = client.get(f"/{prefix}*/_alias", params={"expand_wildcards": "all"})
        for name in found.json() if found.is_success else ():
            client.delete(f"/{name}")


@contextmanager
def local_cluster(count: int) -> Iterator[LocalCluster]:
    """Nodes of this test's own, to be killed as it likes. Fails the test when they cannot be had."""
    try:
        cluster = LocalCluster(count, heap="512m", quick=True)
        cluster.start()
    except NcrsError as error:
        pytest.fail(f"{error}\n{HOW}", pytrace=False)
    try:
        yield cluster
    finally:
        cluster.stop()
