"""The life of a real node: its data over a kill, its end with its parent, what it says when it cannot start."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from sandbox.opensearch.node import Node, Plan, free_ports
from sandbox.opensearch.room import Room
from schemas.errors import PermanentFault

pytestmark = pytest.mark.slow


def test_a_node_keeps_its_data_over_a_kill_and_a_stop(tmp_path: Path) -> None:
    (tmp_path / "os").mkdir()
    with Room() as room:
        node = Node(room, Plan(data=tmp_path / "os", quick=True))
        node.start()
        node.wait_ready()
        stored = httpx2.put(f"{node.address}/kept/_doc/1?refresh=true", json={"a": 1}, trust_env=False)
        assert stored.is_success
        node.kill()
        assert not node.running
        assert not node.answers()
        node.start()
        node.wait_ready()
        assert httpx2.get(f"{node.address}/kept/_doc/1", trust_env=False).json()["_source"] == {"a": 1}
        _pauses(node)
        node.stop()
        assert not node.running
    assert not room.folder.exists()
    shutil.rmtree(node.data)


def _pauses(node: Node) -> None:
    node.pause()
    assert not node.answers(timeout_s=0.5)
    assert node.running
    node.resume()
    assert node.answers()


def test_a_node_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    parent = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "opensearch", "--port", str(port), "--heap", "512m", "--quick"],
        stderr=subprocess.PIPE,
    )
    assert parent.stderr is not None
    told = iter(parent.stderr.readline, b"")
    folder = Path(next(line for line in told if b"data in" in line).split(b"data in ")[1].split()[0].decode())
    assert any(b"OpenSearch answers" in line for line in told)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stderr.close()
    deadline = time.monotonic() + 20
    while (_answers(port) or folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _answers(port)
    assert not folder.exists()


def _answers(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}", timeout=1.0, trust_env=False).is_success
    except httpx2.TransportError:
        return False


def test_what_a_failed_start_said_is_in_the_error(tmp_path: Path) -> None:
    with Room() as room:
        node = Node(room, Plan(quick=True, settings={"no.such.setting": "1", "discovery.type": "single-node"}))
        node.start()
        with pytest.raises(PermanentFault, match=r"(?s)ended while starting.*no\.such\.setting.*OPENSEARCH_URL"):
            node.wait_ready()
        node.stop()


def test_the_run_shares_one_node(opensearch_url: str, opensearch_prefix: str) -> None:
    made = httpx2.put(f"{opensearch_url}/{opensearch_prefix}one", trust_env=False)
    assert made.is_success
