"""SCR documents as the service publishes them, for tests; patients and authors are invented.

Belongs here: builders of document Bundles and of sections' XHTML in the published forms: one
supplier's with ``12-May-2020`` and three columns, another's with ``30 Apr 2020 16:13``, four
columns, continued rows and withheld statements. Does not belong here: reading them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

XHTML = "http://www.w3.org/1999/xhtml"
WITHHELD = "One or more entries have been deliberately withheld from this GP Summary."
EMPTY = "No relevant information available for this category."
UUID = "821533D3-3E0F-11EB-8111-F40343488B16"
_IDS = {"composition": UUID, "role": "D29F2286-A962-4034-B7D4-32CCB3610204"}


def div(*parts: str) -> str:
    """A narrative div."""
    return f'<div xmlns="{XHTML}">{"".join(parts)}</div>'


def statement(element_id: str, text: str, tag: str = "p") -> str:
    """One element with an id, as CreateTime, Author, SendTime or a withheld statement."""
    return f'<{tag} id="{element_id}">{text}</{tag}>'


def table(table_id: str, columns: Sequence[str], *rows: Sequence[str]) -> str:
    """A table in the published form; an empty cell is self-closed, as XHTML allows."""
    head = "".join(f"<th>{column}</th>" for column in columns)
    body = "".join(
        '<tr class="oddRow">' + "".join(f"<td>{cell}</td>" if cell else "<td/>" for cell in row) + "</tr>"
        for row in rows
    )
    return f'<table id="{table_id}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def empty_table(table_id: str, columns: Sequence[str]) -> str:
    """A table that says it has nothing to show."""
    head = "".join(f"<th>{column}</th>" for column in columns)
    cell = f'<tr><td colspan="{len(columns)}">{EMPTY}</td></tr>'
    return f'<table id="{table_id}"><thead><tr>{head}</tr></thead><tbody>{cell}</tbody></table>'


def section(code: str, title: str, html: str) -> Json:
    """One Composition section; its code has no system."""
    return {"title": title, "code": {"coding": [{"code": code}]}, "text": {"status": "generated", "div": html}}


MEDICATION = ("Type", "Date", "Medication Item", "Dosage Instructions", "Quantity")
ALLERGY = ("Date", "Description", "Certainty", "Severity", "Supporting Information")
THREE = ("Date", "Description", "Additional information")
FOUR = ("Date", "Description", "Value", "Supporting Information")


def title_section(*more: str) -> Json:
    """The first section: statements only."""
    html = div(
        statement("Disclaimer", "Sourced from the patient's General Practice record.", "h3"),
        statement("CreateTime", "Summary Created: 14-May-2020 14:31"),
        *more,
        statement("Author", "Created by: SMITH, Sean (Mr)"),
        statement("Practice", "Spine Testing, The Practice, Woodvale Terrace, Horsforth, Leeds LS18 4JW"),
    )
    return section("Title", "General Practice Summary", html)


def core_sections() -> list[Json]:
    """Allergies and the three medication sections."""
    allergies = table("Allergies", ALLERGY, ("12-May-2020", "Toxic reaction to wasp sting", "", "", "Problem; First"))
    acute = table(
        "AcuteMeds",
        MEDICATION,
        ("Acute Medication", "Prescribed: 12-May-2020", "Co-codamol 8mg/500mg tablets", "One Four Times A Day", "112"),
    )
    repeat = table(
        "RepeatMeds",
        MEDICATION,
        ("Repeat Medication", "Last Issued: 12-May-2020", "Paracetamol 250mg/5ml oral suspension", "One 5ml", "40 ml"),
    )
    return [
        section("AllergiesHeader", "Allergies and Adverse Reactions", div(allergies)),
        section(
            "AcuteMedsHeader", "Acute Medications (For the 12 month period 14-May-2019 to 14-May-2020)", div(acute)
        ),
        section("RepeatMedsHeader", "Current Repeat Medications", div(repeat)),
        section(
            "DiscRepeatMedsHeader",
            "Discontinued Repeat Medications (For the 6 month period 14-Nov-2019 to 14-May-2020)",
            div(empty_table("DiscRepeatMeds", MEDICATION)),
        ),
    ]


def diagnoses_section(*more: str) -> Json:
    """An additional-information section with one row."""
    rows = table("Diagnoses", THREE, ("13-May-2020", "COVID-19 confirmed by laboratory test", "Problem; First, test"))
    return section("DiagnosesHeader", "Diagnoses", div(rows, *more))


def _entry(resource: Json) -> Json:
    base = "https://api.service.nhs.uk/summary-care-record/FHIR/R4"
    return {"fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}", "resource": resource}


def composition(sections: Sequence[Json], uuid: str = UUID) -> Json:
    """The Composition of a summary; as published it has no title, which R4 asks for."""
    snomed = "http://snomed.info/sct"
    return {
        "resourceType": "Composition",
        "id": uuid,
        "meta": {"lastUpdated": "2020-11-17T01:00:00+00:00"},
        "identifier": {"system": "https://tools.ietf.org/html/rfc4122", "value": uuid},
        "status": "final",
        "type": {"coding": [{"system": snomed, "code": "196981000000101", "display": "General Practice Summary"}]},
        "category": [
            {"coding": [{"system": snomed, "code": "163171000000105", "display": "Care Professional Documentation"}]}
        ],
        "subject": {"reference": "Patient/01F9B243-02DC-42F4-8F51-2AF2A99DA377"},
        "date": "2020-11-17T01:00:00+00:00",
        "author": [{"reference": f"PractitionerRole/{_IDS['role']}"}],
        "relatesTo": [{"code": "replaces", "targetIdentifier": {"value": "D18B57ED-992E-45A2-A6AF-55200D20F48E"}}],
        "section": list(sections),
    }


def _people(number: str, practice: str) -> list[Json]:
    return [
        {
            "resourceType": "PractitionerRole",
            "id": _IDS["role"],
            "identifier": [{"system": "http://fhir.nhs.net/Id/sds-role-profile-id", "value": "673836492727"}],
            "practitioner": {"reference": "Practitioner/EC705629-5B5D-4A5A-8692-2096C0B29D46"},
            "organization": {"reference": "Organization/4E9F538F-0412-402C-BD06-50FE140845C0"},
        },
        {
            "resourceType": "Practitioner",
            "id": "EC705629-5B5D-4A5A-8692-2096C0B29D46",
            "identifier": [{"system": "https://fhir.nhs.uk/Id/sds-user-id", "value": "676789689789"}],
            "name": [{"text": "Dr Steve Jones"}],
        },
        {
            "resourceType": "Organization",
            "id": "4E9F538F-0412-402C-BD06-50FE140845C0",
            "identifier": [{"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": practice}],
        },
        {
            "resourceType": "Patient",
            "id": "01F9B243-02DC-42F4-8F51-2AF2A99DA377",
            "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": number}],
        },
    ]


def with_send_time(sections: Sequence[Json], shown: str = "Summary Sent: 14-May-2020 14:31") -> list[Json]:
    """The sections with SendTime in the last one, where the service puts it."""
    *before, last = sections
    html = last["text"]["div"].removesuffix("</div>") + statement("SendTime", shown) + "</div>"
    return [*before, {**last, "text": {**last["text"], "div": html}}]


def scr_bundle(
    number: str = "9000000009",
    sections: Sequence[Json] | None = None,
    *,
    uuid: str = UUID,
    practice: str = "A20047",
) -> Json:
    """A document Bundle; the default has the core sections and one additional-information section."""
    found = with_send_time([title_section(), *core_sections(), diagnoses_section()]) if sections is None else sections
    resources = [composition(found, uuid), *_people(number, practice)]
    return {
        "resourceType": "Bundle",
        "id": "D5537E37-FFC6-4E7B-9BC4-336E871C0F29",
        "identifier": {"system": "https://tools.ietf.org/html/rfc4122", "value": uuid},
        "type": "searchset",
        "timestamp": "2020-12-14T13:23:10+00:00",
        "total": len(resources),
        "entry": [_entry(resource) for resource in resources],
    }
