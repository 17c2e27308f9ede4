"""The OpenSearch node of the benchmarks: the one that ``OPENSEARCH_URL`` names, or one started for the run.

Belongs here: starting and stopping it as ``make run`` does. Does not belong here: how a node is fetched and
set up (``sandbox/opensearch``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.opensearch.node import Node, Plan
from sandbox.opensearch.room import Room

# As the page says; a million people need no more, and the embedded engine keeps the rest of the memory.
HEAP = "1g"


@contextmanager
def a_node() -> Iterator[str]:
    """Address of a node that answers. One that is started is gone afterwards, with its data."""
    given = os.environ.get("OPENSEARCH_URL")
    if given:
        yield given.rstrip("/")
        return
    with Room() as room:
        # Not quick: that spares the compiler's work, which is what makes a long run fast.
        node = Node(room, Plan(heap=HEAP, quick=False))
        try:
            node.start()
            node.wait_ready()
            yield node.address
        finally:
            node.stop()
