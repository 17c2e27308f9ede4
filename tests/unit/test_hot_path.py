"""The parts of the way that every request takes: promises, rates, what is quoted back, the lines of requests."""

from __future__ import annotations

import asyncio
import json
import threading
from itertools import count

import pytest

from search_api import errors
from search_api.access.rates import BURST_S, Rates
from search_api.errors import SpineError
from search_api.handing import Promise
from search_api.request_log import RequestLines


def test_promises_of_many_threads_are_kept_each_for_its_own() -> None:
    async def run() -> list[int | BaseException]:
        promises: list[Promise[int]] = [Promise() for _ in range(200)]

        def keep(first: int) -> None:
            for number in range(first, 200, 4):
                if number % 10:
                    promises[number].keep(number)
                else:
                    promises[number].fail(LookupError(number))

        threads = [threading.Thread(target=keep, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        found = await asyncio.gather(*(promise.future for promise in promises), return_exceptions=True)
        for thread in threads:
            thread.join()
        return found

    found = asyncio.run(run())
    assert [number for number in found if isinstance(number, int)] == [n for n in range(200) if n % 10]
    assert [error.args for error in found if isinstance(error, LookupError)] == [(n,) for n in range(0, 200, 10)]


def test_a_promise_nobody_waits_for_is_let_go() -> None:
    async def run() -> Promise[int]:
        gone: Promise[int] = Promise()
        gone.future.cancel()
        gone.keep(1)
        kept: Promise[int] = Promise()
        kept.keep(2)
        assert await kept.future == 2
        return gone

    left = asyncio.run(run())
    left.keep(3)  # its loop has ended


def test_a_caller_gets_its_burst_then_its_rate_and_no_other_callers() -> None:
    moment = [0.0]
    rates = Rates(2, now=lambda: moment[0])
    for _ in range(2 * BURST_S):
        rates.take("a")
    with pytest.raises(SpineError) as raised:
        rates.take("a")
    assert (raised.value.status, raised.value.spine_code) == (429, "TOO_MANY_REQUESTS")
    assert raised.value.headers == {"Retry-After": "1"}
    rates.take("b")
    moment[0] = 1.0
    rates.take("a")
    rates.take("a")
    with pytest.raises(SpineError):
        rates.take("a")


def test_no_rate_is_no_limit() -> None:
    rates = Rates(0, now=count().__next__)
    for _ in range(10_000):
        rates.take("a")


def test_a_long_value_is_quoted_as_far_as_it_says_which_one() -> None:
    said = errors.invalid_value("x" * 5_000, "family").diagnostics or ""
    assert said == f"Invalid value - '{'x' * errors.QUOTED}...' in field 'family'"
    many = errors.too_many_values(["y" * 5_000] * 500, "given").diagnostics or ""
    assert len(many) < (errors.QUOTED + 10) * (errors.MOST_QUOTED + 2)
    assert many.endswith(", ...] in field 'given'")
    assert errors.additional_properties(["year"]).diagnostics == (
        "Invalid request with error - Additional properties are not allowed ('year' was unexpected)"
    )


def test_lines_of_requests_are_whole_and_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    lines = RequestLines()
    for number in range(50):
        lines.add({"code": "API010", "status": number})
    lines.flush()
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["status"] for line in written] == list(range(50))
    assert all(line["timestamp"].endswith("Z") for line in written)
