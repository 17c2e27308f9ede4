"""The well-known people of the sandbox: the same in every population, whatever its size or seed.

Belongs here: their numbers and their rows, at positions 0 to 13. Does not belong here: anyone
generated. Documents, tests and the README may name them; deltas never change them. They are
invented; their numbers are in the range that is never issued. ``python -m sandbox people
--show-personas`` prints them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import polars as pl

from schemas.feeds import PDS_PATIENT
from schemas.fhir.related_person import related_person_resource
from schemas.fhir.values import json_text
from schemas.fields import ADDRESS, CURRENT, HIDDEN, HISTORIC, NAME, TELECOM

README_NUMBER = "9000000009"
PERMISSION_NO_NUMBER = "9000000114"
# Numbers that are no patient's any more: superseded (with the number that follows) or invalidated.
SUPERSEDED = {"9000000076": README_NUMBER}
INVALIDATED = ("9000000084",)


@dataclass(frozen=True)
class Persona:
    """One well-known person: number, a line about them, and the columns that are not null."""

    number: str
    about: str
    columns: dict[str, Any] = field(default_factory=dict)


def _name(use: str, given: list[str], family: str, **more: Any) -> dict[str, Any]:
    blank: dict[str, Any] = dict.fromkeys(name for name, _ in NAME.parts)
    return blank | {"state": CURRENT, "id": "N1", "use": use, "given": given, "family": family} | more


def _address(lines: list[str], postcode: str | None, **more: Any) -> dict[str, Any]:
    blank: dict[str, Any] = dict.fromkeys(name for name, _ in ADDRESS.parts)
    return blank | {"state": CURRENT, "id": "A1", "use": "home", "lines": lines, "postcode": postcode} | more


def _telecom(system: str, use: str | None, value: str, **more: Any) -> dict[str, Any]:
    blank: dict[str, Any] = dict.fromkeys(name for name, _ in TELECOM.parts)
    return blank | {"state": CURRENT, "id": "T1", "system": system, "use": use, "value": value} | more


def _practice(code: str, start: str) -> dict[str, Any]:
    return {"id": "G1", "code": code, "start": start, "end": None}


def mother_of(identifier: str, number: str) -> str:
    """RelatedPerson text with this id: the patient with this number is the mother and guardian."""
    columns = [
        "start",
        "end",
        "names",
        "addresses",
        "telecoms",
        "copy_correspondence",
        "contact_preference",
        "language",
        "interpreter_required",
    ]
    row: dict[str, Any] = dict.fromkeys(columns)
    row |= {"id": identifier, "patient_number": number, "active": True, "rank": 1}
    return json_text(related_person_resource(row | {"relationships": ["Guardian", "MTH"]}))


_LEEDS = ["14 Meadow Lane", "Leeds", "West Yorkshire"]
_UPRN = [{"type": "PAF", "value": "12345678"}, {"type": "UPRN", "value": "100051234567"}]

_CATHERINE = Persona(
    README_NUMBER,
    "The README's person: Catherine Ann Whitlock, born Pemberton; everything filled; 9000000076 led to her",
    {
        "gender": "female",
        "birth_date": "1985-03-09",
        "birth_order": 8,
        "version_id": 7,
        "names": [
            _name("usual", ["Catherine", "Ann"], "Whitlock", prefix=["Mrs"], start="2011-07-16"),
            _name("nickname", ["Kate"], "Whitlock", id="N2"),
            _name("maiden", ["Catherine", "Ann"], "Pemberton", id="N3", state=HISTORIC, start="1985-03-09", end="2011-07-16"),
        ],
        "addresses": [
            _address(_LEEDS, "LS11 9YJ", start="2016-05-01", keys=_UPRN),
            _address(["Flat 2", "8 Albert Road", "York"], "YO10 4DT", id="A2", state=HISTORIC, start="2009-09-01", end="2016-04-30"),
            _address(["1 Hidden Close", "Whitby"], "YO21 1QL", id="A10", state=HIDDEN),
        ],
        "telecoms": [
            _telecom("phone", "mobile", "07700900461", start="2018-02-11"),
            _telecom("phone", "home", "01134960017", id="T2", start="2016-05-01"),
            _telecom("email", "home", "kate.whitlock@example.com", id="T3", start="2018-02-11"),
        ],
        "contacts": [
            {"id": "C1", "relationship": "C", "start": "2018-02-11", "end": None, "telecoms": [_telecom("phone", None, "07700900462", id="C1T1")]}
        ],
        "general_practitioner": _practice("B86001", "2016-05-20"),
        "nominated_pharmacy": "FA123",
        "appliance_supplier": "FMA01",
        "contact_preference": {"written_format": "11", "method": "4", "times": "Not after 7pm"},
        "birth_place": {"city": "York", "district": "North Yorkshire", "country": "GBR"},
    },
)  # fmt: skip
_THOMAS = Persona(
    "9000000017",
    "Thomas James Whitlock, her son: a child with a related person",
    {
        "gender": "male",
        "birth_date": "2014-09-21",
        "names": [_name("usual", ["Thomas", "James"], "Whitlock", prefix=["Master"], start="2014-09-21")],
        "addresses": [_address(_LEEDS, "LS11 9YJ", start="2016-05-01", keys=_UPRN)],
        "general_practitioner": _practice("B86001", "2016-05-20"),
        "related_persons": [mother_of("R0000017", README_NUMBER)],
    },
)
_RESTRICTED = Persona(
    "9000000025",
    "Rosalind Fairweather, restricted (R): never found with a postcode or a practice",
    {
        "security": "R",
        "gender": "female",
        "birth_date": "1979-11-30",
        "names": [_name("usual", ["Rosalind"], "Fairweather", prefix=["Ms"], start="1979-11-30")],
        "addresses": [_address(["3 Quiet Mews", "Bath"], "BA1 2LR", start="2021-01-10")],
        "telecoms": [_telecom("phone", "mobile", "07700900025")],
        "general_practitioner": _practice("L81025", "2021-01-15"),
    },
)
_NEAR_EMPTY = Persona("9000000033", "Near-empty: only the number is known")
_VERY_RESTRICTED = Persona(
    "9000000041",
    "Jonathan Ashcombe, very restricted (V)",
    {
        "security": "V",
        "gender": "male",
        "birth_date": "1968-04-17",
        "names": [_name("usual", ["Jonathan"], "Ashcombe", prefix=["Mr"], start="1968-04-17")],
        "addresses": [_address(["27 Harbour View", "Truro"], "TR1 2HX", start="2012-03-03")],
        "general_practitioner": _practice("L82041", "2012-04-01"),
    },
)
_HYPHENATED = Persona(
    "9000000068",
    "Oluwaseun Adeyemi-Clarke: hyphenated, and moved from a temporary address",
    {
        "gender": "male",
        "birth_date": "1992-12-05",
        "names": [_name("usual", ["Oluwaseun", "David"], "Adeyemi-Clarke", prefix=["Mr"], start="1992-12-05")],
        "addresses": [
            _address(["61 Camberwell Grove", "London"], "SE5 8JE", start="2022-08-01"),
            _address(["Flat 9", "2 Station Street", "Nottingham"], "NG2 3AJ", id="A9", use="temp", text="Student Accommodation", start="2025-10-01", end="2025-12-20"),
        ],
        "telecoms": [_telecom("email", "home", "seun.clarke@example.org")],
        "general_practitioner": _practice("G85068", "2022-08-10"),
    },
)  # fmt: skip
_INVALIDATED = Persona(
    INVALIDATED[0],
    "Invalidated (REDACTED): a read must answer 404 and warn",
    {
        "security": "REDACTED",
        "gender": "female",
        "birth_date": "1990-06-06",
        "names": [_name("usual", ["Wanda"], "Redmayne")],
    },
)


def _twin(number: str, order: int, given: list[str]) -> Persona:
    return Persona(
        number,
        f"{' '.join(given)} Thornbury, twin {order} of 2: same birth date, address and family name",
        {
            "gender": "female",
            "birth_date": "2016-02-29",
            "birth_order": order,
            "names": [_name("usual", given, "Thornbury", prefix=["Miss"], start="2016-02-29")],
            "addresses": [_address(["5 Orchard Close", "Norwich"], "NR2 3LN", start="2016-02-29")],
            "general_practitioner": _practice("D82092", "2016-03-15"),
        },
    )


_PERMISSION_NO = Persona(
    PERMISSION_NO_NUMBER,
    "Gwilym Prosser-Hughes, whose summary may not be shown (permission No)",
    {
        "gender": "male",
        "birth_date": "1954-08-23",
        "names": [_name("usual", ["Gwilym"], "Prosser-Hughes", prefix=["Dr"], suffix=["OBE"], start="1954-08-23")],
        "addresses": [_address(["40 Chapel Street", "Liverpool"], "L3 9AG", start="1999-06-01")],
        "general_practitioner": _practice("N82114", "1999-07-01"),
        "consents": [{"type": "4", "value": "2"}],
    },
)
_BEGUM = Persona(
    "9000000122",
    "Fatima Begum, born on 1 January: one of very many of that name",
    {
        "gender": "female",
        "birth_date": "1965-01-01",
        "names": [_name("usual", ["Fatima"], "Begum", prefix=["Mrs"])],
        "addresses": [_address(["112 Leeds Road", "Bradford"], "BD3 9LY", start="1988-01-01")],
        "general_practitioner": _practice("B83122", "1988-02-01"),
        "language": "ur",
        "interpreter_required": True,
    },
)
_DEAD = Persona(
    "9000000130",
    "Arthur Leonard Braithwaite, who has died (formal notice)",
    {
        "gender": "male",
        "birth_date": "1931-10-02",
        "deceased": "2024-01-19T00:00:00+00:00",
        "death_status": "2",
        "death_status_date": "2024-01-26T10:15:00+00:00",
        "names": [_name("usual", ["Arthur", "Leonard"], "Braithwaite", prefix=["Mr"], start="1931-10-02")],
        "addresses": [_address(["Rowan Court", "9 Park Road", "Harrogate"], "HG2 9BH", start="2019-04-01")],
        "removal": {"code": "DEA", "start": "2024-01-19", "end": None},
    },
)
_NEWBORN = Persona(
    "9000000149",
    "A newborn still called BABY Okonkwo",
    {
        "gender": "female",
        "birth_date": "2025-12-28",
        "names": [_name("usual", ["BABY"], "Okonkwo", start="2025-12-28")],
        "addresses": [_address(["88 Plumstead Road", "London"], "SE18 7DW", start="2025-12-28")],
    },
)
_ACCENTS = Persona(
    "9000000157",
    "Siobhán Niamh O'Malley-Byrne: accents, an apostrophe and a hyphen; birth day not known",
    {
        "gender": "female",
        "birth_date": "1988-10",
        "names": [_name("usual", ["Siobhán", "Niamh"], "O'Malley-Byrne", prefix=["Ms"])],
        "addresses": [_address(["17 Mersey View", "Liverpool"], "L22 6QA", start="2015-05-05")],
        "general_practitioner": _practice("N84157", "2015-06-01"),
    },
)

PERSONAS: tuple[Persona, ...] = (
    _CATHERINE,
    _THOMAS,
    _RESTRICTED,
    _NEAR_EMPTY,
    _VERY_RESTRICTED,
    _HYPHENATED,
    _INVALIDATED,
    _twin("9000000092", 1, ["Amelia"]),
    _twin("9000000106", 2, ["Isabelle"]),
    _PERMISSION_NO,
    _BEGUM,
    _DEAD,
    _NEWBORN,
    _ACCENTS,
)
NUMBERS = tuple(persona.number for persona in PERSONAS)


def persona_row(position: int) -> dict[str, Any]:
    """Envelope and feed columns of the persona at a position."""
    persona = PERSONAS[position]
    row: dict[str, Any] = dict.fromkeys(PDS_PATIENT.polars_schema)
    row |= {"action": "new", "source_key": persona.number, "nhs_number": persona.number, "row_no": position + 1}
    row |= {"version_id": 2, "security": "U", "verification": "01"}
    return row | persona.columns


@lru_cache(maxsize=1)
def persona_rows() -> pl.DataFrame:
    """All personas in the columns of the feed."""
    return pl.DataFrame([persona_row(place) for place in range(len(PERSONAS))], schema=PDS_PATIENT.polars_schema)
