"""Small parts of the API: ETags, mirrored headers, form fields, log events, the worker's limits."""

from __future__ import annotations

import asyncio
import threading

import pytest
from structlog.testing import capture_logs

from schemas.errors import PermanentFault
from search_api import logging
from search_api.errors import SpineError
from search_api.headers import check_request_id, etag, matches_etag, mirrored, read_head, well_formed_request_id
from search_api.ops.metrics import Metrics
from search_api.patients.bodies import fields
from search_api.settings import Settings
from search_api.summaries import parameters
from search_api.worker import Worker

UUID = "60E0B220-8136-4CA5-AE46-1D97EF59D068"


@pytest.mark.parametrize(
    ("header", "matched"),
    [
        (None, False),
        ('W/"2"', True),
        ('"2"', True),
        ("*", True),
        ('W/"3"', False),
        ('W/"1", W/"2"', True),
        ("2", False),
    ],
)
def test_if_none_match_compares_weakly(header: str | None, matched: bool) -> None:
    assert matches_etag(header, etag(2)) is matched


def test_request_ids() -> None:
    assert read_head({"x-request-id": UUID}).request_id == UUID
    assert well_formed_request_id({"x-request-id": "1234"}) is None
    check_request_id({})
    with pytest.raises(SpineError) as raised:
        check_request_id({"x-request-id": "1234"})
    assert raised.value.diagnostics == "Invalid value - '1234' in header 'X-Request-ID'"
    with pytest.raises(SpineError) as raised:
        read_head({})
    assert raised.value.spine_code == "MISSING_VALUE"


def test_mirrored_also_when_refused() -> None:
    headers = [(b"x-request-id", b"1234"), (b"x-correlation-id", b"a.b"), (b"authorization", b"Bearer x")]
    assert mirrored([*headers, (b"x-request-id", b"second")]) == headers[:2]
    assert mirrored([(b"x-correlation-id", b"c" * 9000)]) == [(b"x-correlation-id", b"c" * 256)]
    assert mirrored([(b"x-request-id", b"")]) == []


def test_fields_keep_order_and_empty_values() -> None:
    assert fields(b"b=1&a=&b=%C3%A9+x") == [("b", "1"), ("a", ""), ("b", "é x")]


@pytest.mark.parametrize("encoded", [b"family=%FF", b"family=\xff", b"&".join([b"a=1"] * 201)])
def test_fields_that_cannot_be_read(encoded: bytes) -> None:
    with pytest.raises(SpineError) as raised:
        fields(encoded)
    assert (raised.value.status, raised.value.spine_code) == (400, "INVALID_VALUE")


def test_log_fields_come_from_the_table() -> None:
    with pytest.raises(ValueError, match="family"):
        logging.event("API010", family="Smith")
    with pytest.raises(KeyError):
        logging.event("API999")
    with capture_logs() as lines:
        logging.event("API013", "warning")
    assert lines == [{"code": "API013", "event": logging.LOG_EVENTS["API013"], "log_level": "warning"}]


def test_a_place_names_module_and_line_only() -> None:
    with pytest.raises(ValueError, match="SECRET") as raised:
        raise ValueError("SECRET")
    module, _, line = logging.place(raised.value).partition(":")
    assert module.endswith("test_api_parts")
    assert line.isdigit()


async def _flood(worker: Worker, release: threading.Event, count: int) -> list[object]:
    tasks = [asyncio.create_task(worker.run(release.wait)) for _ in range(count)]
    await asyncio.sleep(0.05)
    release.set()
    return list(await asyncio.gather(*tasks, return_exceptions=True))


def test_the_worker_sheds_beyond_its_queue() -> None:
    worker = Worker(Settings(worker_threads=1, queue_limit=2), metrics := Metrics())
    results = asyncio.run(_flood(worker, threading.Event(), 5))
    worker.close()
    shed = [item for item in results if isinstance(item, SpineError)]
    assert [error.status for error in shed] == [503, 503]
    assert shed[0].headers["Retry-After"] == "1"
    assert results.count(True) == 3
    assert metrics.registry.get_sample_value("ncrs_shed_total") == 2


def test_a_closed_worker_takes_nothing_new() -> None:
    """Also one that has done nothing yet: no thread is begun that nobody would end."""
    for used in (False, True):
        worker = Worker(Settings(), Metrics())
        if used:
            assert asyncio.run(worker.run(lambda: 1)) == 1
        worker.close()
        with pytest.raises(SpineError) as refused:
            asyncio.run(worker.run(lambda: 1))
        assert refused.value.status == 503


def test_work_out_of_time_is_given_up_and_still_counted() -> None:
    worker = Worker(Settings(worker_threads=1, queue_limit=0, search_deadline_ms=20), Metrics())
    release = threading.Event()

    async def late() -> int:
        with pytest.raises(SpineError) as raised:
            await worker.run(release.wait)
        assert raised.value.status == 503
        with pytest.raises(SpineError):  # the thread is still busy with it
            await worker.run(lambda: None)
        release.set()
        await asyncio.sleep(0.05)
        return await worker.run(lambda: 7)

    assert asyncio.run(late()) == 7
    worker.close()


def test_errors_of_work_reach_the_caller() -> None:
    worker = Worker(Settings(), Metrics())

    def broken() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(worker.run(broken))
    worker.close()


NUMBER = "https://fhir.nhs.uk/Id/nhs-number|9000000009"
SCR_REFUSED = [
    ([], "MISSING_VALUE"),
    ([("patient", "9000000009")], "INVALID_VALUE"),
    ([("patient", NUMBER[:-1] + "8")], "INVALID_VALUE"),
    ([("patient", NUMBER), ("type", "http://snomed.info/sct|1")], "INVALID_VALUE"),
    ([("patient", NUMBER), ("_sort", "-date")], "INVALID_VALUE"),
    ([("patient", NUMBER), ("_count", "2")], "INVALID_VALUE"),
    ([("patient", NUMBER), ("status", "current")], "ADDITIONAL_PROPERTIES"),
    ([("patient", NUMBER), ("patient", NUMBER)], "TOO_MANY_VALUES_SUBMITTED"),
]


@pytest.mark.parametrize(("items", "code"), SCR_REFUSED)
def test_scr_parameters_have_only_their_published_values(items: list[tuple[str, str]], code: str) -> None:
    """services.md 2.2."""
    with pytest.raises(SpineError) as raised:
        parameters.reference_number(items)
    assert (raised.value.spine_code, raised.value.status) == (code, 400)


def test_scr_parameters() -> None:
    snomed = "http://snomed.info/sct|196981000000101"
    assert (
        parameters.reference_number([("patient", NUMBER), ("type", snomed), ("_sort", "date"), ("_count", "1")])
        == 9000000009
    )
    assert parameters.bundle_key([(parameters.IDENTIFIER, "ab-1"), (parameters.SUBJECT, NUMBER)]) == (
        "AB-1",
        9000000009,
    )
    for missing in (parameters.IDENTIFIER, parameters.SUBJECT):
        given = [item for item in ((parameters.IDENTIFIER, "x"), (parameters.SUBJECT, NUMBER)) if item[0] != missing]
        with pytest.raises(SpineError) as raised:
            parameters.bundle_key(given)
        assert raised.value.diagnostics == f"Missing value - '{missing}'"


class _NativePanic(BaseException):
    """As pyo3 raises it: not an Exception."""


def test_a_panic_of_a_native_engine_becomes_a_fault_that_handlers_catch() -> None:
    worker = Worker(Settings(), Metrics())

    def panicking() -> None:
        raise _NativePanic

    with pytest.raises(PermanentFault, match="_NativePanic"):
        asyncio.run(worker.run(panicking))
    worker.close()
