"""Each serving process listens for itself, so that callers are parted among all of them.

Belongs here: the socket that several processes are given, and running them with it. Does not belong here: what they
serve, the options of ``ncrs serve``.

With one socket for all, whichever process is woken first takes every connection that waits: eight connections of a
portal that starts all came to one of two processes, and the other had nothing to do (docs/decisions/0026). With one
each, the kernel parts the connections by their addresses.
"""

from __future__ import annotations

import logging
import socket
import sys
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess


class Shared(socket.socket):
    """A bound socket that is never listened to: who is sent it gets one of its own at the same address."""

    def __reduce__(self) -> tuple[Any, ...]:
        return bound, (self.family, self.getsockname())


def bound(family: int, address: tuple[Any, ...]) -> Shared:
    """A socket at an address where others of this user may listen too. Raises OSError for one that is taken."""
    shared = Shared(family, socket.SOCK_STREAM)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        shared.bind(address)
    except OSError:
        shared.close()
        raise
    return shared


def serve(app: str, *, host: str, port: int, workers: int, **options: Any) -> None:
    """Serve until stopped, as ``uvicorn.run`` does, in so many processes that each listen for themselves.

    Where the system does not part connections so, and for one process, exactly as that does.
    """
    if workers == 1 or sys.platform != "linux":
        uvicorn.run(app, host=host, port=port, workers=workers, **options)
        return
    config = uvicorn.Config(app, host=host, port=port, workers=workers, **options)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with bound(family, (host, port)) as shared:
        logging.getLogger("uvicorn.error").info("Listening on %s port %d in %d processes", host, port, workers)
        Multiprocess(config, sockets=[shared]).run()
