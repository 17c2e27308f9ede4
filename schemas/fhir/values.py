"""Reading JSON of unknown shape without ever failing, and writing it without empty parts.

Belongs here: the small helpers every resource file shares. Does not belong here: any field's name.
Reading takes only values of exactly the expected type (a boolean is no integer, ``1.0`` is no
``1``), so a resource rebuilt from columns can be equal to the original only if nothing was lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from schemas.errors import DataFault

Json: TypeAlias = dict[str, Any]

# Whole numbers a column of 64 bits holds.
_LEAST, _MOST = -(2**63), 2**63 - 1
MOST_LEVELS = 100


def _storable(value: str) -> bool:
    # A lone surrogate is legal in JSON text but cannot be stored as UTF-8.
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def text(value: object) -> str | None:
    """The value if it is text that UTF-8 can store, else None."""
    if type(value) is str and (value.isascii() or _storable(value)):
        return value
    return None


def integer(value: object) -> int | None:
    """The value if it is a whole number of 64 bits (not a boolean), else None."""
    return value if type(value) is int and _LEAST <= value <= _MOST else None


def digits(value: object) -> int | None:
    """The number of a text of ASCII digits, at most 18 (so that 64 bits hold it), else None."""
    found = text(value)
    if found is None or not found.isascii() or not found.isdigit() or len(found) > 18:
        return None
    return int(found)


def boolean(value: object) -> bool | None:
    """The value if it is true or false, else None."""
    return value if type(value) is bool else None


def texts(value: object) -> list[str] | None:
    """The texts of a list, in order; None where there is none (the normal form of an empty list)."""
    if not isinstance(value, list):
        return None
    return [item for item in value if text(item) is not None] or None


def dicts(value: object) -> list[Json]:
    """The objects of a list, in order; other items are left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def mapping(value: object) -> Json:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def period(value: object) -> tuple[str | None, str | None]:
    """Start and end of a Period as sent (partial dates stay partial)."""
    if not isinstance(value, dict):
        return None, None
    return text(value.get("start")), text(value.get("end"))


def struct(parts: Json) -> Json | None:
    """The parts, or None when all of them are missing: the normal form of a struct column."""
    return None if all(part is None for part in parts.values()) else parts


def known(value: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The struct, or None when it has no part: some stores give back a null struct so."""
    return value if value and any(part is not None for part in value.values()) else None


def present(parts: Iterable[tuple[str, Any]]) -> Json:
    """An object of the parts that are not None, in order."""
    return {name: part for name, part in parts if part is not None}


def listed(value: Iterable[Any] | None) -> list[Any] | None:
    """A list of the items, or None when there are none: FHIR has no empty arrays."""
    items = list(value) if value is not None else []
    return items or None


def as_period(row: Mapping[str, Any]) -> Json | None:
    """A Period of ``start`` and ``end``, or None when both are missing."""
    start, end = row["start"], row["end"]
    if start is None and end is None:
        return None
    if end is None:
        return {"start": start}
    return {"end": end} if start is None else {"start": start, "end": end}


def _too_deep(value: object) -> bool:
    level: list[Any] = [value]
    for _ in range(MOST_LEVELS):
        level = [
            part
            for node in level
            if isinstance(node, dict | list)
            for part in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return False
    return True


def json_text(value: object) -> str:
    """JSON text that reads back equal, in ASCII so that every store can hold it.

    Not orjson: it refuses numbers beyond 64 bits and lone surrogates, which JSON allows.
    Raises DataFault ``RECORD_TOO_DEEP`` for JSON nested deeper than MOST_LEVELS, which no FHIR
    resource is and which recursive readers may not survive.
    """
    if _too_deep(value):
        raise DataFault(
            f"The resource is nested more than {MOST_LEVELS} levels deep.",
            code="RECORD_TOO_DEEP",
            remedy="Ask the supplier to send the resource in the published shape.",
        )
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def from_json_text(value: str) -> Any:
    """The value of :func:`json_text`."""
    return json.loads(value)
