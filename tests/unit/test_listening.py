"""Processes that listen for themselves at one address: each gets connections, and none is lost when one ends."""

from __future__ import annotations

import pickle
import select
import socket
import sys
from contextlib import ExitStack, closing

import pytest

from search_api.listening import Shared, bound

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

CONNECTIONS = 64


def test_who_is_sent_the_socket_gets_one_of_its_own_at_its_address() -> None:
    with bound(socket.AF_INET, ("127.0.0.1", 0)) as shared:
        sent = pickle.loads(pickle.dumps(shared))
        with closing(sent):
            assert isinstance(sent, Shared)
            assert sent.getsockname() == shared.getsockname()
            assert sent.fileno() != shared.fileno()


def test_connections_are_parted_among_all_who_listen_and_the_bound_socket_takes_none() -> None:
    with ExitStack() as opened:
        shared = opened.enter_context(bound(socket.AF_INET, ("127.0.0.1", 0)))
        listeners = [opened.enter_context(pickle.loads(pickle.dumps(shared))) for _ in range(2)]
        for listener in listeners:
            listener.listen(CONNECTIONS)
            listener.setblocking(False)
        for _ in range(CONNECTIONS):
            opened.enter_context(socket.create_connection(shared.getsockname(), timeout=5))
        taken = [_taken(listener) for listener in listeners]
    assert sum(taken) == CONNECTIONS
    assert min(taken) > 0


def _taken(listener: socket.socket) -> int:
    count = 0
    while select.select([listener], [], [], 0)[0]:
        listener.accept()[0].close()
        count += 1
    return count


def test_an_address_that_somebody_else_has_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OSError, match="in use"):
        bound(socket.AF_INET, other.getsockname())
