"""Resources as PDS publishes them, for tests: written out by hand, not with the code under test.

Belongs here: builders of Patient and RelatedPerson. Strategies: ``resource_strategies.py``; SCR documents:
``summaries.py``. All people are invented; numbers are of the 9xx range.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

UKCORE = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-"
SYSTEMS = "https://fhir.hl7.org.uk/CodeSystem/UKCore-"
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SECURITY_DISPLAYS = {"U": "unrestricted", "R": "restricted", "V": "very restricted", "REDACTED": "redacted"}


def nhs_number(serial: int) -> str:
    """The ``serial``-th valid number from 900 000 0000 upwards, by trial."""
    found = -1
    candidate = 900_000_000 - 1
    while found < serial:
        candidate += 1
        total = sum(int(digit) * weight for digit, weight in zip(str(candidate), range(10, 1, -1), strict=True))
        check = 11 - total % 11
        found += check != 10
    return f"{candidate}{0 if check == 11 else check}"


def concept(system: str | None, code: str, display: str | None, version: str | None = None) -> Json:
    """A CodeableConcept of one Coding."""
    coding = {"system": system, "version": version, "code": code, "display": display}
    return {"coding": [{name: part for name, part in coding.items() if part is not None}]}


def identifier(number: str, verification: str = "01", display: str = "Number present and verified") -> Json:
    """The NHS number with its verification status."""
    status = concept(f"{SYSTEMS}NHSNumberVerificationStatus", verification, display, "1.0.0")
    extension = {"url": f"{UKCORE}NHSNumberVerificationStatus", "valueCodeableConcept": status}
    return {"system": NHS_NUMBER, "value": number, "extension": [extension]}


def meta(version: int = 2, security: str = "U") -> Json:
    """Version and confidentiality."""
    label = {"system": CONFIDENTIALITY, "code": security, "display": SECURITY_DISPLAYS[security]}
    return {"versionId": str(version), "security": [label]}


def name(family: str = "Smith", *given: str, use: str = "usual", **more: Any) -> Json:
    """A HumanName."""
    item: Json = {"id": "123", "use": use, "period": {"start": "2020-01-01"}, "family": family}
    if given:
        item["given"] = list(given)
    return {**item, **more}


def address_key(kind: str, value: str) -> Json:
    """An AddressKey extension (PAF or UPRN)."""
    coding = {"system": f"{SYSTEMS}AddressKeyType", "code": kind}
    inner = [{"url": "type", "valueCoding": coding}, {"url": "value", "valueString": value}]
    return {"url": f"{UKCORE}AddressKey", "extension": inner}


def address(postcode: str = "LS1 6AE", *lines: str, use: str = "home", **more: Any) -> Json:
    """An Address; without lines it has Trevelyan Square's."""
    shown = list(lines) or ["1 Trevelyan Square", "Boar Lane", "City Centre", "Leeds", "West Yorkshire"]
    item: Json = {"id": "456", "period": {"start": "2020-01-01"}, "use": use, "line": shown, "postalCode": postcode}
    return {**item, **more}


def telecom(value: str = "01632960587", system: str = "phone", use: str = "home", **more: Any) -> Json:
    """A ContactPoint."""
    return {"id": "789", "period": {"start": "2020-01-01"}, "system": system, "value": value, "use": use, **more}


def textphone(value: str = "01632960588") -> Json:
    """A textphone: system other, with its extension."""
    coding = {"system": f"{SYSTEMS}OtherContactSystem", "code": "textphone", "display": "Minicom (Textphone)"}
    extension = [{"url": f"{UKCORE}OtherContactSystem", "valueCoding": coding}]
    return {**telecom(value, "other"), "extension": extension}


def contact(value: str = "01632960589") -> Json:
    """An emergency contact."""
    relationship = concept("http://terminology.hl7.org/CodeSystem/v2-0131", "C", "Emergency Contact")
    return {
        "id": "C123",
        "period": {"start": "2020-01-01", "end": "2021-12-31"},
        "relationship": [relationship],
        "telecom": [{"system": "phone", "value": value}],
    }


def practice(code: str = "Y12345") -> Json:
    """A generalPractitioner entry."""
    period = {"start": "2020-01-01", "end": "2021-12-31"}
    return {"id": "254406A3", "type": "Organization", "identifier": {"system": ODS, "value": code, "period": period}}


def pharmacy(kind: str, code: str) -> Json:
    """NominatedPharmacy, PreferredDispenserOrganization or MedicalApplianceSupplier."""
    return {"url": f"{UKCORE}{kind}", "valueReference": {"identifier": {"system": ODS, "value": code}}}


def death(code: str = "2", display: str = "Formal - death notice received from Registrar of Deaths") -> Json:
    """DeathNotificationStatus."""
    status = concept(f"{SYSTEMS}DeathNotificationStatus", code, display, "1.0.0")
    inner = [
        {"url": "deathNotificationStatus", "valueCodeableConcept": status},
        {"url": "systemEffectiveDate", "valueDateTime": "2010-10-22T00:00:00+00:00"},
    ]
    return {"url": f"{UKCORE}DeathNotificationStatus", "extension": inner}


def communication(code: str = "fr", display: str = "French", interpreter: bool = True) -> Json:
    """NHSCommunication."""
    language = concept(f"{SYSTEMS}HumanLanguage", code, display, "1.0.0")
    inner: list[Json] = [
        {"url": "language", "valueCodeableConcept": language},
        {"url": "interpreterRequired", "valueBoolean": interpreter},
    ]
    return {"url": f"{UKCORE}NHSCommunication", "extension": inner}


def preference() -> Json:
    """ContactPreference."""
    written = concept(f"{SYSTEMS}PreferredWrittenCommunicationFormat", "12", "Braille")
    method = concept(f"{SYSTEMS}PreferredContactMethod", "1", "Letter")
    inner: list[Json] = [
        {"url": "PreferredWrittenCommunicationFormat", "valueCodeableConcept": written},
        {"url": "PreferredContactMethod", "valueCodeableConcept": method},
        {"url": "PreferredContactTimes", "valueString": "Not after 7pm"},
    ]
    return {"url": f"{UKCORE}ContactPreference", "extension": inner}


def birth_place() -> Json:
    """patient-birthPlace."""
    place = {"city": "Manchester", "district": "Greater Manchester", "country": "GBR"}
    return {"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueAddress": place}


def removal(code: str = "SCT", display: str = "Transferred to Scotland") -> Json:
    """RemovalFromRegistration."""
    reason = concept("https://fhir.nhs.uk/CodeSystem/PDS-RemovalReasonExitCode", code, display)
    period = {"start": "2020-01-01T00:00:00+00:00", "end": "2021-12-31T00:00:00+00:00"}
    inner: list[Json] = [
        {"url": "removalFromRegistrationCode", "valueCodeableConcept": reason},
        {"url": "effectiveTime", "valuePeriod": period},
    ]
    url = "https://fhir.nhs.uk/StructureDefinition/Extension-PDS-RemovalFromRegistration"
    return {"url": url, "extension": inner}


def consent(value: str = "1", display: str = "consent") -> Json:
    """Record-sharing consent; PDS publishes no code system for it."""
    inner: list[Json] = [
        {"url": "consentType", "valueCodeableConcept": concept(None, "4", "ncrs")},
        {"url": "consentValue", "valueCodeableConcept": concept(None, value, display)},
    ]
    return {"url": "https://hl7.org/fhir/R4/consent.html", "extension": inner}


def patient(number: str = "9000000009", **fields: Any) -> Json:
    """An ordinary Patient; ``fields`` replace or add, None takes a field away."""
    resource: Json = {
        "resourceType": "Patient",
        "id": number,
        "identifier": [identifier(number)],
        "meta": meta(),
        "name": [name("Smith", "Jane", prefix=["Mrs"])],
        "gender": "female",
        "birthDate": "2010-10-22",
        "generalPractitioner": [practice()],
        "telecom": [telecom()],
        "address": [address()],
    }
    resource.update(fields)
    return {field: value for field, value in resource.items() if value is not None}


def full_patient(number: str = "9000000009") -> Json:
    """A Patient with every field and extension of pds.md 2.2."""
    keys = [address_key("PAF", "12345678"), address_key("UPRN", "123456789012")]
    blank = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    lines = {"line": ["Flat 2", None, "Boar Lane", None, "Leeds"], "_line": [None, blank, None, blank, None]}
    return patient(
        number,
        name=[
            name("Smith", "Jane", "Marie Anne", prefix=["Mrs"], suffix=["MBE"]),
            name("Jones", "Jane", use="maiden", id="124", period={"start": "2010-10-22", "end": "2019-12-31"}),
            name("Smith", "Janie", use="nickname", id="125"),
        ],
        multipleBirthInteger=1,
        deceasedDateTime="2020-10-22T00:00:00+00:00",
        managingOrganization={
            "type": "Organization",
            "identifier": {"system": ODS, "value": "Y12345", "period": {"start": "2020-01-01"}},
        },
        extension=[
            pharmacy("NominatedPharmacy", "Y12345"),
            pharmacy("PreferredDispenserOrganization", "Y23456"),
            pharmacy("MedicalApplianceSupplier", "Y34567"),
            death(),
            communication(),
            preference(),
            birth_place(),
            removal(),
            consent(),
        ],
        telecom=[telecom(), telecom("jane.smith@example.com", "email", id="790"), textphone()],
        contact=[contact()],
        address=[
            address(extension=keys),
            address("LS1 6AE", "x", use="temp", id="T456", text="Student Accommodation", **lines),
            address("LS2 7UE", "PO Box 1", use="billing", id="B456"),
        ],
    )


def related_person(number: str | None = "9000000017", **fields: Any) -> Json:
    """A RelatedPerson as PDS's recorded answers have it."""
    guardian = concept(f"{SYSTEMS}AdditionalRelatedPersonRole", "Guardian", "Guardian of patient")
    resource: Json = {
        "resourceType": "RelatedPerson",
        "id": "507B7621",
        "patient": {"identifier": {"system": NHS_NUMBER, "value": number}} if number else None,
        "active": True,
        "period": {"start": "2020-01-01", "end": "2021-12-31"},
        "name": [name("Smith", "Jane", prefix=["Mrs"], suffix=["MBE"])],
        "relationship": [guardian],
        "extension": [
            {"url": f"{UKCORE}CopyCorrespondenceIndicator", "valueBoolean": True},
            {"url": f"{UKCORE}ContactRank", "valuePositiveInt": 1},
            preference(),
            communication(),
        ],
        "telecom": [telecom()],
        "address": [address(extension=[address_key("PAF", "12345678")])],
    }
    resource.update(fields)
    return {field: value for field, value in resource.items() if value is not None}
