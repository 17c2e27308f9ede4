"""How a fault in an asset becomes what the orchestrator does about it.

Belongs here: the one translation of our exceptions into Dagster's: a passing fault asks for another
try, everything else fails once and for all. Does not belong here: the faults (``schemas/errors.py``).

It is also the border to a store that ops read: the event log keeps the text of every exception and
of its causes. Our own texts hold no value of a row; texts of libraries may (DuckDB quotes what it
could not convert). So only the type and the place of a foreign error cross, and no chain does.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import ContextDecorator
from types import TracebackType
from typing import Literal, ParamSpec, TypeVar

import dagster as dg

from schemas.errors import NcrsError, PassingFault, PermanentFault

P = ParamSpec("P")
R = TypeVar("R")

MAX_RETRIES = 3
WAIT_SECONDS = 10

# Types of libraries, by name so that none is imported for it, whose fault passes by itself.
_PASSING_WORDS = {
    "OperationalError": ("database is locked", "database table is locked", "could not connect", "timeout"),
    "IOException": ("Could not set lock",),
    "TimeoutError": ("",),
    "ConnectionError": ("",),
}
_CONTROL_FLOW = (dg.Failure, dg.RetryRequested)


class Translated(ContextDecorator):
    """As decorator (below ``@dg.asset``) or ``with`` block: faults leave as Dagster's own."""

    def __enter__(self) -> Translated:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        if not isinstance(error, Exception) or isinstance(error, _CONTROL_FLOW):
            return False
        fault = as_fault(error)
        passing = isinstance(fault, PassingFault)
        if passing and not _last_try():
            raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=WAIT_SECONDS) from fault
        kind_said = PassingFault.__name__ if passing else type(error).__name__
        said = {"kind": kind_said, "code": fault.code, "text": fault.message, "remedy": fault.remedy}
        raise dg.Failure(description=str(fault), metadata=said, allow_retries=False) from None


def translated(compute: Callable[P, R]) -> Callable[P, R]:
    """Decorator for a compute function that returns; generators use ``with Translated():``."""
    return Translated()(compute)


def as_fault(error: Exception) -> NcrsError:
    """A fault of ours without a chain: the same code and text, or only type and place of a foreign error."""
    if isinstance(error, NcrsError):
        kind = PassingFault if isinstance(error, PassingFault) else PermanentFault
        return kind(error.message, code=error.code, remedy=error.remedy)
    text = f"{type(error).__name__} at {_place(error)}."
    if _passes(error):
        return PassingFault(text, remedy="It is tried again; see docs/runbook.md when it stays.")
    return PermanentFault(text, remedy="This is a fault of the product or of its store; see docs/runbook.md.")


def _last_try() -> bool:
    """Whether no further try would come: then the fault itself must be said, not that it may pass."""
    try:
        return dg.OpExecutionContext.get().retry_number >= MAX_RETRIES
    except dg.DagsterInvariantViolationError:
        return False


def _passes(error: Exception) -> bool:
    for kind in type(error).__mro__:
        for words in _PASSING_WORDS.get(kind.__name__, ()):
            if words in str(error):
                return True
    return False


def _place(error: Exception) -> str:
    """Module file and line where it was raised, the last one of ours if there is one."""
    frames = list(_frames(error))
    if not frames:
        return "an unknown place"
    ours = [frame for frame in frames if "site-packages" not in frame.filename]
    last = (ours or frames)[-1]
    return f"{last.filename.rsplit('/', 2)[-2]}/{last.filename.rsplit('/', 1)[-1]}:{last.lineno} ({last.name})"


def _frames(error: Exception) -> Iterator[traceback.FrameSummary]:
    yield from traceback.extract_tb(error.__traceback__)
