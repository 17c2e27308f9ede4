"""An answer's head and body go to the system together, and nothing is kept back for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from search_api.one_write import Gathering

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


class Kept(asyncio.Transport):
    """A transport that keeps what is written, each call for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.calls.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def _calls(act: Callable[[Gathering], None], turns: int = 0) -> list[bytes]:
    """What was written after so many turns of the loop, each call for itself."""

    async def run() -> list[bytes]:
        kept = Kept()
        act(Gathering(kept, asyncio.get_running_loop()))
        for _ in range(turns):
            await asyncio.sleep(0)
        return list(kept.calls)

    return asyncio.run(run())


@pytest.mark.parametrize("body", [b"body", bytearray(b"body"), memoryview(b"body")])
def test_head_and_body_are_one_call(body: bytes) -> None:
    def answer(transport: Gathering) -> None:
        transport.write(HEAD)
        transport.write(body)

    assert _calls(answer, turns=2) == [HEAD + b"body"]


def test_a_head_alone_leaves_at_the_next_turn() -> None:
    assert _calls(lambda transport: transport.write(HEAD)) == []
    assert _calls(lambda transport: transport.write(HEAD), turns=2) == [HEAD]


def test_a_head_alone_leaves_before_the_end() -> None:
    def answer(transport: Gathering) -> None:
        transport.write(HEAD)
        transport.close()
        assert transport.is_closing()

    assert _calls(answer) == [HEAD]


def test_pieces_of_a_body_and_answers_keep_their_order() -> None:
    pieces = [HEAD, b"one", b"two", HEAD, HEAD, b"HTTP/1.1 is what this body says", b"three"]

    def answer(transport: Gathering) -> None:
        for piece in pieces:
            transport.write(piece)

    assert b"".join(_calls(answer, turns=2)) == b"".join(pieces)
