"""The parameters of a patient search: the catalogue of them, and the checks of one value.

Belongs here: one row per parameter (the OpenAPI page and the capability statement are made from the
rows) and the rules of single values. Does not belong here: which parameters must come together
(``minimum.py``), or how a search is answered (``service.py``).
Source: pds.md 1.1 and 1.2. Where the sheet is silent the choice is named in the row or function.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from search_api import errors
from search_api.matching.questions import DateRange

Kind = Literal["text", "date", "code", "flag", "count"]

NAME_LENGTH = 35  # pds.md 1.1: family and given, each at most 35 characters
OTHER_LENGTH = 255  # ours: the sheet gives no limit; an e-mail address has at most 89
WILDCARD = "*"
WILDCARD_FROM = 2  # pds.md 1.1: not in the first two characters


@dataclass(frozen=True)
class Parameter:
    """One parameter. ``most``: how often it may be given. ``ours``: no PDS client sends it."""

    name: str
    kind: Kind
    meaning: str
    most: int = 1
    length: int = OTHER_LENGTH
    wildcard: bool = False
    codes: tuple[str, ...] = ()
    ours: bool = False


GENDERS = ("male", "female", "other", "unknown")
TOLERANCES = ("pds", "wide")

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("family", "text", "Family name; * allowed after two characters.", length=NAME_LENGTH, wildcard=True),
    Parameter("given", "text", "Given name; repeatable.", most=20, length=NAME_LENGTH, wildcard=True),
    Parameter("gender", "code", "Officially recorded gender.", codes=GENDERS),
    Parameter("birthdate", "date", "eq, ge or le and yyyy-mm-dd; two values make a range.", most=2),
    Parameter("death-date", "date", "As birthdate.", most=2),
    Parameter("address-postalcode", "text", "Any known postcode; * allowed after two characters.", wildcard=True),
    Parameter("address-postcode", "text", "The old name of address-postalcode.", wildcard=True),
    Parameter("general-practitioner", "text", "ODS code of the registered practice, exact."),
    Parameter("phone", "text", "Telephone number, exact."),
    Parameter("email", "text", "E-mail address, exact, in any case."),
    Parameter("_fuzzy-match", "flag", "Fuzzy search; default false."),
    Parameter("_exact-match", "flag", "Only matches of score 1; default false."),
    Parameter("_history", "flag", "Search previous values too; default false; always on in fuzzy search."),
    Parameter("_max-results", "count", "1 to 50; default 50, and 1 for an application."),
    Parameter("_ncrs-mode", "code", "wide: a more tolerant search than PDS's fuzzy one.", codes=TOLERANCES, ours=True),
    Parameter("_ncrs-explain", "flag", "Adds grade, weights and levels to each entry.", ours=True),
)
BY_NAME: dict[str, Parameter] = {parameter.name: parameter for parameter in PARAMETERS}

# The sandbox lets this through without using it (pds.md 1.1); Settings.accept_history_alias.
HISTORY_ALIAS = "history"

Values = dict[str, list[str]]

_DATE = re.compile(r"(eq|ge|le)?([0-9]{4}-[0-9]{2}-[0-9]{2})")
_PARTIAL_DATE = re.compile(r"(eq)?([0-9]{4}(?:-(?:0[1-9]|1[0-2]))?)")
_COUNT = re.compile(r"[0-9]{1,4}")


def grouped(items: Sequence[tuple[str, str]]) -> Values:
    """Values by parameter, in the order sent."""
    values: Values = {}
    for name, value in items:
        values.setdefault(name, []).append(value)
    return values


def refuse_unknown(values: Values, *, history_alias: bool) -> None:
    """Raises ADDITIONAL_PROPERTIES naming every unknown parameter (pds.md 1.2)."""
    unknown = [name for name in values if name not in BY_NAME and not (history_alias and name == HISTORY_ALIAS)]
    if unknown:
        raise errors.additional_properties(unknown)


def read_dates(name: str, values: Values, *, partial: bool) -> DateRange | None:
    """The range that all values of a date parameter leave; an impossible one has low above high.

    ``partial`` also allows yyyy and yyyy-mm (wide search only). Raises INVALID_VALUE.
    """
    sent = values.get(name)
    if not sent:
        return None
    lows, highs = [], []
    for value in sent:
        prefix, day = _read_date(name, value, partial)
        if prefix != "le":
            lows.append(day)
        if prefix != "ge":
            highs.append(day)
    return DateRange(max(lows, default=None), min(highs, default=None))


def _read_date(name: str, value: str, partial: bool) -> tuple[str, str]:
    match = _DATE.fullmatch(value)
    if match and _is_day(match[2]):
        return match[1] or "eq", match[2]
    match = _PARTIAL_DATE.fullmatch(value) if partial else None
    if match:
        return "eq", match[2]
    raise errors.invalid_value(value, name)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def check_values(values: Values, *, wildcards: bool, rows: Sequence[Parameter] = PARAMETERS) -> None:
    """Every value by its row, in the catalogue's order. ``wildcards``: whether this mode has them.

    A value given too often is TOO_MANY_VALUES_SUBMITTED, anything else INVALID_VALUE. Both are our
    reading for a search: the sheet has the codes (pds.md 4.2) but no search example of them.
    """
    for parameter in rows:
        sent = values.get(parameter.name, ())
        if len(sent) > parameter.most:
            raise errors.too_many_values(sent, parameter.name)
        for value in sent:
            _check_value(parameter, value, wildcards)


def _check_value(parameter: Parameter, value: str, wildcards: bool) -> None:
    stripped = value.strip()
    wrong = not stripped or len(value) > parameter.length or not value.isprintable()
    if parameter.kind == "code":
        wrong = value not in parameter.codes
    elif parameter.kind == "flag":
        wrong = value not in ("true", "false")
    elif parameter.kind == "count":
        wrong = not _COUNT.fullmatch(value)
    elif parameter.wildcard and wildcards:
        wrong = wrong or WILDCARD in stripped[:WILDCARD_FROM]
    if wrong:
        raise errors.invalid_value(value, parameter.name)


def flag(values: Values, name: str) -> bool:
    """A true or false parameter; false when absent."""
    return values.get(name, ["false"])[0] == "true"


def first(values: Values, name: str) -> str | None:
    """The value of a single parameter, without the blanks around it; None when absent."""
    sent = values.get(name)
    return sent[0].strip() if sent else None


def has_wildcard(values: Values) -> bool:
    """True when a parameter that may hold a wildcard holds one."""
    return any(WILDCARD in value for row in PARAMETERS if row.wildcard for value in values.get(row.name, ()))


def read_limit(values: Values, most: int) -> int:
    """``_max-results`` from 1 to ``most``, which is also the default. Raises INVALID_VALUE."""
    sent = first(values, "_max-results")
    if sent is None:
        return most
    if not 1 <= int(sent) <= most:
        raise errors.invalid_value(sent, "_max-results")
    return int(sent)
