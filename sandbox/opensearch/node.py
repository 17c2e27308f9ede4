"""One real OpenSearch node: started, waited for, stopped, killed, paused, started again.

Belongs here: the life of a process and what it is told. Does not belong here: several nodes
(``cluster.py``), folders and users (``room.py``).

A node ends with the process that started it, also when that is killed: see ``keeper.py``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from sandbox.opensearch import keeper
from sandbox.opensearch.java import heap_of, options
from sandbox.opensearch.room import Room
from schemas.errors import PermanentFault, Refused

HOST = "127.0.0.1"
READY_S = 180.0
STOP_S = 30.0
POLL_S = 0.2
LAST_LINES = 15
# A nearly full disk of a developer is no reason to refuse writes as long as this much is free.
DISK = {
    "cluster.routing.allocation.disk.watermark.low": "1500mb",
    "cluster.routing.allocation.disk.watermark.high": "1000mb",
    "cluster.routing.allocation.disk.watermark.flood_stage": "500mb",
}


@dataclass(frozen=True)
class Plan:
    """What a node is told. ``data`` None: in the room, gone with it. Port 0: any that is free."""

    name: str = "node-1"
    port: int = 0
    transport_port: int = 0
    heap: str = "512m"
    data: Path | None = None
    quick: bool = False
    settings: Mapping[str, str] = field(default_factory=lambda: {"discovery.type": "single-node"})


class Node:
    """A node that is not running until ``start``."""

    def __init__(self, room: Room, plan: Plan) -> None:
        self._room = room
        self._plan = plan
        ports = free_ports(2)
        self.name = plan.name
        self.port = plan.port or ports[0]
        self.transport_port = plan.transport_port or ports[1]
        self.address = f"http://{HOST}:{self.port}"
        self.data = room.data_folder(plan.data) if plan.data else room.own_folder(plan.name, "data")
        self.log = room.own_folder(plan.name) / "node.log"
        self.pid = 0
        self._keeper: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether its process is there (it may be paused)."""
        return self._keeper is not None and self._keeper.poll() is None

    def start(self) -> None:
        """Start the process; returns at once. Raises Refused when its port is taken."""
        if self.running:
            return
        self._gone()
        if _taken(self.port):
            raise Refused(f"Port {self.port} is taken.", remedy="Stop what listens there, or choose another port.")
        self._keeper = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", "-S", str(keeper.__file__), json.dumps(self._order())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        reported = self._keeper.stdout.readline() if self._keeper.stdout else b""
        if not reported:
            raise PermanentFault("Java could not be started.", remedy="Is it made for this machine? See above.")
        self.pid = int(reported)

    def wait_ready(self, nodes: int = 1, timeout_s: float = READY_S) -> None:
        """Return when the node is in a cluster of at least so many, with a copy of every shard there.

        Raises PermanentFault with the node's last lines.
        """
        deadline = time.monotonic() + timeout_s
        while not self.answers(f"/_cluster/health?wait_for_nodes=ge({nodes})&wait_for_status=yellow&timeout=1s"):
            if not self.running:
                raise PermanentFault(f"OpenSearch {self.name} ended while starting.\n{self.tail()}\n", remedy=_REMEDY)
            if time.monotonic() > deadline:
                raise PermanentFault(
                    f"OpenSearch {self.name} was not ready after {timeout_s:.0f} s.\n{self.tail()}\n", remedy=_REMEDY
                )
            time.sleep(POLL_S)

    def answers(self, path: str = "/", timeout_s: float = 3.0) -> bool:
        """Whether it answers with success."""
        # Asked several times a second while a node starts: an HTTP client with TLS would cost as much as the start.
        line = HTTPConnection(HOST, self.port, timeout=timeout_s)
        try:
            line.request("GET", path)
            return line.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            line.close()

    def stop(self) -> None:
        """Ask it to end, and make sure; its data stays."""
        if self.running:
            self.resume()
            self.send(signal.SIGTERM)
        self._gone()

    def kill(self) -> None:
        """End it without a word, as a power cut does."""
        self.send(signal.SIGKILL)
        self._gone()

    def pause(self) -> None:
        """Stop it where it stands: connections stay open and nothing answers."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.send(signal.SIGCONT)

    def send(self, number: int) -> None:
        """A signal to the node itself, when it is there."""
        if self.running:
            os.kill(self.pid, number)

    def tail(self) -> str:
        """The last lines it wrote, without the places in its code."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        telling = [line for line in lines if not line.lstrip().startswith(("at ", "..."))]
        return "\n".join(f"    {line}" for line in telling[-LAST_LINES:])

    def _gone(self) -> None:
        """Wait for its end, make sure of it, and forget the process."""
        kept, self._keeper = self._keeper, None
        if kept is None:
            return
        try:
            kept.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGKILL)
            kept.wait()
        for pipe in (kept.stdin, kept.stdout):
            if pipe is not None:
                pipe.close()

    def _order(self) -> dict[str, object]:
        user = self._room.user
        folder = self.log.parent
        return {
            "command": self._command(),
            "environment": {"HOME": str(folder), "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            "folder": str(folder),
            "log": str(self.log),
            "remove": str(self._room.folder),
            "uid": user.uid if user else None,
            "gid": user.gid if user else None,
        }

    def _command(self) -> list[str]:
        home, java = self._room.home, self._room.java
        return [
            str(java.program),
            *options(java, home, heap_of(self._plan.heap), quick=self._plan.quick),
            f"-Djava.io.tmpdir={self._room.own_folder(self.name, 'tmp')}",
            f"-Dopensearch.path.home={home}",
            f"-Dopensearch.path.conf={self._configuration()}",
            *("-Dopensearch.distribution.type=zip", "-Dopensearch.bundled_jdk=false", "-cp", f"{home / 'lib'}/*"),
            "org.opensearch.bootstrap.OpenSearch",
            *(f"-E{name}={value}" for name, value in self._settings().items()),
        ]

    def _configuration(self) -> Path:
        """A copy: the node writes its keystore there."""
        folder = self._room.own_folder(self.name) / "config"
        if not folder.exists():
            shutil.copytree(self._room.home / "config", folder)
            self._room.give(folder)
        return folder

    def _settings(self) -> dict[str, str]:
        return {
            "node.name": self.name,
            "network.host": HOST,
            "http.port": str(self.port),
            "transport.port": str(self.transport_port),
            "path.data": str(self.data),
            "path.logs": str(self._room.own_folder(self.name, "logs")),
            **DISK,
            **self._plan.settings,
        }


_REMEDY = "Its last lines are above. OPENSEARCH_JAVA_HOME names another Java; OPENSEARCH_URL another cluster."


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at this moment, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0
