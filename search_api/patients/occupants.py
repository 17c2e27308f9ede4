"""Who lives, or lived, at a postcode: the portal's postcode search, which PDS's API does not have.

Belongs here: its parameters, its question, its answer. Does not belong here: HTTP, PDS's own search
(``asked.py``, ``searching.py``). Source: pds.md 6.2 (full postcode; optional names, birth date, previous occupants
with effective dates) and 6.5 (an activity of its own, B0098).

Restricted people are never found: the rule is inside the query, as for any question with a location (pds.md 1.9).
When more live there than may be listed nobody is listed, as PDS does (pds.md 1.6); who was matched is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from schemas.fhir.bundle import patient_searchset
from schemas.fields import CURRENT, HIDDEN
from search_api import errors, logging
from search_api.answering import Ask, Reply
from search_api.matching import normalise
from search_api.matching.questions import DateRange, Mode, Question
from search_api.patients import views
from search_api.patients.bundles import EXTENSIONS
from search_api.patients.parameters import (
    NAME_LENGTH,
    Parameter,
    Values,
    check_values,
    first,
    flag,
    grouped,
    read_dates,
)
from search_api.patients.reading import FEED
from search_api.patients.records import records_of
from search_api.patients.searching import may_be_found
from search_api.records import PatientRecord
from search_api.responses import outcome
from search_api.staleness import require_fresh

Resource = dict[str, Any]

OCCUPANCY = f"{EXTENSIONS}occupancy"
POSTCODE = "postcode"
PARAMETERS: tuple[Parameter, ...] = (
    Parameter(POSTCODE, "text", "Full postcode, in any case, with or without a blank. Required.", ours=True),
    Parameter("family", "text", "Family name; * allowed after two characters.", length=NAME_LENGTH, wildcard=True),
    Parameter("given", "text", "Given name; repeatable.", most=20, length=NAME_LENGTH, wildcard=True),
    Parameter("birthdate", "date", "eq, ge or le and yyyy-mm-dd; two values make a range.", most=2),
    Parameter("previous", "flag", "Previous occupants too, and previous names; default false.", ours=True),
    Parameter("effective", "date", "Lived there on these days: eq, ge or le and yyyy-mm-dd.", most=2, ours=True),
)
NO_PLACE = "A pseudo postcode such as ZZ99 names no place"


@dataclass(frozen=True)
class PostcodeSearch:
    """A checked search: the question, the postcode in canonical form, and the days that count."""

    question: Question
    postcode: str
    days: DateRange | None


@dataclass(frozen=True)
class Occupancy:
    """One stay: whether it has ended, and its dates as far as they are known."""

    previous: bool
    start: str | None
    end: str | None


def read_postcode_search(items: Sequence[tuple[str, str]], most: int) -> PostcodeSearch:
    """Checks in the order of PDS's search: any at all, unknown names, dates, values, then what is required."""
    if not items:
        raise errors.SpineError(errors.UNSUPPORTED_SERVICE)
    values = grouped(items)
    if unknown := [name for name in values if name not in {row.name for row in PARAMETERS}]:
        raise errors.additional_properties(unknown)
    birth, days = read_dates("birthdate", values, partial=False), read_dates("effective", values, partial=False)
    check_values(values, wildcards=True, rows=PARAMETERS)
    return PostcodeSearch(_question(values, birth, most), _postcode(values), days)


def _postcode(values: Values) -> str:
    sent = first(values, POSTCODE)
    if sent is None:
        raise errors.missing_value(POSTCODE)
    clean = normalise.postcode(sent)
    if normalise.pseudo_postcode(clean):
        raise errors.invalid_search(NO_PLACE)
    if not normalise.is_postcode(clean):
        raise errors.invalid_value(sent, POSTCODE)
    return clean


def _question(values: Values, birth: DateRange | None, most: int) -> Question:
    return Question(
        Mode.FILTER,
        family=first(values, "family"),
        given=tuple(value.strip() for value in values.get("given", ())),
        birth=birth,
        postcode=first(values, POSTCODE),
        history=flag(values, "previous"),
        limit=most,
    )


def occupants(ask: Ask, asked: PostcodeSearch) -> Reply:
    """The occupants of a postcode, those who live there now first, each with the stay that was found."""
    generation = ask.generation
    require_fresh(generation.manifest, FEED, ask.services.settings)
    matcher = ask.services.matcher.under(generation.weights)
    answer = matcher.answer(asked.question, generation.index, generation.frequencies)
    matched = tuple(match.nhs_number for match in answer.matches)
    if answer.too_many or answer.truncated:
        error = errors.SpineError(errors.TOO_MANY_MATCHES)
        return Reply(outcome(error), 200, matched, detail=f"TOO_MANY_MATCHES matched={answer.total}")
    found = sorted(_stays(ask, asked, matched), key=lambda pair: (pair[1].previous, pair[0].nhs_number))
    bundle = patient_searchset(
        [(views.searched(record, ask.caller, ask.services.settings), 1.0) for record, _ in found],
        datetime.now(UTC),
        base=ask.services.settings.public_base,
    )
    for entry, (_, stay) in zip(bundle.get("entry", ()), found, strict=True):
        entry["search"]["extension"] = [_extension(stay)]
    shown = tuple(record.nhs_number for record, _ in found)
    return Reply(bundle, patients=shown, detail=f"matched={len(matched)} shown={len(shown)}")


def _stays(ask: Ask, asked: PostcodeSearch, numbers: Sequence[int]) -> Iterator[tuple[PatientRecord, Occupancy]]:
    """Who of the matches is shown, with the stay. The index has left out whom it must; this checks again."""
    records = records_of(ask.generation, numbers)
    allowed = may_be_found(asked.question, ask.services)
    for number in numbers:
        record = records.get(number)
        if record is None:
            logging.event("API031", "warning", generation=ask.generation.manifest.generation)
        elif allowed(record):
            stay = next(iter(sorted(_at(record, asked), key=lambda each: (each.previous, each.end or ""))), None)
            if stay is not None:
                yield record, stay


def _at(record: PatientRecord, asked: PostcodeSearch) -> Iterator[Occupancy]:
    """The stays of one patient at the postcode that the question means."""
    for place in record.row.get("addresses") or ():
        previous = place["state"] != CURRENT
        if place["state"] == HIDDEN or (previous and not asked.question.history):
            continue
        if normalise.postcode(place.get("postcode") or "") == asked.postcode:
            stay = Occupancy(previous, place.get("start"), place.get("end"))
            if _within(stay, asked.days):
                yield stay


def _within(stay: Occupancy, days: DateRange | None) -> bool:
    """Whether a stay touches the days asked for; an end that is not known is open."""
    if days is None:
        return True
    begun = not (stay.start and days.high) or stay.start[: len(days.high)] <= days.high
    return begun and (not (stay.end and days.low) or stay.end[:10] >= days.low)


def _extension(stay: Occupancy) -> Resource:
    period = {name: value for name, value in (("start", stay.start), ("end", stay.end)) if value}
    parts: list[Resource] = [{"url": "previous", "valueBoolean": stay.previous}]
    if period:
        parts.append({"url": "period", "valuePeriod": period})
    return {"url": OCCUPANCY, "extension": parts}
