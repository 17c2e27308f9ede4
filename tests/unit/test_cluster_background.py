"""The loop in a thread of its own, and the deadline of the request in hand."""

from __future__ import annotations

import asyncio
import threading

import pytest

from search_api import deadline
from search_api.cluster.background import Background, Ended
from search_api.ops.metrics import Metrics
from search_api.settings import Settings
from search_api.worker import Worker


class Part:
    """Remembers the loop it was made in and how often it was ended."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.ended = 0

    async def end(self) -> None:
        assert asyncio.get_running_loop() is self.loop
        self.ended += 1


async def _start() -> Part:
    return Part()


async def _itself(part: Part) -> Part:
    assert asyncio.get_running_loop() is part.loop
    return part


def test_the_part_lives_in_its_loop_until_it_is_closed() -> None:
    background = Background("test-loop", _start, Part.end)
    background.close()
    part = background.run(_itself, 5)
    assert background.run(_itself, 5) is part
    background.close()
    assert (part.ended, part.loop.is_closed()) == (1, True)
    again = background.run(_itself, 5)
    background.close()
    assert again is not part
    assert not any(thread.name == "test-loop" for thread in threading.enumerate())


def test_what_takes_too_long_is_cancelled() -> None:
    background = Background("test-loop", _start, Part.end)
    cancelled = threading.Event()

    async def long(_part: Part) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError):
        background.run(long, 0.05)
    assert cancelled.wait(5)
    background.close()


def test_closing_ends_what_is_under_way() -> None:
    background = Background("test-loop", _start, Part.end)
    begun = threading.Event()
    found: list[BaseException] = []

    async def long(_part: Part) -> None:
        begun.set()
        await asyncio.sleep(60)

    def wait() -> None:
        try:
            background.run(long, 60)
        except Ended as error:
            found.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert begun.wait(5)
    background.close()
    thread.join(5)
    assert len(found) == 1


def test_errors_of_the_work_reach_the_caller() -> None:
    background = Background("test-loop", _start, Part.end)

    async def broken(_part: Part) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        background.run(broken, 5)
    background.close()


def test_a_deadline_only_grows_shorter() -> None:
    assert deadline.left(3.0) == 3.0
    with deadline.within(2.0):
        assert 1.0 < deadline.left(3.0) <= 2.0
        assert deadline.left(0.5) == 0.5
        with deadline.within(60.0):
            assert deadline.left(3.0) <= 2.0
        with deadline.within(0.0):
            assert deadline.left(3.0) == 0.0
        assert deadline.left(3.0) > 1.0
    assert deadline.left(3.0) == 3.0


def test_work_in_a_thread_sees_what_its_request_has_left() -> None:
    worker = Worker(Settings(worker_threads=1, search_deadline_ms=60_000), Metrics())
    left = asyncio.run(worker.run(lambda: deadline.left(1e6)))
    worker.close()
    assert 30.0 < left < 60.0
    assert deadline.left(1e6) == 1e6


def test_work_whose_time_ran_out_in_the_queue_is_not_begun() -> None:
    worker = Worker(Settings(worker_threads=1, queue_limit=1, search_deadline_ms=50), Metrics())
    release, ran = threading.Event(), threading.Event()

    async def both() -> None:
        await asyncio.gather(worker.run(release.wait), worker.run(ran.set), return_exceptions=True)

    asyncio.run(both())
    release.set()
    worker.close()
    assert not ran.is_set()
