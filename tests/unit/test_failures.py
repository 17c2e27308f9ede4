"""A fault in an asset: what is tried again, what is not, and what reaches the event log."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from assets.failures import Translated, as_fault, translated
from pipelines.launch import failures_of
from schemas.errors import DataFault, FileRefused, PassingFault, PermanentFault

MARKER = "ZQXMARKER"


class OperationalError(Exception):
    """Stands for a driver's error: only its name is looked at."""


def _run(error: Exception) -> tuple[dg.ExecuteInProcessResult, str, int]:
    calls = []

    @dg.asset
    def broken() -> None:
        calls.append(1)
        with Translated():
            try:
                raise RuntimeError(MARKER)
            except RuntimeError:
                raise error from None

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([broken], instance=instance, raise_on_error=False)
        log = "".join(entry.to_json() for entry in instance.all_logs(result.run_id))
    return result, log, len(calls)


@pytest.mark.parametrize("fault", [PermanentFault("The store is gone."), DataFault("A rule is broken.")])
def test_a_fault_that_stays_fails_once(fault: Exception) -> None:
    result, log, calls = _run(fault)
    assert not result.success
    assert calls == 1
    assert str(fault) in log


def test_a_foreign_error_shows_type_and_place_and_none_of_its_text() -> None:
    result, log, calls = _run(ValueError(f"cannot convert '{MARKER}'"))
    assert not result.success
    assert calls == 1
    assert "ValueError at unit/test_failures.py" in log
    assert MARKER not in log


def test_a_passing_fault_asks_for_another_try() -> None:
    with pytest.raises(dg.RetryRequested) as caught, Translated():
        raise PassingFault("The control database is busy.")
    assert caught.value.max_retries == 3


def test_a_locked_database_is_a_passing_fault() -> None:
    assert isinstance(as_fault(OperationalError("(sqlite3) database is locked")), PassingFault)
    assert isinstance(as_fault(OperationalError("no such table: x")), PermanentFault)


def test_codes_and_remedies_are_kept() -> None:
    fault = as_fault(FileRefused("The count differs.", code="FILE_COUNT", remedy="Send it again."))
    assert (fault.code, fault.remedy) == ("FILE_COUNT", "Send it again.")


def test_what_dagster_raises_itself_passes_through() -> None:
    with pytest.raises(dg.Failure, match="as it is"), Translated():
        raise dg.Failure("as it is")


def test_as_a_decorator_it_returns_what_the_function_returns() -> None:
    @translated
    def compute() -> int:
        return 7

    assert compute() == 7


def test_a_check_that_stops_a_step_is_named() -> None:
    @dg.asset(check_specs=[dg.AssetCheckSpec("documents_equal", asset="made", blocking=True)])
    def made() -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="documents_equal", passed=False)])

    with dg.DagsterInstance.ephemeral() as instance:
        [failure] = failures_of(dg.materialize([made], instance=instance, raise_on_error=False))
    assert (failure.code, failure.text) == ("CHECK_FAILED", "Checks did not pass: made: documents_equal.")
