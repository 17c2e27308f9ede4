"""Dates as SCR sections show them, read for sorting; what is shown stays as sent.

Belongs here: the published forms (services.md 2.4): ``12-May-2020``, ``30 Apr 2020 16:13``,
``18-Sept-2023``, with a label before (``Last Issued: 12-May-2020``), and partial ones.
Does not belong here: FHIR dates.
"""

from __future__ import annotations

import re
from datetime import date

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SHOWN = re.compile(
    r"(?:(?P<day>\d{1,2})[\s/-]{1,3})?(?:(?P<name>[A-Za-z]{3,9})|(?P<month>\d{1,2}))[\s/-]{1,3}(?P<year>\d{4})"
    r"(?:[\s,T]{1,3}(?P<time>[0-2]\d:[0-5]\d))?(?!\d)",
    re.ASCII,
)
_YEAR = re.compile(r"(?:^|:\s{0,3})(\d{4})$", re.ASCII)


def _month(match: re.Match[str]) -> int | None:
    if match["month"]:
        return int(match["month"])
    start = match["name"][:3].lower()
    return _MONTHS.index(start) + 1 if start in _MONTHS else None


def shown_date(shown: str) -> str | None:
    """ISO form of the first date in a cell: ``yyyy``, ``yyyy-mm``, ``yyyy-mm-dd`` or with ``Thh:mm``.

    None when the cell shows no date. A number month is read British: day, month, year.
    """
    for match in _SHOWN.finditer(shown):
        month, year, day = _month(match), int(match["year"]), match["day"]
        if month is None or not 1 <= month <= 12:
            continue
        if day is None:
            return f"{year:04d}-{month:02d}"
        try:
            found = date(year, month, int(day)).isoformat()
        except ValueError:
            continue
        return f"{found}T{match['time']}" if match["time"] else found
    only_year = _YEAR.search(shown.strip())
    return only_year[1] if only_year else None
