"""From the parameters of a request to a question for the matcher.

Belongs here: the order of checks, the access mode's limit, and the translation.
Does not belong here: HTTP, the rules of single values or of combinations.
Source: pds.md 1.1, 1.2 and 1.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from search_api import errors
from search_api.access.context import AccessMode
from search_api.matching.questions import DateRange, Mode, Question
from search_api.patients.minimum import check_minimum
from search_api.patients.parameters import (
    Values,
    check_values,
    first,
    flag,
    grouped,
    read_dates,
    read_limit,
    refuse_unknown,
)
from search_api.settings import Settings

APPLICATIONS = frozenset({AccessMode.APPLICATION, AccessMode.PRIVILEGED_APPLICATION})


@dataclass(frozen=True)
class Search:
    """A checked search. ``impossible``: its date parameters contradict each other, so nobody matches."""

    question: Question
    explain: bool = False
    impossible: bool = False


def check_mode(items: Sequence[tuple[str, str]], mode: AccessMode) -> None:
    """An application gets one unique match: any other ``_max-results`` is 403 (pds.md 1.6, 4.2).

    This is a rule of the access mode, so it comes before every check of parameters (pds.md 4.3).
    """
    if mode in APPLICATIONS and any(name == "_max-results" and value != "1" for name, value in items):
        raise errors.more_than_one_refused(mode.value)


def read_search(items: Sequence[tuple[str, str]], mode: AccessMode, settings: Settings) -> Search:
    """Checks in PDS's order: any at all, unknown names, dates, values, then the minimum."""
    if not items:
        raise errors.SpineError(errors.UNSUPPORTED_SERVICE)
    values = grouped(items)
    refuse_unknown(values, history_alias=settings.accept_history_alias)
    tolerance = _tolerance(values)
    birth = read_dates("birthdate", values, partial=tolerance is Mode.WIDE)
    death = read_dates("death-date", values, partial=tolerance is Mode.WIDE)
    check_values(values, wildcards=tolerance is Mode.FILTER)
    limit = read_limit(values, 1 if mode in APPLICATIONS else settings.max_results)
    check_minimum(tolerance, values)
    explain = flag(values, "_ncrs-explain")
    # Only an explained answer shows grades (bundles.py).
    question = replace(_question(values, tolerance, limit, (birth, death)), graded=explain)
    if question.phones or question.emails:
        question = replace(question, located=not settings.restricted_found_by_contact)
    return Search(question, explain, _impossible(birth) or _impossible(death))


def _tolerance(values: Values) -> Mode:
    if first(values, "_ncrs-mode") == "wide":
        return Mode.WIDE
    return Mode.FUZZY if flag(values, "_fuzzy-match") else Mode.FILTER


def _impossible(dates: DateRange | None) -> bool:
    return bool(dates and dates.low and dates.high and dates.low > dates.high)


def _question(values: Values, mode: Mode, limit: int, dates: tuple[DateRange | None, DateRange | None]) -> Question:
    return Question(
        mode=mode,
        family=first(values, "family"),
        given=tuple(value.strip() for value in values.get("given", ())),
        gender=first(values, "gender"),
        birth=dates[0],
        death=dates[1],
        postcode=first(values, "address-postalcode") or first(values, "address-postcode"),
        gp_code=first(values, "general-practitioner"),
        phones=tuple(values.get("phone", ())),
        emails=tuple(values.get("email", ())),
        history=mode is not Mode.FILTER or flag(values, "_history"),
        exact_only=flag(values, "_exact-match"),
        limit=limit,
    )
