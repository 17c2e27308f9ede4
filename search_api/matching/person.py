"""A patient as the scorer sees one: packed into the index document, unpacked per candidate.

Belongs here: the packed form and its reader. Does not belong here: where the values come from
(``index/columns.py`` builds the same form with column expressions), comparisons.

The packed form is UTF-8 text: sections parted by GROUP, items by RECORD, parts by UNIT, given
names by SLOT. Sections: birth yyyymmdd (00 unknown), sex, death, names, addresses, phones,
e-mails, practice, and last the name frequencies, which are left out of the fingerprint.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

SLOT, GROUP, RECORD, UNIT = "\x1c", "\x1d", "\x1e", "\x1f"
HISTORIC, SKIP_FAMILY, SKIP_GIVEN, PLACEHOLDER = "h", "f", "g", "p"


class StoredName(NamedTuple):
    """One name ever held. Frequencies are -log2 of the population share, in steps."""

    family: str
    given: tuple[str, ...]
    marks: str
    family_steps: int
    given_steps: int


class Person(NamedTuple):
    """One candidate. Addresses, phones and e-mails are (value, marks) pairs; marks hold HISTORIC.

    A telephone or e-mail that is no evidence is marked PLACEHOLDER: a filter finds it, nothing is weighed by it.
    """

    nhs_number: int
    birth: int
    sex: str
    death: int
    names: tuple[StoredName, ...]
    postcodes: tuple[tuple[str, str], ...]
    premises: tuple[str, ...]
    phones: tuple[tuple[str, str], ...]
    emails: tuple[tuple[str, str], ...]
    gp: str


# Half the time of calling the classes.
_stored, _person = partial(tuple.__new__, StoredName), partial(tuple.__new__, Person)


def unpack(nhs_number: int, payload: bytes) -> Person:
    """Read a packed record (about five microseconds)."""
    birth, sex, death, names, addresses, phones, emails, gp, steps = payload.decode().split(GROUP)
    places = [item.split(UNIT) for item in addresses.split(RECORD)] if addresses else ()
    return _person(
        (
            nhs_number,
            int(birth),
            sex,
            int(death),
            _names(names, steps),
            tuple([(place[0], place[1]) for place in places if place[0]]),
            tuple([place[2] for place in places if place[2]]),
            _pairs(phones),
            _pairs(emails),
            gp,
        )
    )


def _names(names: str, steps: str) -> tuple[StoredName, ...]:
    if not names:
        return ()
    found = []
    for item, pair in zip(names.split(RECORD), steps.split(RECORD), strict=True):
        family, given, marks = item.split(UNIT)
        family_steps, given_steps = pair.split(UNIT)
        slots = tuple(given.split(SLOT)) if given else ()
        found.append(_stored((family, slots, marks, int(family_steps), int(given_steps))))
    return tuple(found)


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    if not text:
        return ()
    found = []
    for item in text.split(RECORD):
        value, marks = item.split(UNIT)
        found.append((value, marks))
    return tuple(found)
