"""The connection to an OpenSearch cluster: one asynchronous client in a loop of its own, asked from any thread.

Belongs here: the loop's thread, requests with a deadline, the pool. Does not belong here: TLS and accounts
(``security.py``), what makes an answer unfit to be shown (``answers.py``), indexes, records.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

import orjson
from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import TransportError

from search_api.cluster.answers import TIMED_OUT, UNREACHABLE, Answer, unavailable, whole_search
from search_api.settings import Settings

__all__ = ["Answer", "Cluster"]

T = TypeVar("T")

# So that the server itself refuses what is not whole; shards are asked at once, none is judged empty beforehand.
_WHOLE = {
    "allow_partial_search_results": "false",
    "pre_filter_shard_size": "1000000",
    "request_cache": "false",
}

# Beyond the deadline passed on to the server: its answer travels, and is read.
GRACE_S = 0.1


class Cluster:
    """One cluster, asked from any thread. Made cheap: nothing is opened before the first request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: AsyncOpenSearch | None = None

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        budget: float | None = None,
    ) -> Answer:
        """One request within ``budget`` seconds (default: the search deadline).

        ``body`` is JSON values, or bytes of NDJSON. Statuses of the client's own making (404, 409, 429 …) are answers.
        Raises ClusterUnavailable when no node answers in time or answers 5xx.
        """
        seconds = budget or self._settings.search_deadline_ms / 1000
        return self._run(self._call(method, path, body, params, seconds), seconds + GRACE_S)

    def repeat(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        budget: float | None = None,
    ) -> Answer:
        """As ``call``, for a write that comes to the same when it arrives twice: it may be sent again."""
        return self.call(method, path, body, params=params, budget=budget)

    def search(
        self,
        index: str,
        body: Mapping[str, Any],
        *,
        params: Mapping[str, str] | None = None,
        budget: float | None = None,
    ) -> dict[str, Any]:
        """A search of one concrete index, whole or not at all. Raises ClusterUnavailable."""
        asked = {**_WHOLE, **(params or {})}
        answer = self.call("POST", f"/{index}/_search", dict(body), params=asked, budget=budget)
        return whole_search(answer, index)

    def close(self) -> None:
        """Close the connections and end the loop; a request under way ends with ClusterUnavailable."""
        with self._lock:
            loop, thread, client = self._loop, self._thread, self._client
            self._loop = self._thread = self._client = None
        if loop is None or thread is None:
            return
        if client is not None:
            asyncio.run_coroutine_threadsafe(client.close(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _run(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._running())
        try:
            return future.result(seconds)
        except FutureTimeout:
            future.cancel()
            raise unavailable(TIMED_OUT) from None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="ncrs-cluster", daemon=True)
                self._thread.start()
            return self._loop

    async def _call(
        self, method: str, path: str, body: Any, params: Mapping[str, str] | None, seconds: float
    ) -> Answer:
        if self._client is None:
            pool = self._settings.opensearch_pool
            self._client = AsyncOpenSearch(self._settings.index.split(","), maxsize=pool, pool_maxsize=pool)
        headers = {"content-type": "application/x-ndjson" if isinstance(body, bytes) else "application/json"}
        data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        try:
            found = await self._client.transport.perform_request(
                method, path, params=dict(params or {}), body=data, timeout=seconds, headers=headers
            )
        except TransportError as error:
            if isinstance(error.status_code, int) and error.status_code < 500:
                return Answer(error.status_code, error.info)
            raise unavailable(UNREACHABLE) from None
        return Answer(200, found)
