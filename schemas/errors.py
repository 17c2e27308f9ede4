"""The one exception tree of the product.

Belongs here: every exception class that our code raises on purpose, one sentence each.
Does not belong here: HTTP statuses and FHIR outcomes (``search_api/errors.py`` maps them).

Rule (docs/decisions): a message names the thing, the rule and the way out. It never holds a
value read from a patient's row: name the feed, the file, the row number and the reason code.
"""

from __future__ import annotations


class NcrsError(Exception):
    """Base of all errors raised on purpose; ``code`` is stable, ``remedy`` says what to do next."""

    code = "NCRS"
    remedy = "See docs/runbook.md."

    def __init__(self, message: str, *, code: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.remedy = remedy or self.remedy

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.remedy}"


class ConfigurationError(NcrsError):
    """A setting is missing, wrong, or contradicts another."""

    code = "CONFIGURATION"


class DataFault(NcrsError):
    """A supplier's file breaks a rule; a result to be recorded, never retried."""

    code = "DATA_FAULT"


class FileRefused(DataFault):
    """A whole extract is refused; ``code`` and ``rule`` are file-level ones (quality/reasons.py)."""

    code = "FILE_MALFORMED"

    def __init__(self, message: str, *, code: str | None = None, remedy: str | None = None, rule: str = "") -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.rule = rule


class PermanentFault(NcrsError):
    """The work cannot succeed by trying again (a bug, a missing input, a broken store)."""

    code = "PERMANENT"


class PassingFault(NcrsError):
    """The work may succeed later (a lock, a time-out, a full queue): the only kind retried."""

    code = "PASSING"


class ClusterUnavailable(PassingFault):
    """The search cluster cannot be reached, is out of time, or gave an answer that is not whole.

    ``reason`` is a code of ``search_api/cluster/answers.py``, for logs and metrics.
    """

    code = "CLUSTER_UNAVAILABLE"
    remedy = "See docs/opensearch.md: what each failure looks like. ncrs doctor asks the cluster."

    def __init__(
        self, message: str, *, code: str | None = None, remedy: str | None = None, reason: str = "unreachable"
    ) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.reason = reason


class GenerationError(PermanentFault):
    """A generation is missing, incomplete, unreadable or of a version this code does not know."""

    code = "GENERATION"


class ReconcileError(PermanentFault):
    """Replica and index of one generation do not agree, so it must not be published."""

    code = "RECONCILE"


class ExpectationsFailed(PermanentFault):
    """Accepted rows fail expectations that our own rules should guarantee; ``failed`` names them."""

    code = "EXPECTATION_FAILED"

    def __init__(self, failed: tuple[str, ...]) -> None:
        super().__init__(
            f"Accepted rows fail expectations our rules should guarantee: {', '.join(failed)}.",
            remedy="Nothing was committed. Mend the rule that let the rows pass (quality/rules), then run again.",
        )
        self.failed = failed


class Refused(NcrsError):
    """A command was refused because of the state of things; the remedy says what to do first."""

    code = "REFUSED"


class InvalidNhsNumber(NcrsError):
    """Text that is not a ten-digit NHS number with a right check digit (the text is not quoted)."""

    code = "INVALID_NHS_NUMBER"
    remedy = "Check the number at its source; ten digits, the last one the Modulus 11 check."
