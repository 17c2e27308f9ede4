"""Shape faults of one NDJSON line, and the checks that raise them.

Belongs here: reason codes, and readers of one envelope field. Does not belong here: payloads.
A message names the field and the rule, never the value.
"""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.errors import DataFault
from schemas.fhir.values import Json, dicts, text

NOT_AN_OBJECT = "RECORD_NOT_AN_OBJECT"
WRONG_RESOURCE = "RECORD_WRONG_RESOURCE"
NO_PAYLOAD = "RECORD_WITHOUT_PAYLOAD"
NO_SUBJECT = "RECORD_WITHOUT_NHS_NUMBER"
SUBJECT_DIFFERS = "RECORD_SUBJECT_DIFFERS"
BAD_ACTION = "RECORD_ACTION_UNKNOWN"
BAD_TIME = "RECORD_TIME_MALFORMED"
BAD_ENVELOPE = "RECORD_ENVELOPE_MALFORMED"
SHAPE_CODES = (
    NOT_AN_OBJECT,
    WRONG_RESOURCE,
    NO_PAYLOAD,
    NO_SUBJECT,
    SUBJECT_DIFFERS,
    BAD_ACTION,
    BAD_TIME,
    BAD_ENVELOPE,
    "RECORD_TOO_DEEP",
)

_REMEDY = "Ask the supplier to send the line in the shape of services.md 19.3."


def fault(code: str, message: str) -> DataFault:
    """A shape fault of one line; ``message`` names field and rule, never a value."""
    return DataFault(message, code=code, remedy=_REMEDY)


def moment(value: object) -> datetime | None:
    """The time of an ISO date-time with an offset, in UTC, or None when the value is none."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def time_field(envelope: Json, name: str) -> datetime | None:
    """A time of the envelope in UTC, None when absent; DataFault when it is no such time."""
    value = envelope.get(name)
    if value is None:
        return None
    found = moment(value)
    if found is None:
        raise fault(BAD_TIME, f"The envelope's {name} is no date-time with an offset.")
    return found


def text_field(envelope: Json, name: str) -> str | None:
    """A text of the envelope, None when absent; DataFault when it is no text."""
    value = envelope.get(name)
    if value is None:
        return None
    found = text(value)
    if found is None:
        raise fault(BAD_ENVELOPE, f"The envelope's {name} is not text.")
    return found


def objects_field(envelope: Json, name: str) -> list[Json]:
    """A list of objects of the envelope, empty when absent; DataFault when it is no such list."""
    value = envelope.get(name)
    if value is None:
        return []
    found = dicts(value)
    if not isinstance(value, list) or len(found) != len(value):
        raise fault(BAD_ENVELOPE, f"The envelope's {name} is not a list of objects.")
    return found


def lists_field(envelope: Json, name: str, allowed: frozenset[str]) -> Json | None:
    """An object of lists under allowed names, None when absent; DataFault when it is none."""
    value = envelope.get(name)
    if value is None:
        return None
    right = isinstance(value, dict) and allowed.issuperset(value)
    if not right or not all(isinstance(items, list) for items in value.values()):
        raise fault(BAD_ENVELOPE, f"The envelope's {name} may hold only lists named {', '.join(sorted(allowed))}.")
    return dict(value)
