"""Which parameters must come together: PDS's minimum rules, and ours for the wide search.

Belongs here: the combinations and what is said when none is met.
Does not belong here: single values (``parameters.py``).
Source: pds.md 1.2, the order of checks there included.
"""

from __future__ import annotations

from search_api import errors
from search_api.matching.questions import Mode
from search_api.patients.parameters import Values, has_wildcard

POSTCODE = "postcode"
BIRTH_DATE_MISSING = "birth_date/birth_date_range_start/birth_date_range_end"

FUZZY_COMBINATIONS: tuple[frozenset[str], ...] = (
    frozenset({"given", "family", "birthdate"}),
    frozenset({"family", "birthdate", "gender", POSTCODE}),
    frozenset({"given", "birthdate", "gender", POSTCODE}),
)

# Ours: a wide search needs any two of these, so that no single common value lists a town.
WIDE_FIELDS: frozenset[str] = frozenset({"family", "given", "birthdate", POSTCODE, "phone", "email"})
WIDE_MINIMUM = 2
NO_WIDE = "A wide search needs at least two of family, given, birthdate, postcode, phone and email, without wildcards"
TWO_POSTCODES = "address-postcode and address-postalcode are the same parameter and only one may be given"


def check_minimum(mode: Mode, values: Values) -> None:
    """Raises what PDS says when a search does not hold enough (pds.md 1.2)."""
    present = present_fields(values)
    if "address-postcode" in values and "address-postalcode" in values:
        raise errors.invalid_search(TWO_POSTCODES)
    if mode is Mode.WIDE:
        _check_wide(present, values)
        return
    if "birthdate" not in present:
        raise errors.missing_value(BIRTH_DATE_MISSING)
    if mode is Mode.FUZZY:
        _check_fuzzy(present, values)
    elif "family" not in present:
        raise errors.invalid_search(errors.NO_SEARCH)


def present_fields(values: Values) -> frozenset[str]:
    """Names of the parameters given, both names of the postcode as one."""
    names = {POSTCODE if name in ("address-postcode", "address-postalcode") else name for name in values}
    return frozenset(names)


def _check_fuzzy(present: frozenset[str], values: Values) -> None:
    if not present & {"family", "given"}:
        # A birth date alone is too little for any search: the sheet's text for that comes first.
        raise errors.invalid_search(errors.NO_SEARCH)
    if has_wildcard(values) or not any(combination <= present for combination in FUZZY_COMBINATIONS):
        raise errors.invalid_search(errors.NO_FUZZY)


def _check_wide(present: frozenset[str], values: Values) -> None:
    if has_wildcard(values) or len(present & WIDE_FIELDS) < WIDE_MINIMUM:
        raise errors.invalid_search(NO_WIDE)
