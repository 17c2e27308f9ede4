"""The nodes of a cluster: which one is asked, once more at most, and which are left alone for a while.

Belongs here: taking turns, the second attempt, dead nodes and looking whether they are back.
Does not belong here: threads, budgets of callers (``client.py``), one request (``connection.py``).

A search never waits for a node known to be dead while another lives: it is put aside at its first
failure, and a cheap question of its own, at growing intervals, brings it back.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from opensearchpy import AsyncOpenSearch

from search_api.cluster.connection import NodeConnection, Outcome, Request

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
LOOK_S = 0.5
# Up to this budget the first attempt gets half of it. Who gives more waits for work to be done, and a second
# attempt would only begin that anew.
SHARED_UP_TO_S = 5.0
# With less than this left, a second attempt can only fail.
LEAST_S = 0.005
NODE_FAILS = frozenset({502, 503, 504})
TRY_ANOTHER = frozenset({429, 500, *NODE_FAILS})
NO_INDEX = b"index_not_found_exception"
_LOOK = Request("GET", "/")


@dataclass(eq=False)
class Node:
    """One node; ``failures`` in a row since a request last succeeded."""

    connection: NodeConnection
    failures: int = 0
    dead: bool = False


class Nodes:
    """Belongs to one event loop; used inside it only."""

    def __init__(self, client: AsyncOpenSearch, *, fair_s: float, slots: int) -> None:
        self._client = client
        made = client.transport.seed_connections
        self._nodes = [Node(connection) for connection in made if isinstance(connection, NodeConnection)]
        self._fair_s = fair_s
        self._slots = asyncio.Semaphore(slots)
        self._turn = 0
        self._looks: set[asyncio.Task[None]] = set()

    @property
    def live(self) -> int:
        """How many nodes are not put aside."""
        return sum(not node.dead for node in self._nodes)

    async def ask(self, request: Request, until: float) -> Outcome | None:
        """What became of the request by ``until`` (monotonic), None when no connection came free."""
        if not await self._slot(until):
            return None
        try:
            return await self._attempts(request, until)
        finally:
            self._slots.release()

    async def close(self) -> None:
        """Close the connections to every node."""
        await self._client.close()

    async def _slot(self, until: float) -> bool:
        if not self._slots.locked():
            return await self._slots.acquire()
        try:
            return await asyncio.wait_for(self._slots.acquire(), max(0.0, until - time.monotonic()))
        except TimeoutError:
            return False

    async def _attempts(self, request: Request, until: float) -> Outcome:
        first = self._pick()
        seconds = max(LEAST_S, until - time.monotonic())
        others = any(not node.dead and node is not first for node in self._nodes)
        shared = request.again and others and seconds <= SHARED_UP_TO_S
        outcome = await self._once(first, request, seconds / 2 if shared else seconds)
        left = until - time.monotonic()
        if left < LEAST_S or not self._again(request, outcome):
            return outcome
        return await self._once(self._pick(first), request, left)

    def _again(self, request: Request, outcome: Outcome) -> bool:
        """Whether to ask once more. A request that no node has seen may always go to the next one."""
        if outcome.fault == "not_sent":
            return True
        if outcome.fault == "untrusted":
            return len(self._nodes) > 1
        if not request.again:
            return False
        if outcome.fault == "lost":
            return True
        # A node that is cut off from the others does not know the newest indexes.
        unknown = outcome.status == 404 and NO_INDEX in outcome.body
        return len(self._nodes) > 1 and (outcome.fault == "late" or outcome.status in TRY_ANOTHER or unknown)

    def _pick(self, other_than: Node | None = None) -> Node:
        """The next in turn: a living one, else a dead one, else the same once more."""
        self._turn = (self._turn + 1) % len(self._nodes)
        turn = self._nodes[self._turn :] + self._nodes[: self._turn]
        others = [node for node in turn if node is not other_than]
        living = (node for node in others if not node.dead)
        return next(living, None) or (others or turn)[0]

    async def _once(self, node: Node, request: Request, seconds: float) -> Outcome:
        outcome = await node.connection.ask(request, seconds)
        unfair = outcome.fault == "late" and seconds < self._fair_s
        if outcome.status in NODE_FAILS or (outcome.fault not in ("", "account") and not unfair):
            self._put_aside(node)
        elif outcome.status:
            node.failures = 0
        return outcome

    def _put_aside(self, node: Node) -> None:
        node.failures += 1
        if node.dead or len(self._nodes) == 1:
            return
        node.dead = True
        look = asyncio.get_running_loop().create_task(self._look_again(node))
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    async def _look_again(self, node: Node) -> None:
        pause = FIRST_PAUSE_S * 2 ** min(node.failures - 1, 10)
        while node.dead:
            await asyncio.sleep(min(pause, LONGEST_PAUSE_S))
            outcome = await node.connection.ask(_LOOK, LOOK_S)
            node.dead = not 0 < outcome.status < 500
            pause *= 2
