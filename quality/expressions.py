"""Vectorised checks of single values: NHS numbers, dates, texts, codes.

Belongs here: polars expressions that are true, false or null for a value. Does not belong here:
which field must pass which check (``contract.py``, ``rules/``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import polars as pl

from schemas.types import Kind, ListOf, Scalar, Struct

_YEAR = r"^[12][0-9]{3}"
_DATE = r"^[12][0-9]{3}(-[0-9]{2}(-[0-9]{2})?)?$"
_MOMENT = (
    r"^[12][0-9]{3}(-[0-9]{2}(-[0-9]{2}"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?$"
)
_UUID = r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"
# Tab and line ends may stand in an address or a summary; other control characters may not.
CONTROL = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F]"
CONTROL_CODES = tuple(code for code in (*range(0x20), 0x7F) if code not in b"\t\n\r")


def nhs_number_valid(number: pl.Expr) -> pl.Expr:
    """True for ten ASCII digits with the right Modulus 11 check digit, not all the same.

    ``0000000000`` and ``9999999999`` pass the sum and are well-known placeholders (pds.md 2.5).
    """
    value = number.cast(pl.Int64, strict=False)
    digits = [(value // 10**power) % 10 for power in range(9, -1, -1)]
    total = pl.sum_horizontal(digit * weight for digit, weight in zip(digits[:9], range(10, 1, -1), strict=True))
    # 11 - 0 is 11, which counts as 0; a remainder of 10 equals no digit.
    expected = (11 - total % 11) % 11
    same = value.eq(digits[0] * 1_111_111_111)
    return number.str.contains(r"^[0-9]{10}$") & expected.eq(digits[9]) & ~same


def control_number(number: pl.Expr) -> pl.Expr:
    """The number as it enters the control total; null where there are not ten digits."""
    return pl.when(number.str.contains(r"^[0-9]{10}$")).then(number.cast(pl.Int64, strict=False))


def is_date(text: pl.Expr) -> pl.Expr:
    """True for yyyy, yyyy-mm or yyyy-mm-dd that is in the calendar, years 1000 to 2999."""
    return text.str.contains(_DATE) & _in_calendar(text)


def is_moment(text: pl.Expr) -> pl.Expr:
    """True for a FHIR date or dateTime that is in the calendar."""
    return text.str.contains(_MOMENT) & _in_calendar(text)


def _in_calendar(text: pl.Expr) -> pl.Expr:
    # A partial date is completed to its first day: "1980-05" + "-01-01" -> "1980-05-01".
    whole = (text.str.slice(0, 10) + pl.lit("-01-01")).str.slice(0, 10)
    valid = whole.str.to_date("%Y-%m-%d", strict=False).is_not_null()
    return pl.when(text.is_not_null()).then(valid)


def after(text: pl.Expr, day: str) -> pl.Expr:
    """True when a date or dateTime text lies wholly after ``day`` (yyyy-mm-dd).

    ISO texts sort as they stand; a partial date is later only if its year or month is.
    """
    return text.str.contains(_YEAR) & (text.str.slice(0, 10) > pl.lit(day))


def precedes(earlier: pl.Expr, later: pl.Expr) -> pl.Expr:
    """True when one date text is certainly before another: compared to the shorter one's length."""
    length = pl.min_horizontal(earlier.str.len_chars(), later.str.len_chars(), pl.lit(10))
    dated = earlier.str.contains(_YEAR) & later.str.contains(_YEAR)
    return dated & (earlier.str.slice(0, length) < later.str.slice(0, length))


def is_uuid(text: pl.Expr) -> pl.Expr:
    """True for a UUID, upper or lower case."""
    return text.str.contains(_UUID)


def is_ods_code(text: pl.Expr) -> pl.Expr:
    """True for the pattern of ODS codes (pds.md 2.2)."""
    return text.str.contains(r"^[0-9A-Z]+$")


def outside(value: pl.Expr, codes: Iterable[str]) -> pl.Expr:
    """True for a value that is none of the codes; null stays null."""
    return ~value.is_in(list(codes))


def any_item(items: pl.Expr, test: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    """True when a list has an item the test is true for."""
    return items.list.eval(test(pl.element()).fill_null(value=False)).list.any()


def any_text(value: pl.Expr, kind: Kind, test: Callable[[pl.Expr], pl.Expr]) -> pl.Expr | None:
    """True when any text inside a nested value passes the test; None for a kind without text."""
    if isinstance(kind, Scalar):
        return test(value) if kind in (Scalar.TEXT, Scalar.DATE_TEXT) else None
    if isinstance(kind, ListOf):
        inner = any_text(pl.element(), kind.item, test)
        return None if inner is None else value.list.eval(inner.fill_null(value=False)).list.any()
    return _any_part(value, kind, test)


def _any_part(value: pl.Expr, kind: Struct, test: Callable[[pl.Expr], pl.Expr]) -> pl.Expr | None:
    parts = [any_text(value.struct.field(name), part, test) for name, part in kind.parts]
    tests = [part.fill_null(value=False) for part in parts if part is not None]
    return pl.any_horizontal(tests) if tests else None
