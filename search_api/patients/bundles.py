"""What we add to PDS's searchset when we are asked: match grades, explanations, what may be missing.

Belongs here: the extensions and entries that a PDS client never asks for. Does not belong here: PDS's
own shape (``schemas/fhir/bundle.py``), finding or redacting the patients. Source: FHIR R4 $match.
"""

from __future__ import annotations

from typing import Any

from search_api.matching.questions import Answer, Evidence, Match

Resource = dict[str, Any]

MATCH_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
EXTENSIONS = "urn:ncrs:fhir:StructureDefinition:"
EXPLANATION = f"{EXTENSIONS}match-explanation"
POSTERIOR_DIGITS = 4
WEIGHT_DIGITS = 3


def graded(entry: Resource, match: Match) -> Resource:
    """The entry with FHIR's match grade and ``search.mode``: what $match answers."""
    grade = {"url": MATCH_GRADE, "valueCode": match.graded.value}
    return {**entry, "search": {"mode": "match", "extension": [grade], **entry["search"]}}


def explained(entry: Resource, match: Match, prior: float) -> Resource:
    """The entry with grade and explanation: levels, weights, prior and sum in bits."""
    search = entry["search"]
    extensions = [item for item in search.get("extension", ()) if item["url"] != MATCH_GRADE]
    grade = {"url": MATCH_GRADE, "valueCode": match.graded.value}
    return {**entry, "search": {**search, "extension": [grade, *extensions, explanation(match, prior)]}}


def explanation(match: Match, prior: float) -> Resource:
    """One match explained as a FHIR extension; each comparison is one nested extension."""
    return {
        "url": EXPLANATION,
        "extension": [
            {"url": "posterior", "valueDecimal": _number(match.posterior, POSTERIOR_DIGITS)},
            {"url": "prior", "valueDecimal": _number(prior, WEIGHT_DIGITS)},
            {"url": "weight", "valueDecimal": _number(match.weight, WEIGHT_DIGITS)},
            *(_comparison(item) for item in match.evidence),
        ],
    }


def _comparison(item: Evidence) -> Resource:
    return {
        "url": "comparison",
        "extension": [
            {"url": "name", "valueString": item.comparison},
            {"url": "level", "valueString": item.level},
            {"url": "weight", "valueDecimal": _number(item.weight, WEIGHT_DIGITS)},
            {"url": "previous", "valueBoolean": item.previous},
        ],
    }


LIMIT_REACHED = "A limit on candidates was reached: someone who matches may be missing. Ask with more fields."
MORE_MATCH = "More matched than are shown: these are the best. Ask with more fields."


def incompleteness_entry(answer: Answer) -> Resource | None:
    """An outcome entry that says someone is or may be missing, and why; None when nobody is."""
    reasons = [text for said, text in ((answer.too_many, MORE_MATCH), (answer.truncated, LIMIT_REACHED)) if said]
    if not reasons:
        return None
    issues = [{"severity": "warning", "code": "incomplete", "diagnostics": text} for text in reasons]
    return {"search": {"mode": "outcome"}, "resource": {"resourceType": "OperationOutcome", "issue": issues}}


def _number(value: float, digits: int) -> float | int:
    """Rounded; a whole number without a fraction, as PDS writes 1."""
    rounded = round(value, digits)
    return int(rounded) if rounded == int(rounded) else rounded
