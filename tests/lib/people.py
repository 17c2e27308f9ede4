"""People to ask about: whom a question may be of, and what is held of them.

Belongs here: groups of rows, single values of a row, date ranges around one. Does not belong here: questions
(``questions.py``).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from search_api.matching.questions import DateRange

Row = dict[str, Any]

NOBODY_BEFORE = date(1900, 1, 1)


@dataclass
class People:
    """Rows to ask about, in row form with ``documents.COLUMNS``; ``changed`` are asked about more often."""

    rows: Sequence[Row]
    changed: Sequence[Row] = ()
    groups: dict[str, list[Row]] = field(init=False)
    families: list[str] = field(init=False)
    givens: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = [row for row in self.rows if names_of(row)]
        self.changed = [row for row in self.changed if names_of(row)]
        self.groups = {name: [row for row in self.rows if belongs(row)] for name, belongs in _GROUPS.items()}
        held = [name for row in self.rows for name in names_of(row)]
        self.families = _by_count(name["family"] for name in held)
        self.givens = _by_count(name["given"][0] for name in held if name["given"])

    def any(self, dice: random.Random) -> Row:
        """Somebody with a name; every other one of those who changed, when there are any."""
        return dice.choice(self.changed if self.changed and dice.random() < 0.5 else self.rows)

    def of(self, group: str, dice: random.Random) -> Row:
        """Somebody of a group, or anybody when it is empty."""
        found = self.groups[group]
        return dice.choice(found) if found else self.any(dice)


def _by_count(texts: Iterator[str | None]) -> list[str]:
    return [text for text, _ in Counter(filter(None, texts)).most_common()]


def names_of(row: Row, *states: str) -> list[Row]:
    """The names that can be found, or those of some states."""
    wanted = states or ("current", "historic")
    return [name for name in row["names"] or () if name["state"] in wanted and (name["family"] or name["given"])]


_GROUPS: dict[str, Callable[[Row], bool]] = {
    "restricted": lambda row: row["security"] in ("R", "V"),
    "dead": lambda row: bool(row["deceased"]),
    "partial": lambda row: 0 < len(row["birth_date"] or "") < 10,
    "renamed": lambda row: bool(names_of(row, "historic")),
    "reachable": lambda row: bool(row["telecoms"]),
    "odd postcode": lambda row: any((item["postcode"] or "").startswith("ZZ") for item in row["addresses"] or ()),
    "poor": lambda row: not row["birth_date"] or not all(name["family"] and name["given"] for name in names_of(row)),
    "marked": lambda row: any(not (name["family"] or "").isalpha() for name in names_of(row)),
}


def value_of(items: Sequence[Row] | None, key: str, dice: random.Random, *states: str) -> Any:
    """A value of one of the items of these states (current by default), or None."""
    found = [item[key] for item in items or () if item[key] and item["state"] in (states or ("current",))]
    return dice.choice(found) if found else None


def contact_of(row: Row, system: str, dice: random.Random) -> Any:
    """A telephone or an e-mail, as text, or None."""
    held = [item for item in row["telecoms"] or () if item["system"] == system]
    return value_of(held, "value", dice, "current", "historic")


def day(text: str | None) -> DateRange | None:
    """One day or partial date."""
    return DateRange(text, text) if text else None


def _whole(text: str | None) -> date:
    return date.fromisoformat(f"{text}-01-01"[:10] if text and len(text) < 10 else text or "1970-01-01")


def some_days(text: str | None) -> DateRange:
    """A month around it."""
    around = _whole(text)
    return DateRange((around - timedelta(days=3)).isoformat(), (around + timedelta(days=30)).isoformat())


def two_years(text: str | None) -> DateRange:
    """Its year and the one before."""
    year = _whole(text).year
    return DateRange(f"{year - 1}-01-01", f"{year}-12-31")


def open_ended(text: str | None) -> DateRange:
    """From it on, or up to it."""
    held = _whole(text).isoformat()
    return DateRange(held, None) if int(held[-1]) % 2 else DateRange(None, held)


def lifetimes(text: str | None) -> DateRange:
    """Everything up to it."""
    return DateRange(NOBODY_BEFORE.isoformat(), _whole(text).isoformat())
