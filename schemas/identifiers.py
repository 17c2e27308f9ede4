"""Identifiers: NHS number, ODS code, postcode: parse, check, mask; and their sentinels.

Belongs here: pure functions on one identifier. Does not belong here: vectorised checks on
frames (``quality/``), the tolerant repairs of matching (``search_api/matching/normalise.py``).
Sources: reference/pds.md section 2.5 (check digit), section 2.2 (ODS code pattern).
"""

from __future__ import annotations

import re
from itertools import starmap
from operator import mul

from schemas.errors import InvalidNhsNumber

NHS_NUMBER_SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"
ODS_CODE_SYSTEM = "https://fhir.nhs.uk/Id/ods-organization-code"

NO_FIXED_ABODE = "ZZ99 3VZ"
PSEUDO_POSTCODE_AREA = "ZZ99"

_WEIGHTS = tuple(range(10, 1, -1))
_TEN_DIGITS = re.compile(r"[0-9]{10}")
_ODS_CODE = re.compile(r"[0-9A-Z]+")
_POSTCODE = re.compile(r"([A-Z]{1,2}[0-9][0-9A-Z]?) ?([0-9][A-Z]{2})")


def check_digit(nine_digits: str) -> int | None:
    """Modulus 11 check digit of nine digits, or None where the scheme has none (remainder 10).

    Weights 10..2, then 11 - (sum mod 11); 11 counts as 0, and 10 is never issued.
    """
    total = sum(starmap(mul, zip(map(int, nine_digits), _WEIGHTS, strict=True)))
    remainder = 11 - total % 11
    if remainder == 10:
        return None
    return 0 if remainder == 11 else remainder


def is_nhs_number(text: str) -> bool:
    """True for exactly ten ASCII digits whose last is the right check digit."""
    if not _TEN_DIGITS.fullmatch(text):
        return False
    return check_digit(text[:9]) == int(text[9])


def parse_nhs_number(text: str) -> int:
    """NHS number as an integer; spaces and hyphens as printed (3-3-4) are allowed.

    Raises InvalidNhsNumber without quoting the text.
    """
    compact = text.replace(" ", "").replace("-", "")
    if not is_nhs_number(compact):
        raise InvalidNhsNumber("The text is not an NHS number.")
    return int(compact)


def format_nhs_number(number: int) -> str:
    """Ten digits, zero padded, without spaces: the form of identifiers and addresses."""
    return f"{number:010d}"


def mask_nhs_number(text: str) -> str:
    """First three digits kept, the rest hidden: for lists that ops may see."""
    return f"{text[:3]}*******" if len(text) >= 3 else "*" * len(text)


def is_ods_code(text: str) -> bool:
    """True for the pattern of ODS codes, ``^[0-9A-Z]+$``."""
    return bool(_ODS_CODE.fullmatch(text))


def parse_postcode(text: str) -> str | None:
    """Postcode in its printed form (``LS1 4AP``), or None when it has not a postcode's shape."""
    match = _POSTCODE.fullmatch(" ".join(text.upper().split()))
    return f"{match[1]} {match[2]}" if match else None


def outcode(postcode: str) -> str:
    """The outward half of a postcode in printed or joined form (``LS1``)."""
    compact = postcode.replace(" ", "")
    return compact[:-3]


def is_pseudo_postcode(postcode: str) -> bool:
    """True for ZZ99 codes: no fixed abode, overseas, unknown; never evidence of a place."""
    return postcode.replace(" ", "").upper().startswith(PSEUDO_POSTCODE_AREA)
