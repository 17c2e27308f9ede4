"""One node asked once: opensearch-py's connection, without what costs time or may tell a value.

Belongs here: sending one request and saying what became of it. Does not belong here: which node is
asked, trying again (``nodes.py``), what an answer means (``answers.py``).

opensearch-py's own ``perform_request`` decodes and parses what we parse elsewhere, and logs addresses,
which may hold an NHS number; so this one neither logs nor raises. It follows no redirect (that would
send the account elsewhere), takes no proxy from the environment, and never sends a request twice.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import aiohttp
import yarl
from aiohttp import hdrs
from multidict import CIMultiDict
from opensearchpy import AIOHttpConnection

from schemas.errors import ClusterUnavailable
from search_api.cluster.security import Security

# What became of a request that got no answer. Only of the first it is sure that no node has seen it.
Fault = Literal["", "not_sent", "untrusted", "lost", "late", "account"]

KEEP_ALIVE_S = 20.0
DNS_S = 10
# A larger body is handed over in pieces, or sending it would hold up every other request of the loop.
_AT_ONCE = 1 << 19


@dataclass(frozen=True)
class Request:
    """One request: ``again`` when it may be sent twice, ``timed`` when the server is told how long it has."""

    method: str
    path: str
    query: str = ""
    body: bytes | None = None
    lines: bool = False
    again: bool = False
    timed: bool = False

    def target(self, seconds: float) -> str:
        """Path and query; the server gets a little less time than we wait, so that its refusal still arrives."""
        if not self.timed:
            return f"{self.path}?{self.query}" if self.query else self.path
        milliseconds = max(1, int(seconds * 950))
        times = f"timeout={milliseconds}ms&cancel_after_time_interval={milliseconds}ms"
        return f"{self.path}?{self.query}&{times}" if self.query else f"{self.path}?{times}"


class Outcome(NamedTuple):
    """A status and the bytes of the body, or status 0 and the fault."""

    status: int
    body: bytes = b""
    fault: Fault = ""


class NodeConnection(AIOHttpConnection):
    """Connections to one node, at most ``maxsize`` of them."""

    def __init__(self, *, security: Security, connect_timeout: float, maxsize: int, **options: Any) -> None:
        super().__init__(ssl_context=security.context if options.get("use_ssl") else None, maxsize=maxsize, **options)
        self._most = maxsize
        self._security = security
        self._connect_timeout = connect_timeout
        own = {hdrs.USER_AGENT: "ncrs-replica", hdrs.ACCEPT: "application/json", **security.headers}
        self._json = CIMultiDict({hdrs.CONTENT_TYPE: "application/json", **own})
        self._lines = CIMultiDict({hdrs.CONTENT_TYPE: "application/x-ndjson", **own})

    async def ask(self, request: Request, seconds: float) -> Outcome:
        """What became of one request within ``seconds``. Raises nothing but cancellation."""
        if self.session is None:
            await self._create_aiohttp_session()
        address = f"{self.host}{self.url_prefix}{request.target(seconds)}"
        headers = self._lines if request.lines else self._json
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, self._connect_timeout))
        try:
            if self._security.signer is not None:
                headers = await self._signed(request, address, headers)
            async with self.session.request(
                request.method,
                yarl.URL(address, encoded=True),
                data=_sent(request.body),
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return Outcome(response.status, await response.read())
        except (aiohttp.ClientError, OSError, ClusterUnavailable) as error:
            return Outcome(0, fault=fault_of(error))

    async def _signed(self, request: Request, address: str, headers: CIMultiDict[str]) -> CIMultiDict[str]:
        """Signing may ask the provider of the account anew, which blocks: so in a thread."""
        signer = self._security.signer
        assert signer is not None  # noqa: S101 - asked for by the caller alone
        signed = await asyncio.to_thread(signer.sign, request.method, address, request.body, dict(headers))
        return CIMultiDict(signed)

    async def _create_aiohttp_session(self) -> None:
        """As opensearch-py's, with bounded idle time and without what newer Pythons warn of."""
        self.session = aiohttp.ClientSession(
            skip_auto_headers=(hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT, hdrs.CONTENT_TYPE),
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(
                limit=self._most,
                keepalive_timeout=KEEP_ALIVE_S,
                ttl_dns_cache=DNS_S,
                ssl=self._ssl_context if self._ssl_context is not None else True,
            ),
        )
        # aiohttp would send PUT and DELETE a second time after a lost connection; who may do that is ours to say.
        self.session._retry_connection = False


def _sent(body: bytes | None) -> bytes | io.BytesIO | None:
    return io.BytesIO(body) if body is not None and len(body) > _AT_ONCE else body


def fault_of(error: BaseException) -> Fault:
    """The fault an exception stands for; its text is not looked at."""
    if isinstance(error, ClusterUnavailable):
        return "account"
    if _about_certificates(error):
        return "untrusted"
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return "not_sent"
    return "late" if isinstance(error, TimeoutError) else "lost"


def _about_certificates(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
