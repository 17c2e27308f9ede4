"""What each event does to a patient's row (row form, as a dictionary).

Belongs here: one function an event, changing the row in place, and the rules they share. Does not
belong here: which events happen. Each change raises ``version_id`` by one; replaced values stay
as history with an end date; the order of values is the feed's (returned, history, hidden).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.extracts.materials import Material
from schemas.fhir.patient import in_resource
from schemas.fields import CURRENT, HIDDEN, HISTORIC

Row = dict[str, Any]
_INFORMAL = 0.3  # share of deaths first known informally; assumption
_CHANGES_PRACTICE = 0.8  # share of moves that change the practice too; assumption


def _order(value: Row) -> int:
    if value["state"] == HIDDEN:
        return 2
    return 0 if in_resource(value) else 1


def _settled(values: list[Row]) -> list[Row]:
    """Values PDS returns first, then history, then hidden ones; stable."""
    return sorted(values, key=_order)


def _replace(row: Row, column: str, new: Row, same: Callable[[Row], bool], end: str) -> None:
    """Put ``new`` first and end the current values that are its alternatives."""
    values = row[column] or []
    for value in values:
        if value["state"] == CURRENT and same(value):
            value["state"], value["end"] = HISTORIC, end
    row[column] = _settled([new, *values])


def _move(row: Row, event: Material) -> None:
    address = {
        "state": CURRENT,
        "id": f"A{100 + event['day']}",
        "use": "home",
        "text": None,
        "start": event["date"],
        "end": None,
        **{name: event[name] for name in ("lines", "postcode", "keys")},
    }
    _replace(row, "addresses", address, lambda value: value["use"] == "home", event["date"])
    if event["chance"] < _CHANGES_PRACTICE:
        _practice(row, event)


def _practice(row: Row, event: Material) -> None:
    row["general_practitioner"] = {
        "id": f"G{100 + event['day']}",
        "code": event["practice"],
        "start": event["date"],
        "end": None,
    }


def _name_change(row: Row, event: Material) -> None:
    """A new family name; the former one becomes maiden (women) or old."""
    usual = next((name for name in row["names"] or () if name["use"] == "usual" and name["state"] == CURRENT), None)
    if usual is None:
        return
    new = {**usual, "id": f"N{100 + event['day']}", "family": event["family"], "start": event["date"]}
    use = "maiden" if row["gender"] == "female" else "old"

    def same(value: Row) -> bool:
        return value is usual

    _replace(row, "names", new, same, event["date"])
    usual["use"] = use
    row["names"] = _settled(row["names"])


def _contact(row: Row, event: Material) -> None:
    """A new mobile number."""
    telecom = {
        "state": CURRENT,
        "id": f"T{100 + event['day']}",
        "system": "phone",
        "use": "mobile",
        "value": event["mobile"],
        "other_system": None,
        "start": event["date"],
        "end": None,
    }
    alike = ("phone", "mobile", None)
    _replace(
        row,
        "telecoms",
        telecom,
        lambda value: (value["system"], value["use"], value["other_system"]) == alike,
        event["date"],
    )


def _death(row: Row, event: Material) -> None:
    row["deceased"] = f"{event['date']}T00:00:00+00:00"
    row["death_status"] = "1" if event["chance"] < _INFORMAL else "2"
    row["death_status_date"] = event["moment"].isoformat(timespec="seconds")
    row["removal"] = {"code": "DEA", "start": event["date"], "end": None}
    row["general_practitioner"] = row["nominated_pharmacy"] = row["preferred_dispenser"] = None


def _restrict(row: Row, _event: Material) -> None:
    row["security"] = "R"


def _unrestrict(row: Row, _event: Material) -> None:
    row["security"] = "U"


def _invalidate(row: Row, _event: Material) -> None:
    row["security"] = "REDACTED"


def _supersede(row: Row, event: Material) -> None:
    """The record goes on under another number, from its first version."""
    row["nhs_number"] = row["source_key"] = event["new_number"]
    row["version_id"] = 0


_EFFECTS: dict[str, Callable[[Row, Material], None]] = {
    "move": _move,
    "practice": _practice,
    "name_change": _name_change,
    "contact": _contact,
    "death": _death,
    "restrict": _restrict,
    "unrestrict": _unrestrict,
    "invalidate": _invalidate,
    "supersede": _supersede,
}
_OF_THE_LIVING = frozenset({"move", "practice", "name_change", "contact", "death"})


def can_happen(row: Row, kind: str) -> bool:
    """Whether an event can strike a record in this state."""
    if row["security"] == "REDACTED" or row["names"] is None:
        return False
    if kind in _OF_THE_LIVING:
        return row["deceased"] is None
    if kind == "restrict":
        return bool(row["security"] == "U")
    if kind == "unrestrict":
        return bool(row["security"] == "R")
    return kind in _EFFECTS


def happen(row: Row, event: Material) -> bool:
    """Apply an event to the row, if it can happen; True when the row changed."""
    if not can_happen(row, event["kind"]):
        return False
    _EFFECTS[event["kind"]](row, event)
    row["version_id"] += 1
    row["action"] = "new" if event["kind"] == "supersede" else "update"
    row["effective_from"], row["recorded_at"] = event["date"], event["moment"]
    return True
