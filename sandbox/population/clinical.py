"""Ready-made contents of GP summaries: sections of medication, allergies and further entries.

Belongs here: the vocabulary, and a library of section variants as HTML with the rows that it
shows. Does not belong here: whose summary has which variant (``summaries.py``). A person's
summary is a choice of variants by age band, so a million summaries cost a few table look-ups.
Shape of sections, headings and columns: reference/services.md 2.4. Doses are ordinary examples
and not advice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

import numpy as np

from sandbox.population.dates import REFERENCE, day_number, day_of
from sandbox.population.randomness import Draws
from schemas.fhir.scr_sections import EMPTY_TEXT, read_section

VARIANTS = 160
BANDS = ("child", "adult", "older")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NOW = day_number(REFERENCE)

_ALLERGIES = (
    ("Allergy to penicillin", "Certain", "Moderate", "Rash as a child"), ("Adverse reaction to amoxicillin", "Likely", "Mild", ""),
    ("Peanut allergy", "Certain", "Severe", "Carries adrenaline auto-injector"), ("Allergy to latex", "Certain", "Mild", ""),
    ("Adverse reaction to codeine phosphate", "Likely", "Mild", "Nausea"), ("Allergy to bee venom", "Certain", "Severe", ""),
    ("Adverse reaction to ibuprofen", "Possible", "Moderate", "Wheeze"), ("Egg allergy", "Likely", "Mild", "Outgrown"),
    ("Adverse reaction to trimethoprim", "Certain", "Moderate", "Rash"), ("House dust mite allergy", "Certain", "Mild", ""),
    ("Adverse reaction to ramipril", "Certain", "Mild", "Dry cough"), ("Cow's milk allergy", "Certain", "Moderate", ""),
)  # fmt: skip
_ACUTE = (
    ("Amoxicillin 500mg capsules", "One to be taken three times a day", "21 capsule"), ("Flucloxacillin 500mg capsules", "One to be taken four times a day", "28 capsule"),
    ("Nitrofurantoin 100mg modified-release capsules", "One twice a day with food", "6 capsule"), ("Naproxen 250mg tablets", "One twice a day with food", "28 tablet"),
    ("Prednisolone 5mg tablets", "Six a day for five days", "30 tablet"), ("Chloramphenicol 0.5% eye drops", "One drop every two hours", "10 ml"),
    ("Co-codamol 8mg/500mg tablets", "One or two up to four times a day", "100 tablet"), ("Doxycycline 100mg capsules", "Two on the first day then one a day", "8 capsule"),
    ("Fusidic acid 2% cream", "Apply three times a day", "15 gram"), ("Hydrocortisone 1% cream", "Apply thinly twice a day", "30 gram"),
)  # fmt: skip
_CHILD_ACUTE = (
    ("Amoxicillin 250mg/5ml oral suspension sugar free", "One 5ml spoonful three times a day", "100 ml"), ("Paracetamol 120mg/5ml oral suspension", "5ml up to four times a day", "200 ml"),
    ("Phenoxymethylpenicillin 250mg/5ml oral solution", "5ml four times a day", "200 ml"), ("Salbutamol 100micrograms/dose inhaler", "Two puffs when needed through a spacer", "200 dose"),
)  # fmt: skip
_REPEAT = (
    ("Amlodipine 5mg tablets", "One a day", "28 tablet"), ("Ramipril 5mg capsules", "One a day", "28 capsule"), ("Atorvastatin 20mg tablets", "One at night", "28 tablet"),
    ("Levothyroxine sodium 100microgram tablets", "One in the morning", "28 tablet"), ("Metformin 500mg tablets", "One twice a day with meals", "56 tablet"),
    ("Omeprazole 20mg gastro-resistant capsules", "One a day", "28 capsule"), ("Lansoprazole 15mg gastro-resistant capsules", "One a day before food", "28 capsule"),
    ("Sertraline 50mg tablets", "One a day", "28 tablet"), ("Bisoprolol 2.5mg tablets", "One a day", "28 tablet"), ("Apixaban 5mg tablets", "One twice a day", "56 tablet"),
    ("Furosemide 40mg tablets", "One in the morning", "28 tablet"), ("Salbutamol 100micrograms/dose inhaler CFC free", "One or two puffs when needed", "200 dose"),
    ("Beclometasone 100micrograms/dose inhaler CFC free", "Two puffs twice a day", "200 dose"), ("Adcal-D3 caplets", "Two twice a day", "112 tablet"),
    ("Tamsulosin 400microgram modified-release capsules", "One a day", "30 capsule"), ("Alendronic acid 70mg tablets", "One a week", "4 tablet"),
    ("Clopidogrel 75mg tablets", "One a day", "28 tablet"), ("Gabapentin 300mg capsules", "One three times a day", "84 capsule"), ("Insulin glargine 100units/ml pre-filled pens", "As directed", "15 ml"),
)  # fmt: skip
_CHILD_REPEAT = (
    ("Cetirizine 1mg/ml oral solution", "5ml a day", "200 ml"), ("Clenil Modulite 50micrograms/dose inhaler", "Two puffs twice a day", "200 dose"),
    ("Movicol Paediatric Plain oral powder", "One sachet a day", "30 sachet"), ("Emollin cream", "Apply as needed", "500 gram"),
)  # fmt: skip
_FURTHER: dict[str, tuple[str, tuple[str, ...]]] = {
    "DiagnosesHeader": ("Diagnoses", ("Essential hypertension", "Type 2 diabetes mellitus", "Asthma", "Hypothyroidism", "Osteoarthritis of knee", "Atrial fibrillation", "Eczema", "Migraine", "Chronic kidney disease stage 3")),
    "ProblemsHeader": ("Problems and Issues", ("Low back pain", "Anxiety", "Falls", "Hearing difficulty", "Overweight")),
    "ObservationsHeader": ("Clinical Observations and Findings", ("O/E - blood pressure reading 132/78 mmHg", "Body mass index 27.1 kg/m2", "O/E - weight 74 kg")),
    "ResultsHeader": ("Investigation Results", ("Haemoglobin A1c level 52 mmol/mol", "Serum creatinine 88 umol/L", "Full blood count normal")),
    "PreferencesHeader": ("Personal Preferences", ("Has end of life care plan", "Preferred place of care: home", "Not for attempted CPR (cardiopulmonary resuscitation)")),
    "CircumstancesHeader": ("Social and Personal Circumstances", ("Lives alone", "Has a carer", "Lives in care home")),
    "TreatmentsHeader": ("Treatments", ("Influenza vaccination", "Administration of SARS-CoV-2 vaccine", "Appendicectomy", "Cataract extraction")),
}  # fmt: skip
FURTHER_CODES = tuple(_FURTHER)
MEDICATION_COLUMNS = ("Type", "Date", "Medication Item", "Dosage Instructions", "Quantity")

_Pick = Callable[[int], int]
Cells = tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """One section without its closing tag: HTML, its rows, whether it has content of its own."""

    html: str
    rows: list[dict[str, Any]]
    has_content: bool


def shown_day(number: int) -> str:
    """12-May-2020."""
    day = day_of(number)
    return f"{day.day:02d}-{_MONTHS[day.month - 1]}-{day.year}"


def _table(table: str, columns: Cells, rows: Sequence[Cells]) -> str:
    if not rows:
        return f'<p id="{table}Empty">{EMPTY_TEXT}</p>'
    heading = "".join(f"<th>{column}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<table id="{table}"><thead><tr>{heading}</tr></thead><tbody>{body}</tbody></table>'


def _variant(code: str, table: str, columns: Cells, rows: Sequence[Cells]) -> Variant:
    html = f'<div xmlns="http://www.w3.org/1999/xhtml">{_table(table, columns, rows)}'
    reading = read_section(code, f"{html}</div>")
    return Variant(html, reading.rows, reading.has_content)


def _day(pick: _Pick, oldest: int) -> str:
    return shown_day(_NOW - 61 - pick(oldest))


def _allergies(band: int, pick: _Pick) -> Variant:
    count = max(0, pick(6) - 3) if band < 2 else max(0, pick(7) - 3)
    rows = [(_day(pick, 9_000 if band else 1_500), *_ALLERGIES[pick(len(_ALLERGIES))]) for _ in range(count)]
    columns = ("Date", "Description", "Certainty", "Severity", "Supporting Information")
    return _variant("AllergiesHeader", "Allergies", columns, rows)


def _medication(code: str, label: str, items: tuple[Cells, ...], count: int, pick: _Pick) -> Variant:
    kinds = {
        "AcuteMeds": "Acute Medication",
        "RepeatMeds": "Repeat Medication",
        "DiscRepeatMeds": "Discontinued Repeat",
    }
    table = code.removesuffix("Header")
    rows = [(kinds[table], f"{label}: {_day(pick, 300)}", *items[pick(len(items))]) for _ in range(count)]
    return _variant(code, table, MEDICATION_COLUMNS, rows)


def _acute(band: int, pick: _Pick) -> Variant:
    items = _ACUTE if band else _CHILD_ACUTE
    return _medication("AcuteMedsHeader", "Prescribed", items, max(0, pick(5) - (2 - band)), pick)


def _repeat(band: int, pick: _Pick) -> Variant:
    items = _REPEAT if band else _CHILD_REPEAT
    count = (max(0, pick(6) - 4), max(0, pick(6) - 2), 2 + pick(7))[band]
    return _medication("RepeatMedsHeader", "Last Issued", items, count, pick)


def _discontinued(band: int, pick: _Pick) -> Variant:
    items = _REPEAT if band else _CHILD_REPEAT
    return _medication("DiscRepeatMedsHeader", "Last Issued", items, max(0, pick(4) - (3 - band)), pick)


def _further(code: str) -> Callable[[int, _Pick], Variant]:
    _, entries = _FURTHER[code]
    columns: Cells = ("Date", "Description", "Additional information")
    if code in ("ObservationsHeader", "ResultsHeader"):
        columns = ("Date", "Description", "Value", "Supporting Information")

    def make(band: int, pick: _Pick) -> Variant:
        rows = []
        for _ in range(1 + pick(2 + band)):
            blanks = ("",) * (len(columns) - 2)
            rows.append((_day(pick, 4_000 if band else 900), entries[pick(len(entries))], *blanks))
        return _variant(code, code.removesuffix("Header"), columns, rows)

    return make


_MAKERS: dict[str, Callable[[int, _Pick], Variant]] = {
    "AllergiesHeader": _allergies,
    "AcuteMedsHeader": _acute,
    "RepeatMedsHeader": _repeat,
    "DiscRepeatMedsHeader": _discontinued,
    **{code: _further(code) for code in FURTHER_CODES},
}
CODES = tuple(_MAKERS)


def title(code: str) -> str:
    """Fixed part of a section's title (medication sections add their period)."""
    fixed = {
        "AllergiesHeader": "Allergies and Adverse Reactions",
        "AcuteMedsHeader": "Acute Medications",
        "RepeatMedsHeader": "Current Repeat Medications",
        "DiscRepeatMedsHeader": "Discontinued Repeat Medications",
    }
    return fixed[code] if code in fixed else _FURTHER[code][0]


@lru_cache(maxsize=1)
def variants() -> dict[str, list[Variant]]:
    """Per section code, VARIANTS variants of each age band, band by band."""
    draws = Draws(0)
    made: dict[str, list[Variant]] = {}
    for code, make in _MAKERS.items():
        made[code] = []
        for number in range(VARIANTS * len(BANDS)):
            numbers = iter(draws.unit(f"clinical/{code}/{number}", np.arange(80, dtype=np.int64)).tolist())
            made[code].append(make(number // VARIANTS, lambda bound, n=numbers: int(next(n) * bound)))  # type: ignore[misc]
    return made
