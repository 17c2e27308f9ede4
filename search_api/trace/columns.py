"""The columns of a trace file: those that are read and those that are added.

Belongs here: names, other spellings, lengths, meanings. Does not belong here: files (``csv_form.py``,
``parquet_form.py``), codes (``outcomes.py``). Source: pds.md 1.11, the Person_ID handbook's appendix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME_LENGTH = 35  # pds.md 1.1: family and given name
OTHER_LENGTH = 255  # ours: the sheet gives no limit

REFERENCE = "UNIQUE_REFERENCE"
ADDRESS_LINES = tuple(f"ADDRESS_LINE{line}" for line in range(1, 6))


@dataclass(frozen=True)
class Column:
    """One column that a request may have; ``used`` when it is part of the question."""

    name: str
    meaning: str
    length: int = OTHER_LENGTH
    used: bool = True


REQUEST: tuple[Column, ...] = (
    Column(REFERENCE, "The sender's reference of the row. Mandatory."),
    Column("NHS_NO", "NHS number; ten digits, blanks and hyphens allowed."),
    Column("FAMILY_NAME", "Family name.", NAME_LENGTH),
    Column("GIVEN_NAME", "First given name.", NAME_LENGTH),
    Column("OTHER_GIVEN_NAME", "Further given names."),
    Column("GENDER", "1 male, 2 female, 9 not specified, 0 not known; also M, F, I, U and FHIR's words."),
    Column("DATE_OF_BIRTH", "yyyymmdd or yyyy-mm-dd; yyyy, yyyymm and yyyy-mm where no more is known."),
    Column("DATE_OF_DEATH", "As the date of birth."),
    *(Column(name, "A line of the address.") for name in ADDRESS_LINES),
    Column("ADDRESS_DATE", "Carried through.", used=False),
    Column("POSTCODE", "Postcode; also spelt POST_CODE."),
    Column("GP_PRACTICE_CODE", "ODS code of the practice."),
    Column("NHAIS_POSTING_ID", "Carried through.", used=False),
    Column("AS_AT_DATE", "Carried through: the answer is as at the generation.", used=False),
    Column("LOCAL_PATIENT_ID", "Carried through.", used=False),
    Column("INTERNAL_ID", "Carried through.", used=False),
    Column("TELEPHONE_NUMBER", "Telephone number."),
    Column("MOBILE_NUMBER", "Mobile number."),
    Column("EMAIL_ADDRESS", "E-mail address."),
)
USED: tuple[Column, ...] = tuple(column for column in REQUEST if column.used)
_SPELLINGS = {"POST_CODE": "POSTCODE", "NHS_NUMBER": "NHS_NO"}

# Comparison of the weights file to the column that tells its level.
LEVELS: dict[str, str] = {
    "family": "LEVEL_FAMILY_NAME",
    "given": "LEVEL_GIVEN_NAME",
    "middle_names": "LEVEL_OTHER_GIVEN_NAME",
    "name_order": "LEVEL_NAME_ORDER",
    "sex": "LEVEL_GENDER",
    "birth_date": "LEVEL_DATE_OF_BIRTH",
    "death_date": "LEVEL_DATE_OF_DEATH",
    "address": "LEVEL_ADDRESS",
    "postcode": "LEVEL_POSTCODE",
    "gp": "LEVEL_GP_PRACTICE_CODE",
    "phone": "LEVEL_TELEPHONE",
    "email": "LEVEL_EMAIL_ADDRESS",
    "relatives": "LEVEL_RELATIVES",
}
ANSWER: dict[str, str] = {
    "MATCHED_NHS_NO": "The NHS number, only where the answer is certain.",
    "ERROR_SUCCESS_CODE": "What became of the row, as the code of today's service.",
    "TRACE_RESULT_CODE": "The same as the code of the earlier batch trace; empty where no trace was made.",
    "MATCHED_ALGORITHM_INDICATOR": "0 no match, 1 cross-check, 4 wide search.",
    "MATCHED_CONFIDENCE_PERCENTAGE": "Probability of the best candidate, in per cent.",
    "OUTCOME": "What became of the row, in words.",
    "REASON": "The column that kept the row from being traced, or why a number did not check.",
    "GRADE": "Grade of the best candidate.",
    "WEIGHT": "Its match weight in bits, prior included.",
    "CANDIDATES": "How many people may be meant.",
    **{column: f"Level reached by {name} of the best candidate." for name, column in LEVELS.items()},
    "MATCHED_ON_PREVIOUS": "Comparisons that a previous name, address or contact made, parted by blanks.",
}


def canonical(name: str) -> str:
    """A column's name as the catalogue spells it: capitals, with one underscore for what is no letter or digit."""
    clean = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
    return _SPELLINGS.get(clean, clean)
