"""An NHS number in a row: whose it is, and whether the rest of the row agrees.

Belongs here: fetching the people of many numbers at once, following number changes, the cross-check. Does not
belong here: the wide search (``asking.py``). Source: pds.md 1.11: number with exact birth date first, then partial
birth date with names or outcode, superseded numbers followed.

People come from the index, not from the records: what it holds of a restricted patient has no location, and who
may not be found at all is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from search_api.matching import comparisons as compare
from search_api.matching.person import Person, unpack
from search_api.matching.scoring import Scored
from search_api.opened import Generation
from search_api.patients.redaction import Security
from search_api.trace.rows import Row
from search_api.trace.rules import TraceRules

_EXACT_BIRTH = frozenset((compare.EXACT, "exact_1_january"))
_PARTIAL_BIRTH = frozenset(("partial_same_month", "partial_same_year"))
# A whole date of which one digit or part is wrong: the date of a namesake as often as a slip of the person's own.
_MISTAKEN_BIRTH = frozenset(("one_digit", "two_parts", "day_month_swapped"))
_FAMILY_AGREES = frozenset((compare.EXACT, compare.JOINED, compare.CLOSE, compare.SOUNDS))
_GIVEN_AGREES = _FAMILY_AGREES | {compare.NICKNAME, compare.INITIAL, compare.MIDDLE}
_PLACE_AGREES = frozenset((compare.EXACT, "exact_previous", "one_character", "same_sector", "same_outcode"))


class Standing(Enum):
    """What became of a number."""

    HELD = "held"
    SUPERSEDED = "superseded"
    INVALIDATED = "invalidated"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Known:
    """A number's standing, and the person it means now where there is one."""

    standing: Standing
    person: Person | None = None
    restricted: bool = False


UNKNOWN = Known(Standing.UNKNOWN)


def people_of(generation: Generation, numbers: Iterable[int]) -> dict[int, Known]:
    """Whom each number means; those that mean nobody who may be found are UNKNOWN or INVALIDATED."""
    asked = sorted(set(numbers))
    found = _documents(generation, asked, Standing.HELD)
    later: dict[int, int] = {}
    for number in asked:
        if number not in found:
            standing, current = _without_document(generation, number)
            found[number] = Known(standing)
            if current:
                later[number] = current
    replacing = _documents(generation, sorted(set(later.values())), Standing.SUPERSEDED)
    found.update({number: replacing[current] for number, current in later.items() if current in replacing})
    return found


def _documents(generation: Generation, numbers: list[int], standing: Standing) -> dict[int, Known]:
    documents = generation.index.find(numbers) if numbers else {}
    return {
        number: Known(standing, unpack(number, document.payload), not document.open)
        for number, document in documents.items()
    }


def _without_document(generation: Generation, number: int) -> tuple[Standing, int]:
    """A number nobody is indexed under: superseded by another, invalidated, or none that may be told of."""
    current = generation.replica.current_number(number)
    if current is None:
        return Standing.INVALIDATED, 0
    record = generation.replica.patient(current)
    if record is not None and record.security == Security.INVALIDATED.value:
        return Standing.INVALIDATED, 0
    return Standing.UNKNOWN, current if current != number else 0


def disagreement(item: Scored, rules: TraceRules, row: Row) -> str:
    """The column that keeps a number from being confirmed; empty when it is confirmed."""
    birth = item.level("birth_date")
    if birth in _EXACT_BIRTH:
        return _name_disagrees(item) if rules.trace_name_needed and _named(row) else ""
    both = item.level("family") in _FAMILY_AGREES and item.level("given") in _GIVEN_AGREES
    placed = item.level("postcode") in _PLACE_AGREES
    partial = rules.trace_partial_birth and birth in _PARTIAL_BIRTH and (both or (placed and not _name_disagrees(item)))
    mistaken = rules.trace_mistaken_birth and birth in _MISTAKEN_BIRTH and both and placed
    return "" if partial or mistaken else "DATE_OF_BIRTH"


def _named(row: Row) -> bool:
    return bool(row.question.family or row.question.given)


def _name_disagrees(item: Scored) -> str:
    """The given name decides, for twins share the rest, and a family name changes; without one the family name."""
    given = item.level("given")
    if given is not None:
        return "" if given in _GIVEN_AGREES else "GIVEN_NAME"
    return "" if item.level("family") in _FAMILY_AGREES else "FAMILY_NAME"
