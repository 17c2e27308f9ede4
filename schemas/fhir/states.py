"""State of values: current, historic or hidden.

Belongs here: deciding the state of names, addresses and telecoms. Does not belong here: reading
them, or what a search does with a state.

PDS publishes periods and a confidentiality code, not states (pds.md 1.4, 2.3), so these are our
choices, [I] in the sheet:

- a name of use ``old`` or ``maiden`` is historic;
- a value whose period ended before the as-at date is historic when another value of the same use
  (telecoms: same system and use) has begun and not ended. Ended with nothing in its place stays
  current: it is the best PDS has, and PDS still returns it;
- a value that begins later than the as-at date is current (PDS sends it), but replaces nothing;
- the last day of a period counts as inside it; a partial end date counts to its last day.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from schemas.fhir.values import Json
from schemas.fields import HISTORIC

OLD_NAME_USES = frozenset({"old", "maiden"})

_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
_Use = Callable[[Json], tuple[str | None, ...]]


def _day(value: str | None) -> str | None:
    """The date part of a FHIR date or dateTime, or None when it is no date."""
    if value is None:
        return None
    match = _DATE.match(value)
    return match[0] if match else None


def has_ended(value: Json, as_at: str) -> bool:
    """True when the value's period ended before the as-at date (``yyyy-mm-dd``)."""
    end = _day(value["end"])
    return end is not None and end < as_at[: len(end)]


def has_begun(value: Json, as_at: str) -> bool:
    """True unless the value's period starts after the as-at date."""
    start = _day(value["start"])
    return start is None or start <= as_at[: len(start)]


def name_use(value: Json) -> tuple[str | None, ...]:
    """What makes two names alternatives of each other; addresses alike."""
    return (value["use"],)


def telecom_use(value: Json) -> tuple[str | None, ...]:
    """What makes two telecoms alternatives of each other."""
    return (value["system"], value["other_system"], value["use"])


def settle(values: list[Json], as_at: str | None, use: _Use = name_use) -> None:
    """Set ``state`` to historic, in place, where the rules above say so.

    ``as_at`` is a date or date-time in ISO form; None leaves periods out of the decision.
    """
    for value in values:
        if value["use"] in OLD_NAME_USES:
            value["state"] = HISTORIC
    if as_at is None or len(values) < 2:
        return
    ended = [value for value in values if value["end"] is not None and has_ended(value, as_at)]
    if not ended:
        return
    open_uses = {use(value) for value in values if has_begun(value, as_at) and not has_ended(value, as_at)}
    for value in ended:
        if use(value) in open_uses:
            value["state"] = HISTORIC
