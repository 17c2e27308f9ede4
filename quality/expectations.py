"""Expectation suites derived from the catalogue: a second, independent opinion on accepted rows.

Belongs here: descriptions in plain values. Does not belong here: great-expectations itself
(``assets/validated/expectations.py`` runs these).

The suites say in another language what the rules enforce; one that fails on accepted rows means
that our own rules missed something, and blocks. They are chosen to cost at most a dozen
expectations a part: what identifies, orders and protects a record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from quality.contract import ACTIONS
from quality.rules.pds_number_change import CHANGE_TYPES
from quality.rules.pds_patient import DEATH_STATUS, GENDERS, SECURITY
from quality.rules.scr_summary import PERMISSIONS
from schemas.feeds import Feed
from schemas.fields import ENVELOPE

CODES: dict[str, tuple[str, ...]] = {
    "action": ACTIONS,
    "security": SECURITY,
    "gender": GENDERS,
    "death_status": DEATH_STATUS,
    "change_type": CHANGE_TYPES,
    "permission": PERMISSIONS,
}
SHAPES: dict[str, str] = {
    "nhs_number": r"^[0-9]{10}$",
    "new_nhs_number": r"^[0-9]{10}$",
    "birth_date": r"^[12][0-9]{3}(-[0-9]{2}){0,2}$",
    "scr_uuid": r"^[0-9A-Fa-f-]{36}$",
}


@dataclass(frozen=True)
class Expectation:
    """One expectation: great-expectations' name for it, its arguments, and which rows it is for.

    ``live_only`` leaves deletes out, whose own fields may be empty.
    """

    kind: str
    arguments: dict[str, Any] = field(default_factory=dict)
    live_only: bool = False

    @property
    def column(self) -> str | None:
        """The column it looks at; None for the whole table."""
        column = self.arguments.get("column")
        return str(column) if column is not None else None


def suite(feed: Feed) -> tuple[Expectation, ...]:
    """The expectations of a feed's accepted rows."""
    found = [Expectation("expect_column_values_to_be_unique", {"column": "row_no"})]
    found.append(Expectation("expect_column_values_to_be_unique", {"column": "source_key"}))
    for entry in feed.fields:
        live_only = entry.name not in ENVELOPE
        if entry.required and entry.name != "row_no":
            found.append(Expectation("expect_column_values_to_not_be_null", {"column": entry.name}, live_only))
        found += _value_expectations(entry.name, live_only)
    return tuple(found)


def _value_expectations(name: str, live_only: bool) -> list[Expectation]:
    if name in CODES:
        values = list(CODES[name])
        return [Expectation("expect_column_values_to_be_in_set", {"column": name, "value_set": values}, live_only)]
    if name in SHAPES:
        shape = SHAPES[name]
        return [Expectation("expect_column_values_to_match_regex", {"column": name, "regex": shape}, live_only)]
    if name == "version_id":
        return [Expectation("expect_column_values_to_be_between", {"column": name, "min_value": 1}, live_only)]
    return []
