"""The Bundles that the patient slice answers with: exactly PDS's shape, and what we add on request.

Belongs here: searchset bundles of patients and related people, match grades and explanations as
extensions. Does not belong here: finding or redacting the patients.
Source: pds.md 1.7 (no link, no search.mode, no meta, no entry when empty) and 2.4; FHIR R4 $match.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from search_api.matching.questions import Answer, Evidence, Match

Resource = dict[str, Any]

MATCH_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
EXTENSIONS = "urn:ncrs:fhir:StructureDefinition:"
EXPLANATION = f"{EXTENSIONS}match-explanation"
SCORE_DIGITS = 4
WEIGHT_DIGITS = 3


def searchset(entries: Sequence[Resource]) -> Resource:
    """A searchset as PDS sends it: ``entry`` is absent when there are no matches."""
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": "searchset",
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "total": len(entries),
    }
    if entries:
        bundle["entry"] = list(entries)
    return bundle


def patient_entry(base: str, resource: Resource, score: float) -> Resource:
    """One match as PDS sends it; ``score`` from 0 to 1."""
    return {
        "fullUrl": f"{base}/Patient/{resource['id']}",
        "search": {"score": shown_score(score)},
        "resource": resource,
    }


def related_entry(base: str, number: str, resource: Resource) -> Resource:
    """One related person: no score (pds.md 2.4)."""
    return {"fullUrl": f"{base}/Patient/{number}/RelatedPerson/{resource.get('id', '')}", "resource": resource}


def graded(entry: Resource, match: Match) -> Resource:
    """The entry with FHIR's match grade and ``search.mode``: what $match answers."""
    grade = {"url": MATCH_GRADE, "valueCode": match.grade.value}
    return {**entry, "search": {"mode": "match", "extension": [grade], **entry["search"]}}


def explained(entry: Resource, match: Match, prior: float) -> Resource:
    """The entry with grade and explanation: levels, weights, prior and sum in bits."""
    search = entry["search"]
    extensions = [item for item in search.get("extension", ()) if item["url"] != MATCH_GRADE]
    grade = {"url": MATCH_GRADE, "valueCode": match.grade.value}
    return {**entry, "search": {**search, "extension": [grade, *extensions, explanation(match, prior)]}}


def explanation(match: Match, prior: float) -> Resource:
    """One match explained as a FHIR extension; each comparison is one nested extension."""
    return {
        "url": EXPLANATION,
        "extension": [
            {"url": "posterior", "valueDecimal": _number(match.posterior, SCORE_DIGITS)},
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


def shown_score(score: float) -> float | int:
    """Four digits; 1 is kept for an exact match, so nothing below it is rounded up to it (pds.md 1.5)."""
    return _number(score, SCORE_DIGITS) if score >= 1 else min(round(score, SCORE_DIGITS), 1 - 10**-SCORE_DIGITS)


def _number(value: float, digits: int) -> float | int:
    """Rounded; a whole number without a fraction, as PDS writes 1."""
    rounded = round(value, digits)
    return int(rounded) if rounded == int(rounded) else rounded
