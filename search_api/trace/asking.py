"""Rows in, what became of each out: cross-check first, then the wide search.

Belongs here: the order of the steps, and when a number is given. Does not belong here: reading rows (``rows.py``),
files, processes, the matcher.

One certain person or no number at all: several close ones are an answer of their own. What a number in the row is
worth is as in $match (``patients/identified.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from search_api.matching.asked import ask
from search_api.matching.grading import posterior
from search_api.matching.looking import Effort
from search_api.matching.matcher import Matcher
from search_api.matching.questions import Answer, Evidence, Grade, Match, Question
from search_api.matching.scoring import Scored, Scorer
from search_api.opened import Generation
from search_api.patients.identified import COMPARISON, SAME, with_number
from search_api.trace.crosscheck import UNKNOWN, Known, Standing, disagreement, people_of
from search_api.trace.outcomes import GIVEN, Outcome, Way
from search_api.trace.rows import Refusal, Row
from search_api.trace.rules import TraceRules

# Real files ask for the same people again and again.
_KEPT_ANSWERS = 20_000


@dataclass(frozen=True)
class Traced:
    """What became of one row. ``match`` is the best candidate, given only when the outcome says so; ``seen`` are
    all who were matched, for the access log; ``asked_number`` is the number of the row when it was confirmed."""

    outcome: Outcome
    way: Way = Way.NO_NUMBER
    match: Match | None = None
    candidates: int = 0
    seen: tuple[int, ...] = ()
    reason: str = ""
    refused: bool = field(default=False)

    @property
    def given(self) -> int | None:
        """The number to give, None where nobody is certain."""
        return self.match.nhs_number if self.match is not None and self.outcome in GIVEN else None


class Tracer:
    """Traces rows on one generation. Holds no state but answers already found."""

    def __init__(self, generation: Generation, rules: TraceRules, matcher: Matcher | None = None) -> None:
        self._generation = generation
        self._rules = rules
        effort = Effort.of(rules)
        asking = matcher or Matcher(candidate_limit=rules.candidate_limit, key_cap=rules.key_cap, effort=effort)
        self._matcher = asking.under(generation.weights)
        self._scorer = Scorer(self._matcher.weights)
        self._prior = self._matcher.prior(generation.index, generation.frequencies)
        self._answer = lru_cache(maxsize=_KEPT_ANSWERS)(self._asked)

    def trace(self, rows: Sequence[Row | Refusal]) -> list[Traced]:
        """What became of each row, in order."""
        numbers = {row.number for row in rows if isinstance(row, Row) and row.number}
        known = people_of(self._generation, numbers)
        return self._marked([self._row(row, known) for row in rows], rows)

    def _marked(self, traced: list[Traced], rows: Sequence[Row | Refusal]) -> list[Traced]:
        """Who was found without a location may be restricted; the index leaves restricted people out of any search
        with one. All of a chunk are looked up at once."""
        places = [
            place
            for place, (each, row) in enumerate(zip(traced, rows, strict=True))
            if each.outcome is Outcome.FOUND and isinstance(row, Row) and not row.question.asks_location
        ]
        found = self._generation.index.find(sorted({traced[place].given or 0 for place in places}))
        for place in places:
            document = found.get(traced[place].given or 0)
            if document is None or not document.open:
                traced[place] = replace(traced[place], outcome=Outcome.RESTRICTED)
        return traced

    def _row(self, row: Row | Refusal, known: dict[int, Known]) -> Traced:
        if isinstance(row, Refusal):
            return Traced(row.outcome, reason=row.column, refused=True)
        if not row.sent_number:
            return self._wide(row, UNKNOWN, "")
        person = known.get(row.number, UNKNOWN)
        confirmed, reason = self._cross_checked(row, person)
        return confirmed or self._wide(row, person, reason)

    def _cross_checked(self, row: Row, known: Known) -> tuple[Traced | None, str]:
        """The person of the row's number when the row agrees; else what does not."""
        if known.person is None:
            return None, "NHS_NO"
        item = self._scorer.score(ask(row.question), [known.person], self._prior)[0]
        if reason := disagreement(item, self._rules, row):
            return None, reason
        superseded = known.standing is Standing.SUPERSEDED
        outcome = Outcome.SUPERSEDED if superseded else Outcome.CROSS_CHECKED
        return Traced(
            Outcome.RESTRICTED if known.restricted else outcome,
            Way.MERGED if superseded else Way.CROSS_CHECKED,
            self._confirmed(item),
            1,
            (known.person.nhs_number,),
        ), ""

    def _confirmed(self, item: Scored) -> Match:
        """The number as evidence: worth the bits that picking one person out of all takes."""
        weight = item.weight - self._prior
        evidence = (*item.evidence, Evidence(COMPARISON, SAME, -self._prior))
        return Match(item.person.nhs_number, 1.0, posterior(weight), weight, Grade.CERTAIN, evidence)

    def _wide(self, row: Row, known: Known, reason: str) -> Traced:
        way = Way.NUMBER_FAILED if row.sent_number else Way.NO_NUMBER
        found = self._answer(row.question) if row.searchable else Answer((), 0)
        answer = self._with_number(found, known)
        likely = [match for match in answer.matches if match.grade is not Grade.CERTAINLY_NOT]
        outcome = self._outcome(likely, known)
        best = likely[0] if likely else None
        seen = tuple(match.nhs_number for match in likely)
        return Traced(outcome, way, best, len(likely), seen, reason)

    def _asked(self, question: Question) -> Answer:
        return self._matcher.answer(question, self._generation.index, self._generation.frequencies)

    def _with_number(self, answer: Answer, known: Known) -> Answer:
        """The number weighs where its person is among those found; where it is not, the rules decide."""
        if known.person is None:
            return answer
        if any(match.nhs_number == known.person.nhs_number for match in answer.matches):
            return with_number(answer, known.person.nhs_number, self._matcher.weights.grades)
        if self._rules.trace_against_number:
            return answer
        doubted = (replace(match, grade=Grade.PROBABLE) for match in answer.matches if match.grade is Grade.CERTAIN)
        others = (match for match in answer.matches if match.grade is not Grade.CERTAIN)
        return replace(answer, matches=(*doubted, *others))

    def _outcome(self, likely: list[Match], known: Known) -> Outcome:
        if likely and likely[0].grade is Grade.CERTAIN:
            return Outcome.FOUND
        if known.standing is Standing.INVALIDATED:
            return Outcome.INVALIDATED
        if not likely:
            return Outcome.NOT_FOUND
        gap = self._matcher.weights.grades.certain_gap
        close = len(likely) > 1 and likely[0].weight - likely[1].weight < gap
        return Outcome.AMBIGUOUS if close else Outcome.UNCERTAIN
