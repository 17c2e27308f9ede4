"""Questions as requests of the API: searches, $match, and reads of the people asked about.

Belongs here: a question's parameters or resource, and the requests that a portal makes next. Does not belong
here: the questions (``questions.py``), sending and comparing.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from search_api.matching.questions import DateRange, Mode, Question
from search_api.records import RecordsReader
from tests.lib.api import BASE
from tests.lib.questions import Asked

Json = dict[str, Any]

NUMBER_SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"
READS = ("/Patient/{}", "/Patient/{}/RelatedPerson", "/Patient/{}/$everything")


@dataclass(frozen=True)
class Request:
    """One request below the FHIR base. ``token`` names whose token it carries (a method of the signer);
    ``headers`` replace all of the usual ones."""

    kind: str
    method: str
    path: str
    items: tuple[tuple[str, str], ...] = ()
    body: Json | None = None
    token: str = "clinician"
    headers: Mapping[str, str] | None = None

    @property
    def url(self) -> str:
        """The path with its base."""
        return BASE + self.path


def requests(asked: Iterable[Asked], dice: random.Random) -> Iterator[Request]:
    """Each question as a search; the wide ones also as $match, with a count, a number or for certain matches only."""
    for each in asked:
        token = dice.choice(("clinician", "clinician", "clinician", "application"))
        yield Request(each.kind, "GET", "/Patient", tuple(parameters(each.question, dice)), token=token)
        if each.question.mode is Mode.WIDE:
            yield Request(f"{each.kind}, $match", "POST", "/Patient/$match", body=match(each.question, dice))


def reads(numbers: Iterable[int], records: RecordsReader) -> Iterator[Request]:
    """Everything that can be read of these people; ``records`` tell which document is whose summary."""
    for number in numbers:
        subject = f"{NUMBER_SYSTEM}|{number}"
        for path in READS:
            yield Request(f"read {path}", "GET", path.format(number))
        yield Request("reference", "GET", "/DocumentReference", (("patient", subject),))
        summary = records.summary(number) or {"scr_uuid": "821533D3-3E0F-11EB-8111-F40343488B16"}
        document = (
            ("composition.identifier", str(summary["scr_uuid"])),
            ("composition.subject:Patient.identifier", subject),
        )
        yield Request("document", "GET", "/Bundle", document)


def parameters(question: Question, dice: random.Random) -> Iterator[tuple[str, str]]:
    """The parameters of a search, in PDS's names; what PDS has no parameter for is left out."""
    single = {"family": question.family, "gender": question.gender, "general-practitioner": question.gp_code,
              dice.choice(("address-postalcode", "address-postcode")): question.postcode}  # fmt: skip
    yield from ((name, value) for name, value in single.items() if value)
    yield from (("given", value) for value in question.given)
    yield from (("phone", value) for value in question.phones)
    yield from (("email", value) for value in question.emails)
    yield from _dates("birthdate", question.birth)
    yield from _dates("death-date", question.death)
    if question.mode is Mode.FUZZY:
        yield "_fuzzy-match", "true"
    elif question.mode is Mode.WIDE:
        yield "_ncrs-mode", "wide"
    elif question.history:
        yield "_history", "true"
    if question.exact_only:
        yield "_exact-match", "true"
    if question.limit != 50 or dice.random() < 0.1:
        yield "_max-results", str(question.limit)
    if dice.random() < 0.3:
        yield "_ncrs-explain", "true"


def _dates(name: str, dates: DateRange | None) -> Iterator[tuple[str, str]]:
    if dates is None:
        return
    if dates.single:
        yield name, f"eq{dates.single}"
        return
    if dates.low:
        yield name, f"ge{dates.low}"
    if dates.high:
        yield name, f"le{dates.high}"


def match(question: Question, dice: random.Random) -> Json:
    """The question as a Patient, alone or in Parameters."""
    telecom = [{"system": "phone", "value": value} for value in question.phones]
    telecom += [{"system": "email", "value": value} for value in question.emails]
    patient: Json = {
        "resourceType": "Patient",
        "name": [{"family": question.family, "given": list(question.given)}],
        "gender": question.gender,
        "birthDate": question.birth.low if question.birth else None,
        "address": [{"postalCode": question.postcode, "line": list(question.address_lines)}],
        "telecom": telecom,
    }
    if dice.random() < 0.5:
        return patient
    asked: list[Json] = [{"name": "resource", "resource": patient}]
    asked.append({"name": "count", "valueInteger": dice.choice((1, 2, 5, 50))})
    asked.append({"name": "onlyCertainMatches", "valueBoolean": dice.random() < 0.2})
    return {"resourceType": "Parameters", "parameter": asked}
