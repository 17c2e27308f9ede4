"""The scr_summary feed: GP summaries as row form, with the document Bundle beside.

Belongs here: the row and the Bundle's text, or the row as a header alone. Does not belong here: sections
(``summary_sections.py``), whose summaries (``subjects.py``).
``schemas.fhir.scr.scr_row(bundle, permission)`` of a row's ``bundle_json`` gives the row; a test
holds it so. Shape: reference/services.md 2.4.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from sandbox.population.dates import REFERENCE, day_number, day_texts
from sandbox.population.people import People, Population
from sandbox.population.randomness import I64
from sandbox.population.subjects import Subjects, subjects
from sandbox.population.summary_sections import Documents, Sections, flags, joined, quoted, shown_days
from schemas.feeds import SCR_SUMMARY
from schemas.fhir.scr import SUMMARY_TYPE
from schemas.fhir.urls import SCR_BASE, SNOMED
from schemas.identifiers import NHS_NUMBER_SYSTEM, ODS_CODE_SYSTEM

_NOW = day_number(REFERENCE)
_REVISION_SHIFT = 40  # draws for later summaries of a person lie apart from those for the first
_MICROSECONDS_A_MINUTE = 60_000_000
_UUID_SYSTEM = "https://tools.ietf.org/html/rfc4122"
# What stands for the document where a summary comes as a header alone: the least that the feed's contract takes.
HEADER_BUNDLE = '{"resourceType":"Bundle","type":"document"}'
_ROLE_SYSTEM = "https://fhir.nhs.uk/Id/sds-role-profile-id"
_USER_SYSTEM = "https://fhir.nhs.uk/Id/sds-user-id"


@dataclass(frozen=True)
class Written:
    """When each summary was written: the position of its draws, and the day."""

    where: I64
    day: I64

    @classmethod
    def first(cls, found: Subjects, population: Population) -> Written:
        """On one of the sixty days before the reference day."""
        return cls(found.index, _NOW - 1 - population.draws.below("summary day", found.index, 59))

    @classmethod
    def later(cls, found: Subjects, day: int) -> Written:
        """On this day, in place of an earlier one."""
        where = found.index + (np.int64(day) << _REVISION_SHIFT)
        return cls(where, np.full(len(where), day, dtype=np.int64))


def summary_rows(people: People, population: Population) -> pl.DataFrame:
    """First summaries of these people, in the feed's columns; row_no is null."""
    found = subjects(people, population)
    return _rows(found, Written.first(found, population), population)


def later_summary_rows(people: People, population: Population, day: int, rows: pl.DataFrame) -> pl.DataFrame:
    """Summaries that replace the first ones on a day; ``rows`` are the people's pds_patient rows then."""
    found = subjects(people, population, rows)
    return _rows(found, Written.later(found, day), population)


def header_rows(people: People, population: Population) -> pl.DataFrame:
    """The first summaries as headers: all that is known of each but its document, for volume."""
    found = subjects(people, population, named=False)
    return _headers(found, Written.first(found, population), population)


def as_headers(rows: pl.DataFrame) -> pl.DataFrame:
    """Summaries without their documents: the rows that ``header_rows`` makes."""
    live = pl.col("action") != "delete"
    bare = {name: pl.lit(None, dtype=SCR_SUMMARY.polars_schema[name]) for name in ("sections", "section_rows")}
    return rows.with_columns(**bare, bundle_json=pl.when(live).then(pl.lit(HEADER_BUNDLE)))


def _headers(found: Subjects, written: Written, population: Population) -> pl.DataFrame:
    columns = _head(found, written, population)
    further, withheld = flags(written.where, population.draws, population.rates)
    columns |= {"has_additional_information": pl.Series(further), "has_withheld_items": pl.Series(withheld)}
    columns["bundle_json"] = pl.Series([HEADER_BUNDLE], dtype=pl.String).new_from_index(0, len(written.where))
    return _in_feed_columns(columns, len(written.where))


def _rows(found: Subjects, written: Written, population: Population) -> pl.DataFrame:
    columns = _head(found, written, population)
    facts, band = found.facts, np.where(found.age < 16, 0, np.where(found.age < 65, 1, 2)).astype(np.int64)
    documents = Documents(written.where, written.day, band, columns["sent"], facts["practice"], facts["author"])
    sections = Sections(documents, population.draws, population.rates)
    columns |= sections.columns()
    columns["bundle_json"] = _bundle(facts, columns["scr_uuid"], columns["created"], sections)
    return _in_feed_columns(columns, len(written.where))


def _head(found: Subjects, written: Written, population: Population) -> dict[str, pl.Series]:
    """The columns that say whose summary it is, who wrote it and when."""
    facts, where, day = found.facts, written.where, written.day
    minute = 480 + population.draws.below("summary minute", where, 630)
    clock = joined(_two_digits(minute // 60), ":", _two_digits(minute % 60))
    return {
        "action": pl.Series(["new"] * len(where), dtype=pl.String),
        "source_key": facts["number"],
        "nhs_number": facts["number"],
        "recorded_at": pl.Series((day * 1_440 + minute) * _MICROSECONDS_A_MINUTE).cast(pl.Datetime("us", "UTC")),
        "scr_uuid": _uuids(where, population),
        "created": joined(day_texts(day), "T", clock, ":00+00:00"),
        "sent": joined(shown_days(day), " ", clock),
        "practice_code": facts["practice"],
        "author_name": facts["author"],
        "permission": facts["permission"],
    }


def _in_feed_columns(columns: dict[str, pl.Series], count: int) -> pl.DataFrame:
    schema = SCR_SUMMARY.polars_schema
    nothing = pl.Series([None] * count, dtype=pl.String)
    return pl.DataFrame({name: columns.get(name, nothing) for name in schema}).cast(dict(schema))  # type: ignore[arg-type]


def _two_digits(values: I64) -> pl.Series:
    return pl.Series(values).cast(pl.String).str.zfill(2)


def _uuids(where: I64, population: Population) -> pl.Series:
    """Version 4 UUIDs in capitals, as SCR shows them."""
    high, low = population.draws.bits("summary id", where), population.draws.bits("summary id 2", where)
    pairs = zip(high.tolist(), low.tolist(), strict=True)
    raw = pl.Series([f"{first:016X}{second:016X}" for first, second in pairs], dtype=pl.String).str
    return joined(
        raw.slice(0, 8), "-", raw.slice(8, 4), "-4", raw.slice(13, 3), "-A", raw.slice(17, 3), "-", raw.slice(20, 12)
    )


def _template() -> list[str]:
    """The Bundle as JSON text cut at its places: text, name of a place, text, ..."""
    text = json.dumps(_bundle_shape(), ensure_ascii=True, separators=(",", ":"))
    for name in ("given", "family", "gender", "birth_date", "sections"):
        text = text.replace(f'"@{name}@"', f"@{name}@")
    return text.split("@")


def _entry(resource: dict[str, Any]) -> dict[str, Any]:
    return {"fullUrl": f"{SCR_BASE}/{resource['resourceType']}/{resource['id']}", "resource": resource}


def _bundle_shape() -> dict[str, Any]:
    """The document Bundle; ``@name@`` marks a place."""
    composition = {
        "resourceType": "Composition",
        "id": "@uuid@",
        "meta": {"lastUpdated": "@created@"},
        "identifier": {"system": _UUID_SYSTEM, "value": "@uuid@"},
        "status": "final",
        "type": {"coding": [SUMMARY_TYPE]},
        "category": [{"coding": [{"system": SNOMED, "code": "163171000000105"}]}],
        "subject": {"reference": "Patient/@number@"},
        "date": "@created@",
        "author": [{"reference": "PractitionerRole/@practice@-role"}],
        "title": "General Practice Summary",
        "section": ["@sections@"],
    }
    role = {
        "resourceType": "PractitionerRole",
        "id": "@practice@-role",
        "identifier": [{"system": _ROLE_SYSTEM, "value": "655600000001"}],
        "practitioner": {"reference": "Practitioner/@practice@-gp"},
        "organization": {"reference": "Organization/@practice@"},
    }
    practitioner = {
        "resourceType": "Practitioner",
        "id": "@practice@-gp",
        "identifier": [{"system": _USER_SYSTEM, "value": "656000000001"}],
        "name": [{"text": "@author@"}],
    }
    organisation = {
        "resourceType": "Organization",
        "id": "@practice@",
        "identifier": [{"system": ODS_CODE_SYSTEM, "value": "@practice@"}],
    }
    patient = {
        "resourceType": "Patient",
        "id": "@number@",
        "identifier": [{"system": NHS_NUMBER_SYSTEM, "value": "@number@"}],
        "name": [{"use": "usual", "family": "@family@", "given": "@given@"}],
        "gender": "@gender@",
        "birthDate": "@birth_date@",
    }
    entries = [_entry(item) for item in (composition, role, practitioner, organisation, patient)]
    return {
        "resourceType": "Bundle",
        "id": "@uuid@",
        "identifier": {"system": _UUID_SYSTEM, "value": "@uuid@"},
        "type": "document",
        "timestamp": "@created@",
        "entry": entries,
    }


def _bundle(facts: pl.DataFrame, uuid: pl.Series, created: pl.Series, sections: Sections) -> pl.Series:
    """The Bundle of each document as JSON text in ASCII."""
    places = {name: facts[name] for name in ("number", "given", "family", "gender", "birth_date", "practice")}
    places |= {"author": quoted(facts["author"]), "uuid": uuid, "created": created, "sections": joined(*sections.json)}
    for name in ("gender", "birth_date"):
        places[name] = joined('"', places[name], '"').fill_null("null")
    pieces = _template()
    return joined(*(places[piece] if number % 2 else piece for number, piece in enumerate(pieces)))
