"""The catalogue of reason codes: every way an extract, a group or a record can be judged.

Belongs here: the codes suppliers see in acknowledgements (services.md 19.4, and a few of our own
that the sheet leaves open), and the file-level rules that lead to them. Does not belong here: the
record-level rules (each stands beside its function in ``quality/rules``), the judging itself.

A *code* is coarse and stable, a *rule* is fine: one code, many rules. Texts never quote a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.errors import FileRefused
from schemas.extract import Outcome


class Level(StrEnum):
    """How far a rejection reaches; a warning rejects nothing."""

    FILE = "file"
    GROUP = "group"
    RECORD = "record"
    WARNING = "warning"


@dataclass(frozen=True)
class Reason:
    """One code: the outcome it gives a file (None for records), one sentence, its source."""

    code: str
    level: Level
    sentence: str
    source: str
    outcome: Outcome | None = None


_SHEET = "services.md 19.4"
_OWN = "our own"


def _file(code: str, outcome: Outcome, sentence: str, source: str = _SHEET) -> Reason:
    return Reason(code, Level.FILE, sentence, source, outcome)


def _record(code: str, sentence: str, source: str = _SHEET, level: Level = Level.RECORD) -> Reason:
    return Reason(code, level, sentence, source)


_REASONS = (
    _file("FILE_RECEIVED", "accepted", "Readable and complete; the result follows.", "services.md 19.5"),
    _file("FILE_ACCEPTED", "accepted", "Every record was loaded."),
    _file("FILE_PARTIAL", "partial", "Valid records were loaded, invalid ones rejected."),
    _file("FILE_NONE_LOADED", "refused", "Readable, but no record could be loaded."),
    _file("FILE_MALFORMED", "refused", "Corrupt or badly formed, or manifest and data do not agree."),
    _file("FILE_VERSION_UNSUPPORTED", "refused", "The layout version is not known or retired."),
    _file("FILE_EMPTY", "refused", "A full without records, or no data where the manifest counts some."),
    _file("FILE_UNAUTHORISED", "refused", "This source may not send this feed."),
    _file("FILE_DUPLICATE", "refused", "This sequence is already committed."),
    _file("FILE_SHRINK", "refused", "A full is smaller than the last one by more than the limit."),
    _file("FILE_OLDER", "refused", "Older than what was already accepted from this source.", "architecture.md 4.3"),
    _file("FILE_DEFERRED_GAP", "deferred", "An extract before this one is missing; held until it arrives."),
    _record("REC_NHS_NUMBER_INVALID", "The NHS number is missing, not ten digits, or fails Modulus 11."),
    _record("REC_NOT_VERIFIED", "The NHS number is not verified.", level=Level.WARNING),
    _record("REC_INVALID_VALUE", "A code is unknown, a date is in the future, or values contradict."),
    _record("REC_DUPLICATE_KEY", "The same key occurs more than once in one extract.", level=Level.GROUP),
    _record("REC_FAILED", "The record could not be read."),
    _record("REC_PLACEHOLDER", "A value is a placeholder; kept, but not evidence.", _OWN, Level.WARNING),
    _record("REC_QUESTIONABLE", "A value is unusual; kept as sent.", _OWN, Level.WARNING),
)

REASONS: dict[str, Reason] = {reason.code: reason for reason in _REASONS}


@dataclass(frozen=True)
class FileRule:
    """One file-level rule: the code it leads to, what is wrong, and the way out."""

    name: str
    code: str
    sentence: str
    remedy: str


_M = "FILE_MALFORMED"
_RESEND = "Correct it at the source and send it again under the same sequence."
_FILE_RULES = (
    FileRule("MANIFEST_UNREADABLE", _M, "The manifest is not a JSON text of at most 1 MB.", _RESEND),
    FileRule("MANIFEST_FIELD", _M, "A manifest field is missing, unknown or not of its type.", _RESEND),
    FileRule("MANIFEST_TIME", _M, "A manifest time has no offset, or the window ends before it starts.", _RESEND),
    FileRule("MANIFEST_FUTURE", _M, "The manifest's window ends in the future.", _RESEND),
    FileRule("MANIFEST_PLACE", _M, "Feed, source or sequence are not those of the folder.", _RESEND),
    FileRule("SOURCE_NOT_ALLOWED", "FILE_UNAUTHORISED", "The source may not send this feed.", "Ask the feed's owner."),
    FileRule("KIND_NOT_ALLOWED", _M, "The feed has no extracts of this kind.", _RESEND),
    FileRule("VERSION_UNKNOWN", "FILE_VERSION_UNSUPPORTED", "The layout version is not the feed's.", _RESEND),
    FileRule("FILES_NAMED_TWICE", _M, "Two data files have one name.", _RESEND),
    FileRule("FILE_MISSING", _M, "A data file named by the manifest is not there.", _RESEND),
    FileRule("FILE_NOT_PLAIN", _M, "A folder or data file is a link, or not a regular file.", _RESEND),
    FileRule("FILE_SIZE", _M, "A data file has not the bytes the manifest counts.", _RESEND),
    FileRule("FILE_HASH", _M, "A data file has not the SHA-256 of the manifest.", _RESEND),
    FileRule("FILE_UNPACK", _M, "A packed data file is truncated or corrupt.", _RESEND),
    FileRule("FILE_EXPANSION", _M, "A data file unpacks to more than the limit allows.", _RESEND),
    FileRule("FILE_FORMAT", _M, "A data file is not of the format the manifest names.", _RESEND),
    FileRule("FILE_COLUMNS", _M, "The columns of a data file are not those of the feed.", _RESEND),
    FileRule("FILE_ROWS", _M, "A data file has not the rows the manifest counts.", _RESEND),
    FileRule("FILE_CONTROL", _M, "The control total is not that of the manifest.", _RESEND),
    FileRule("RECORD_COUNT", _M, "The record count is not the sum of the files' rows.", _RESEND),
    FileRule("SEQUENCE_STEP", _M, "The sequence does not follow its predecessor by one.", _RESEND),
    FileRule("FULL_EMPTY", "FILE_EMPTY", "A full holds no record.", _RESEND),
    FileRule("DATA_EMPTY", "FILE_EMPTY", "A data file is empty although the manifest counts rows.", _RESEND),
    FileRule(
        "SHRUNK",
        "FILE_SHRINK",
        "The full is smaller than the last accepted one by more than the feed's limit.",
        "Send the whole, or have the shrinkage approved with a reason.",
    ),
    FileRule("GAP", "FILE_DEFERRED_GAP", "The extract before this one is missing.", "Send the missing one, or a full."),
    FileRule("OLDER", "FILE_OLDER", "Sequence or window lie before what was accepted.", "Send what is newer."),
    FileRule(
        "OVERTAKEN", "FILE_OLDER", "A later full was accepted while this extract was held.", "Nothing has to be done."
    ),
    FileRule("SAME_AGAIN", "FILE_DUPLICATE", "The same bytes were committed before.", "Nothing has to be done."),
    FileRule(
        "OTHER_BYTES",
        "FILE_DUPLICATE",
        "Other bytes were committed under this sequence.",
        "Send corrections under a new sequence.",
    ),
    FileRule("NONE_LOADED", "FILE_NONE_LOADED", "No record could be loaded.", _RESEND),
)

FILE_RULES: dict[str, FileRule] = {rule.name: rule for rule in _FILE_RULES}


def refused(rule: str, detail: str = "") -> FileRefused:
    """The exception for a file-level rule. ``detail`` names a file, a field or a count, no value."""
    known = FILE_RULES[rule]
    message = f"{known.name}: {known.sentence}" + (f" ({detail})" if detail else "")
    return FileRefused(message, code=known.code, remedy=known.remedy, rule=rule)


def outcome_of(code: str) -> Outcome:
    """The outcome a file-level code gives a file."""
    outcome = REASONS[code].outcome
    if outcome is None:
        raise KeyError(code)
    return outcome
