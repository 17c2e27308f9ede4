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
    """One candidate: the sections of the packed form, each read when it is asked for, for most candidates are
    looked at by name and date alone.

    Addresses, phones and e-mails are (value, marks) pairs; marks hold HISTORIC. A telephone or e-mail that is no
    evidence is marked PLACEHOLDER: a filter finds it, nothing is weighed by it.
    """

    nhs_number: int
    birth_text: str = "0"
    sex: str = ""
    death_text: str = "0"
    names_text: str = ""
    addresses_text: str = ""
    phones_text: str = ""
    emails_text: str = ""
    gp: str = ""
    steps_text: str = ""

    @property
    def birth(self) -> int:
        """As yyyymmdd, 00 unknown, 0 for none."""
        return int(self.birth_text)

    @property
    def death(self) -> int:
        """In the same form."""
        return int(self.death_text)

    @property
    def names(self) -> tuple[StoredName, ...]:
        """Every name ever held."""
        found = []
        for family, given, marks, family_steps, given_steps in self.name_texts:
            slots = tuple(given.split(SLOT)) if given else ()
            found.append(StoredName(family, slots, marks, int(family_steps), int(given_steps)))
        return tuple(found)

    @property
    def name_texts(self) -> list[list[str]]:
        """Of each name family, given names as packed, marks, and the two frequencies."""
        if not self.names_text:
            return []
        items = zip(self.names_text.split(RECORD), self.steps_text.split(RECORD), strict=True)
        return [f"{name}{UNIT}{steps}".split(UNIT) for name, steps in items]

    @property
    def postcodes(self) -> tuple[tuple[str, str], ...]:
        """Of every address that has one."""
        return tuple([(code, marks) for code, marks, _ in self.place_texts if code])

    @property
    def premises(self) -> tuple[str, ...]:
        """Openings of address lines."""
        return tuple([premise for _, _, premise in self.place_texts if premise])

    @property
    def phones(self) -> tuple[tuple[str, str], ...]:
        """Digits."""
        return _pairs(self.phones_text)

    @property
    def emails(self) -> tuple[tuple[str, str], ...]:
        """Lower case."""
        return _pairs(self.emails_text)

    @property
    def place_texts(self) -> list[list[str]]:
        """Of each address postcode, marks, and the opening of its lines."""
        return [item.split(UNIT) for item in self.addresses_text.split(RECORD)] if self.addresses_text else []


# Half the time of calling the class.
_person = partial(tuple.__new__, Person)


def unpack(nhs_number: int, payload: bytes) -> Person:
    """Read a packed record (about a microsecond)."""
    sections = payload.decode().split(GROUP)
    if len(sections) != len(Person._fields) - 1:
        raise ValueError("a packed record has nine sections")
    return _person((nhs_number, *sections))


def without_history(person: Person) -> Person:
    """As this person would be held had nothing been kept of earlier names, postcodes and contacts."""
    names = [each for each in person.name_texts if HISTORIC not in each[2]]
    places = person.place_texts
    return person._replace(
        names_text=RECORD.join(UNIT.join(each[:3]) for each in names),
        steps_text=RECORD.join(UNIT.join(each[3:]) for each in names),
        addresses_text=RECORD.join(
            UNIT.join(("" if HISTORIC in marks else code, marks, premise)) for code, marks, premise in places
        ),
        phones_text=RECORD.join(UNIT.join(pair) for pair in person.phones if HISTORIC not in pair[1]),
        emails_text=RECORD.join(UNIT.join(pair) for pair in person.emails if HISTORIC not in pair[1]),
    )


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    if not text:
        return ()
    found = []
    for item in text.split(RECORD):
        value, marks = item.split(UNIT)
        found.append((value, marks))
    return tuple(found)
