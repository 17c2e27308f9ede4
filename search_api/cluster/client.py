"""The connection to an OpenSearch cluster: one asynchronous client in a loop of its own, asked from any thread.

Belongs here: what others may ask of a cluster, budgets, which requests may be sent twice. Does not
belong here: nodes and second attempts (``nodes.py``), TLS and accounts (``security.py``), what makes an
answer unfit to be shown (``answers.py``), indexes, records.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import orjson
from opensearchpy import AsyncOpenSearch

from schemas.errors import ClusterUnavailable
from search_api import deadline
from search_api.cluster.addresses import Address, addresses
from search_api.cluster.answers import TIMED_OUT, TOO_BUSY, UNREACHABLE, Answer, answer_of, unavailable, whole_search
from search_api.cluster.background import Background, Ended
from search_api.cluster.connection import NodeConnection, Request
from search_api.cluster.nodes import Nodes
from search_api.cluster.security import security_of
from search_api.settings import Settings

__all__ = ["Answer", "Cluster"]

# Beyond the budget: a thread waits so much longer for the loop's own refusal, which knows the reason.
GRACE_S = 0.1
# POSTs that change nothing, or come to the same when they are sent twice.
READS = ("_search", "_msearch", "_mget", "_count", "_refresh", "_analyze", "_explain")
# So that the server itself refuses what is not whole; shards are asked at once, none is judged empty beforehand.
_WHOLE = "allow_partial_search_results=false&pre_filter_shard_size=1000000&request_cache=false"


class Cluster:
    """One cluster, asked from any thread. Made cheap: nothing is opened before the first request.

    May be pickled, and used in a forked child: there it opens connections of its own.
    Raises ConfigurationError when made, for settings that are wrong or not safe.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._security = security_of(settings)
        self._background = Background("ncrs-cluster", self._open, Nodes.close)
        # Since when no node has answered anything; None while one does.
        self.silent_since: datetime | None = None

    def __reduce__(self) -> tuple[type[Cluster], tuple[Settings]]:
        return Cluster, (self._settings,)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        budget: float | None = None,
    ) -> Answer:
        """One request within ``budget`` seconds (default: the search deadline), or what the request in hand has left.

        ``body`` is JSON values, or bytes of NDJSON. The budget covers waiting for a connection, connecting, and
        the second attempt, which only a read gets, on another node. Statuses of the client's own making (404,
        409, 429 …) are answers. Raises ClusterUnavailable when no node answers in time, or with 5xx, when the
        account is refused, and when the answer is not JSON.
        """
        again = method in ("GET", "HEAD") or (method == "POST" and path.rsplit("/", 1)[-1] in READS)
        return self._ask(_request(method, path, body, params, again), budget)

    def repeat(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        budget: float | None = None,
    ) -> Answer:
        """As ``call``, for a write that comes to the same when it arrives twice: it gets a second attempt too."""
        return self._ask(_request(method, path, body, params, True), budget)

    def search(
        self,
        index: str,
        body: Mapping[str, Any],
        *,
        params: Mapping[str, str] | None = None,
        budget: float | None = None,
    ) -> dict[str, Any]:
        """A search of one concrete index, whole or not at all: a read as by ``call``. Raises ClusterUnavailable."""
        query = f"{_WHOLE}&{urlencode(params)}" if params else _WHOLE
        request = Request("POST", f"/{index}/_search", query=query, body=orjson.dumps(body), again=True, timed=True)
        return whole_search(self._ask(request, budget), index)

    def close(self) -> None:
        """Close the connections; a request under way ends with ClusterUnavailable, a later one opens new ones."""
        self._background.close()

    def _ask(self, request: Request, budget: float | None) -> Answer:
        seconds = deadline.left(budget or self._settings.search_deadline_ms / 1000)
        if seconds <= 0:
            raise unavailable(TIMED_OUT)
        until = time.monotonic() + seconds
        try:
            outcome = self._background.run(lambda nodes: nodes.ask(request, until), seconds + GRACE_S)
        except TimeoutError:
            raise unavailable(TIMED_OUT) from None
        except Ended:
            raise unavailable(UNREACHABLE) from None
        if outcome is None:
            raise unavailable(TOO_BUSY)
        try:
            answer = answer_of(*outcome)
        except ClusterUnavailable as error:
            self._heard(bool(outcome.status) and error.reason != UNREACHABLE)
            raise
        self._heard(True)
        return answer

    def _heard(self, something: bool) -> None:
        """Remember since when no node has said a word; what a balancer says in its place is none."""
        if something:
            self.silent_since = None
        elif self.silent_since is None:
            self.silent_since = datetime.now(UTC)

    async def _open(self) -> Nodes:
        """Made inside the loop that uses it, or its timers would belong to another one."""
        settings, pool = self._settings, self._settings.opensearch_pool
        client = AsyncOpenSearch(
            [_host(address) for address in addresses(settings)],
            connection_class=NodeConnection,
            security=self._security,
            connect_timeout=settings.opensearch_connect_timeout,
            max_retries=0,
            # The asynchronous client reads one, the synchronous one the other (its issue 844).
            maxsize=pool,
            pool_maxsize=pool,
        )
        await client.__aenter__()
        return Nodes(client, fair_s=settings.opensearch_connect_timeout, slots=pool)


def _request(method: str, path: str, body: Any, params: Mapping[str, str] | None, again: bool) -> Request:
    lines = isinstance(body, bytes)
    return Request(
        method,
        path,
        query=urlencode(params) if params else "",
        body=body if lines or body is None else orjson.dumps(body),
        lines=lines,
        again=again,
        timed=path.endswith("/_search"),
    )


def _host(address: Address) -> dict[str, Any]:
    return {
        "host": address.host,
        "port": address.port,
        "use_ssl": address.encrypted,
        "url_prefix": address.prefix,
    }
