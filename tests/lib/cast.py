"""The people of the API tests: one for each rule, as lines of extracts. All are invented.

Belongs here: who they are. Does not belong here: how they get into a generation (``api.py``).
Numbers are of the 900 range; those of PDS's own sandbox keep their meaning (pds.md 2.1).
"""

from __future__ import annotations

from typing import Any

from tests.lib.resources import (
    address,
    concept,
    full_patient,
    meta,
    name,
    nhs_number,
    patient,
    practice,
    related_person,
    removal,
    telecom,
)
from tests.lib.summaries import scr_bundle

Json = dict[str, Any]

JANE = "9000000009"  # everything the sheet lists
JANET = "9000000025"  # restricted
MINIMAL = "9000000033"  # number and version only
UNKNOWN = "9000000017"
BAD_DIGIT = "9000000000"
VERA = nhs_number(100)  # very restricted
YOUDS = [nhs_number(110 + index) for index in range(4)]  # four genders, one name and birthday
BILL = nhs_number(120)  # GARTON, formerly BLOGS; has a hidden postcode
TEMP = nhs_number(121)  # home in Leeds, temporary address in York
TUNNEY = nhs_number(122)  # died 2019-02-20
OLD, NEW = nhs_number(130), nhs_number(131)  # OLD was superseded by NEW
OLDER = nhs_number(132)  # superseded by OLD, so by NEW
GONE = nhs_number(133)  # invalidated
FORMER_JANET = nhs_number(134)  # superseded by JANET, who is restricted
OPTED_OUT = nhs_number(140)  # summary with permission No
CARER, CARED = nhs_number(150), nhs_number(151)  # CARER is restricted and related to CARED
CUTHBERT = nhs_number(160)  # Joseph; confidential removal reason
MANY = [nhs_number(200 + index) for index in range(60)]  # more than 50 of one name and birthday

HIDDEN_POSTCODE = "YO1 7HH"
OLD_EMAIL = "Historic@historic.com"
SCR_UUID = "821533D3-3E0F-11EB-8111-F40343488B16"
OPTED_OUT_UUID = "92A5D6C0-3E0F-11EB-8111-F40343488B16"
RESTRICTED_UUID = "A3B6E7D1-3E0F-11EB-8111-F40343488B16"


def envelope(resource: Json, **more: Any) -> Json:
    """An envelope around a Patient."""
    number = resource["id"]
    return {"action": "new", "source_key": number, "nhs_number": number, "payload": resource, **more}


def _restricted(security: str, number: str, *names: str, **fields: Any) -> Json:
    family, *given = names
    return patient(number, meta=meta(2, security), name=[name(family, *given)], **fields)


def _bill() -> Json:
    resource = patient(
        BILL, name=[name("Garton", "Bill")], gender="male", birthDate="1955-11-05",
        telecom=[telecom("new@example.com", "email", id="e1")], address=[address("LS9 7TF", "2 High Street")],
    )  # fmt: skip
    return envelope(
        resource,
        history={
            "name": [name("Blogs", "Joe", id="h1", period={"start": "1955-11-05", "end": "1990-01-01"})],
            "telecom": [telecom(OLD_EMAIL, "email", id="h2", period={"start": "1999-01-01", "end": "2005-01-01"})],
            "address": [
                address("DN15 7QW", "1 Old Road", id="h3", period={"start": "1990-01-01", "end": "2000-01-01"})
            ],
        },
        hidden={"address": [address(HIDDEN_POSTCODE, "9 Hidden Row", id="h4")]},
    )


def _youds() -> list[Json]:
    genders = ("male", "female", "other", "unknown")
    return [
        patient(number, name=[name("Youds", "Chris")], gender=gender, birthDate="1970-01-21", telecom=None)
        for number, gender in zip(YOUDS, genders, strict=True)
    ]


def _many() -> list[Json]:
    return [
        patient(number, name=[name("Crowdson", "Pat")], gender="female", birthDate="1980-05-17", telecom=None,
                address=[address("LS5 3AA", f"{index} Long Street")])
        for index, number in enumerate(MANY)
    ]  # fmt: skip


def _related() -> list[Json]:
    """A restricted patient who is related to another, a person without a number, and two whose number changed."""
    mother = concept("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "MTH", "mother")
    return [
        related_person(CARER, id="CARER001", relationship=[mother]),
        related_person(None, id="OTHER001", name=[name("Plain", "Otto")]),
        related_person(FORMER_JANET, id="FORMER001"),
        related_person(GONE, id="GONE001"),
    ]


def patients() -> list[Json]:
    """Lines of the pds_patient extract."""
    york = address("YO24 1AB", "7 Term Road", use="temp", id="t1", text="Student Accommodation")
    dead = {"deceasedDateTime": "2019-02-20T00:00:00+00:00"}
    return [
        envelope(full_patient(JANE), related=[related_person(UNKNOWN)]),
        envelope(_restricted("R", JANET, "Smythe", "Janet", birthDate="2005-06-16", generalPractitioner=[practice("Y77777")])),
        {"resourceType": "Patient", "id": MINIMAL, "meta": meta(1)},
        envelope(_restricted("V", VERA, "Veiled", "Vera", birthDate="1961-03-04")),
        *map(envelope, _youds()),
        _bill(),
        envelope(patient(TEMP, name=[name("Pendle", "Tess")], birthDate="1999-09-09", address=[address("LS2 7UE"), york])),
        envelope(patient(TUNNEY, name=[name("Tunney", "Ann")], birthDate="1985-03-02", **dead)),
        envelope(patient(NEW, name=[name("Cuff", "Mary")], birthDate="1926-01-07")),
        envelope(patient(OPTED_OUT, name=[name("Nosay", "Nora")], birthDate="1950-02-03")),
        envelope(_restricted("R", CARER, "Guard", "Gita", birthDate="1975-07-07")),
        envelope(patient(CARED, name=[name("Guard", "Gus")], birthDate="2015-07-07"), related=_related()),
        envelope(patient(CUTHBERT, name=[name("Cuthbert", "Joseph", "Toby")], gender="male", birthDate="1988-04-12",
                         address=[address("DN15 8JY", "5 Mill Lane")], extension=[removal("AFN", "Armed Forces (notified by Armed Forces)")])),
        *map(envelope, _many()),
    ]  # fmt: skip


def number_changes() -> list[Json]:
    """Lines of the pds_number_change extract."""
    return [_change(OLD, NEW), _change(OLDER, OLD), _change(GONE, None), _change(FORMER_JANET, JANET)]


def _change(old: str, new: str | None) -> Json:
    payload = {"new_nhs_number": new, "change_type": "superseded" if new else "invalidated"}
    return {"action": "new", "source_key": f"{old}{new or ''}", "nhs_number": old, "payload": payload}


def summaries() -> list[Json]:
    """Lines of the scr_summary extract."""
    held = ((JANE, SCR_UUID, "Ask"), (OPTED_OUT, OPTED_OUT_UUID, "No"), (JANET, RESTRICTED_UUID, "Yes"))
    return [
        {"action": "new", "source_key": number, "nhs_number": number, "permission": permission,
         "payload": scr_bundle(number, uuid=uuid)}
        for number, uuid, permission in held
    ]  # fmt: skip
