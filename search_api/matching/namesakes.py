"""How many others in the index bear the name of a candidate.

Belongs here: which names count, the keys that find who bears them, and counting them. Does not belong here:
when it is asked and what it changes (``grading.py``), searching (``matcher.py``).

Name, sex and birth date alone speak for a candidate the less, the more people bear the name, and how many do is
known: they are in the index. Shares of names multiplied do not tell, for names are not drawn apart: communities and
families have their own (docs/weights.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from search_api.index.provider import CandidateSet
from search_api.matching.asked import Asked
from search_api.matching.lettering import UNKNOWN, holds
from search_api.matching.person import Person, unpack
from search_api.matching.phonetics import code

# Most people of the sounds of a name who are looked at; where there are more, who bears it is not counted.
MOST = 100
FullName = tuple[str, str]


def full_names(asked: Asked, person: Person) -> frozenset[FullName]:
    """Family name and first given name: as asked, and each that the candidate has or had. Either may be the slip."""
    own = {(asked.family.joined, asked.first)} if asked.family.joined and asked.first else set()
    return frozenset(own | set(_held(person)))


def keys(names: Iterable[FullName]) -> list[str]:
    """Blocking keys of the sounds of both names (``blocking.py``), each once."""
    sounds = (sorted((code(family), code(given))) for family, given in names)
    return list(dict.fromkeys(f"n{one}{two}" for one, two in sounds))


def bearers(names: frozenset[FullName], person: Person, found: CandidateSet) -> int:
    """How many of these but the candidate have or had one of the names; only whose letters allow it are fetched."""
    held = found.letters or (UNKNOWN,) * len(found.numbers)
    likely = [
        at
        for at, number in enumerate(found.numbers)
        if number != person.nhs_number and any(holds(family, given, held[at]) for family, given in names)
    ]
    others = (unpack(found.numbers[at], found.payloads[at]) for at in likely)
    return sum([not names.isdisjoint(_held(other)) for other in others])


def _held(person: Person) -> Iterator[FullName]:
    for name in person.names:
        family, given = name.family.replace(" ", ""), name.given[0].split(" ")[0] if name.given else ""
        if family and given:
            yield family, given
