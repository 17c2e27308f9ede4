"""The faults of ``tests/lib/proxy.py`` are what their names say."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.lib.proxy import FINE, HOST, SILENT, Faults, Proxy


@pytest.fixture
def echo() -> Iterator[str]:
    """A server that says what it hears."""
    with socket.create_server((HOST, 0)) as server:
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
        yield f"http://{HOST}:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket) -> None:
    while True:
        try:
            held, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(held,), daemon=True).start()


def _echo(held: socket.socket) -> None:
    with held:
        try:
            while part := held.recv(65_536):
                held.sendall(part)
        except OSError:
            return


def _line(proxy: Proxy, timeout: float = 5.0) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), timeout=timeout)


def _hear(line: socket.socket, size: int) -> bytes:
    heard = b""
    while len(heard) < size:
        part = line.recv(65_536)
        if not part:
            break
        heard += part
    return heard


def test_without_a_fault_everything_passes(echo: str) -> None:
    said = bytes(range(256)) * 400
    with Proxy(echo) as proxy, _line(proxy) as line:
        line.sendall(said)
        assert _hear(line, len(said)) == said


def test_latency_and_bandwidth_take_their_time(echo: str) -> None:
    with Proxy(echo, Faults(latency_s=0.1)) as proxy, _line(proxy) as line:
        began = time.monotonic()
        line.sendall(b"a")
        assert _hear(line, 1) == b"a"
        assert time.monotonic() - began >= 0.2
        proxy.faults = Faults(bytes_per_s=10_000)
        line.sendall(b"b" * 2000)
        assert _hear(line, 2000) == b"b" * 2000
        assert time.monotonic() - began >= 0.6


def test_a_silent_line_is_open_and_goes_on_afterwards(echo: str) -> None:
    with Proxy(echo, SILENT) as proxy, _line(proxy, timeout=0.3) as line:
        line.sendall(b"a")
        with pytest.raises(TimeoutError):
            line.recv(1)
        proxy.faults = FINE
        assert _hear(line, 1) == b"a"
        proxy.faults = SILENT
        line.sendall(b"b")
        with pytest.raises(TimeoutError):
            line.recv(1)


def test_a_reset_comes_after_so_many_bytes(echo: str) -> None:
    with Proxy(echo, Faults(reset_after=10)) as proxy, _line(proxy) as line:
        line.sendall(b"x" * 9)
        assert _hear(line, 9) == b"x" * 9
        line.sendall(b"y" * 9)
        with pytest.raises(ConnectionResetError):
            _hear(line, 9)


def test_refused_and_dropped_connections_are_reset(echo: str) -> None:
    with Proxy(echo) as proxy, _line(proxy) as line:
        line.sendall(b"a")
        assert _hear(line, 1) == b"a"
        proxy.faults = Faults(refuse=True)
        # The reset may come before the connection counts as made.
        with pytest.raises(ConnectionResetError), _line(proxy) as refused:
            _hear(refused, 1)
        proxy.drop()
        with pytest.raises(ConnectionResetError):
            _hear(line, 1)
        assert proxy.accepted == 2
