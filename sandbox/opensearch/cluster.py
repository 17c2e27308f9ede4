"""Several nodes that form one cluster on this machine.

Belongs here: what nodes must know of each other. Does not belong here: one node (``node.py``).
"""

from __future__ import annotations

from types import TracebackType

from sandbox.opensearch.artefact import Progress
from sandbox.opensearch.node import HOST, Node, Plan, free_ports
from sandbox.opensearch.room import Room


class LocalCluster:
    """As many nodes as asked, each of them able to be cluster manager. As a context manager it leaves none behind."""

    def __init__(self, count: int, *, heap: str = "512m", quick: bool = True, progress: Progress | None = None) -> None:
        self._room = Room(progress)
        ports = free_ports(2 * count)
        names = [f"node-{number}" for number in range(1, count + 1)]
        settings = {
            "cluster.name": "ncrs-sandbox",
            "discovery.seed_hosts": ",".join(f"{HOST}:{port}" for port in ports[count:]),
            "cluster.initial_cluster_manager_nodes": ",".join(names),
            # The request for a copy may be lost when nodes are killed and come back at once: it is not missed for 30 minutes.
            "indices.recovery.recovery_activity_timeout": "30s",
        }
        self.nodes = [
            Node(self._room, Plan(name, port, transport, heap, quick=quick, settings=settings))
            for name, port, transport in zip(names, ports[:count], ports[count:], strict=True)
        ]

    def __enter__(self) -> LocalCluster:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def addresses(self) -> list[str]:
        """Of every node, running or not."""
        return [node.address for node in self.nodes]

    def start(self) -> None:
        """Start what does not run, let go on what is paused, and wait until all have found each other."""
        for node in self.nodes:
            node.resume()
            node.start()
        for node in self.nodes:
            node.wait_ready(len(self.nodes))

    def stop(self) -> None:
        """End all; nothing of them stays."""
        for node in self.nodes:
            node.kill()
        self._room.remove()

    def manager(self) -> Node:
        """The node that is cluster manager now, as a running one tells."""
        import httpx2

        for node in self.nodes:
            if node.answers():
                rows = httpx2.get(f"{node.address}/_cat/cluster_manager?format=json", trust_env=False).json()
                return next(one for one in self.nodes if one.name == rows[0]["node"])
        raise LookupError("No node answers.")
