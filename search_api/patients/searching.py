"""Answering a search: ask the matcher, fetch the records, show what may be shown.

Belongs here: search and $match on one generation. Does not belong here: reading the question from
a request (``asked.py``, ``match_input.py``), or the rules of redaction.
Source: pds.md 1.5 to 1.9; FHIR R4 Patient/$match.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from schemas.fhir.bundle import patient_searchset
from search_api import errors, logging
from search_api.answering import Ask, Reply
from search_api.matching.questions import Answer, Grade, Match, Mode, Question
from search_api.patients import bundles, views
from search_api.patients.asked import APPLICATIONS, Search
from search_api.patients.identified import with_number
from search_api.patients.reading import FEED
from search_api.patients.records import records_of
from search_api.patients.redaction import Security
from search_api.records import PatientRecord
from search_api.responses import outcome
from search_api.services import Services
from search_api.staleness import require_fresh

Resource = dict[str, Any]
Shown = list[tuple[Match, PatientRecord]]


@dataclass(frozen=True)
class MatchRequest:
    """What $match was asked: the question, whether only certain matches count, how many, and the NHS
    number that was sent with it."""

    question: Question
    only_certain: bool
    count: int
    number: int | None = None


def search(ask: Ask, asked: Search) -> Reply:
    """A searchset, or PDS's bare outcome when more match than may be shown (pds.md 1.6).

    A wide search shows the best when there are more, and says so in an outcome entry; but an
    application's match must be unique in every mode (pds.md 1.10).
    """
    question = asked.question
    answer = Answer((), 0) if asked.impossible else _answer(ask, question)
    wide = question.mode is Mode.WIDE
    if answer.too_many and (not wide or ask.caller.mode in APPLICATIONS):
        return _too_many(answer)
    shown = _shown(ask, question, answer)
    bundle = _bundle(ask, shown, posterior=wide)
    if asked.explain:
        _each_entry(bundle, shown, lambda entry, found: bundles.explained(entry, found, answer.prior))
    if wide or asked.explain:
        _add_incompleteness(bundle, answer)
    return Reply(bundle, patients=_numbers(shown), detail=_detail(question.mode, answer))


def match(ask: Ask, asked: MatchRequest) -> Reply:
    """The graded candidates of $match, best first, at most ``count`` of them.

    An application gets certain matches only: of those there is never a second close one (pds.md 1.10).
    """
    answer = _answer(ask, asked.question)
    if asked.number is not None:
        current = ask.generation.replica.current_number(asked.number)
        answer = with_number(answer, current, ask.generation.weights.grades)
    only_certain = asked.only_certain or ask.caller.mode in APPLICATIONS
    shown = [pair for pair in _shown(ask, asked.question, answer) if _wanted(pair[0], only_certain)][: asked.count]
    bundle = _bundle(ask, shown, posterior=True)
    _each_entry(
        bundle, shown, lambda entry, found: bundles.explained(bundles.graded(entry, found), found, answer.prior)
    )
    _add_incompleteness(bundle, answer)
    return Reply(bundle, patients=_numbers(shown), detail=_detail(asked.question.mode, answer))


def _wanted(found: Match, only_certain: bool) -> bool:
    return found.grade is Grade.CERTAIN if only_certain else found.grade is not Grade.CERTAINLY_NOT


def _answer(ask: Ask, question: Question) -> Answer:
    generation = ask.generation
    require_fresh(generation.manifest, FEED, ask.services.settings)
    matcher = ask.services.matcher.under(generation.weights)
    answer = matcher.answer(question, generation.index, generation.frequencies)
    metrics, mode = ask.services.metrics, question.mode.value
    metrics.candidates.labels(mode).observe(answer.counters.get("candidates", 0))
    metrics.matches.labels(mode).observe(answer.total)
    if answer.truncated:
        metrics.truncated.labels(mode).inc()
    return answer


def _too_many(answer: Answer) -> Reply:
    """No one is shown, and who matched is audited all the same (pds.md 1.8)."""
    error = errors.SpineError(errors.TOO_MANY_MATCHES)
    matched = tuple(item.nhs_number for item in answer.matches)
    return Reply(outcome(error), 200, matched, detail=f"TOO_MANY_MATCHES matched={answer.total}")


def _shown(ask: Ask, question: Question, answer: Answer) -> Shown:
    """Who of the matches is shown, in order. The index has left out whom it must; this checks again."""
    records = records_of(ask.generation, (item.nhs_number for item in answer.matches))
    allowed = may_be_found(question, ask.services)
    shown: Shown = []
    seen: set[int] = set()
    for item in answer.matches:
        record = records.get(item.nhs_number)
        if record is None:
            logging.event("API031", "warning", generation=ask.generation.manifest.generation)
        elif record.nhs_number not in seen and allowed(record):
            seen.add(record.nhs_number)
            shown.append((item, record))
    return shown


def may_be_found(question: Question, services: Services) -> Callable[[PatientRecord], bool]:
    """Whether a record may be a search result: restricted people never by location (pds.md 1.9)."""
    findable = {Security.UNRESTRICTED.value}
    if not question.asks_location:
        findable.add(Security.RESTRICTED.value)
        if services.settings.show_very_restricted:
            findable.add(Security.VERY_RESTRICTED.value)
    return lambda record: record.security in findable


def _bundle(ask: Ask, shown: Shown, *, posterior: bool) -> Resource:
    settings = ask.services.settings
    scored = [
        (views.searched(record, ask.caller, settings), found.posterior if posterior else found.score)
        for found, record in shown
    ]
    return patient_searchset(scored, datetime.now(UTC), base=settings.public_base)


def _each_entry(bundle: Resource, shown: Shown, add: Callable[[Resource, Match], Resource]) -> None:
    if shown:
        bundle["entry"] = [add(entry, found) for entry, (found, _) in zip(bundle["entry"], shown, strict=True)]


def _add_incompleteness(bundle: Resource, answer: Answer) -> None:
    entry = bundles.incompleteness_entry(answer)
    if entry is not None:
        bundle["entry"] = [*bundle.get("entry", []), entry]


def _numbers(shown: Shown) -> tuple[int, ...]:
    return tuple(record.nhs_number for _, record in shown)


def _detail(mode: Mode, answer: Answer) -> str:
    return f"mode={mode.value} matched={answer.total}" + (" truncated" if answer.truncated else "")
