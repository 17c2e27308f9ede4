"""An NHS number given to $match: evidence about those whom the demographics found, never a key by itself.

Belongs here: reading the number, and what it changes in an answer. Does not belong here: matching by
demographics (``search_api/matching``), reading by number (``reading.py``).

Ours, after the cross-check of the batch tracing service (pds.md 1.11), and stricter: a number alone
shows nobody. Of those found, the one with the number gains the bits that picking one person out of the
population takes. When the number belongs to another record than the best, nobody is certain: the two
contradict each other, and ambiguity is an answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from schemas.fhir.values import dicts
from schemas.identifiers import NHS_NUMBER_SYSTEM, is_nhs_number
from search_api import errors
from search_api.matching.grading import posterior
from search_api.matching.questions import Answer, Evidence, Grade, Match
from search_api.matching.weights import GradeRule

COMPARISON, SAME = "nhs_number", "same"
MOST_IDENTIFIERS = 10


def sent_number(patient: dict[str, Any]) -> int | None:
    """The NHS number among the identifiers of a Patient sent to us, or None.

    Raises INVALID_VALUE for one with a wrong check digit, TOO_MANY_VALUES_SUBMITTED for several.
    """
    identifiers = dicts(patient.get("identifier"))[: MOST_IDENTIFIERS + 1]
    values = [str(item.get("value", "")) for item in identifiers if item.get("system") == NHS_NUMBER_SYSTEM]
    if len(values) > 1:
        raise errors.too_many_values(values, "identifier")
    if not values:
        return None
    if not is_nhs_number(values[0]):
        raise errors.invalid_value(values[0][:MOST_IDENTIFIERS], "identifier")
    return int(values[0])


def with_number(answer: Answer, number: int | None, rule: GradeRule) -> Answer:
    """The answer with the number as evidence; ``number`` is the one that stands now, None when unknown."""
    if number is None or not answer.matches:
        return answer
    bits = max(0.0, -answer.prior)
    raised = [_raised(match, bits, rule) if match.nhs_number == number else match for match in answer.matches]
    ordered = sorted(raised, key=lambda match: (-match.weight, match.nhs_number))
    if ordered[0].nhs_number != number:
        ordered = [_doubted(match) for match in ordered]
    else:
        ordered = [ordered[0], *(_doubted(match) for match in ordered[1:])]
    return replace(answer, matches=tuple(ordered))


def _raised(match: Match, bits: float, rule: GradeRule) -> Match:
    weight = match.weight + bits
    probability = posterior(weight)
    grade = (
        Grade.CERTAIN
        if probability >= rule.certain_posterior and match.grade is not Grade.CERTAINLY_NOT
        else match.grade
    )
    evidence = (*match.evidence, Evidence(COMPARISON, SAME, bits))
    return replace(match, weight=weight, posterior=probability, grade=grade, evidence=evidence)


def _doubted(match: Match) -> Match:
    return replace(match, grade=Grade.PROBABLE) if match.grade is Grade.CERTAIN else match
