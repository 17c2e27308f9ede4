"""Sections of GP summaries for a chunk of people: as structs, as rows, and as JSON text.

Belongs here: choosing variants, and closing a document with the time of sending. Does not belong
here: what a variant says (``clinical.py``), the Bundle around the sections (``summaries.py``).
Everything is a look-up in the library of variants, so a chunk costs no loop over people.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from sandbox.population.clinical import BANDS, CODES, FURTHER_CODES, VARIANTS, shown_day, title, variants
from sandbox.population.dates import REFERENCE, day_number
from sandbox.population.lists import LongTable
from sandbox.population.randomness import I64, Draws, Flags
from sandbox.population.rates import Rates
from schemas.feeds import SCR_SUMMARY

_CLOSE = "</div>"
_CORE = CODES[:4]
FURTHER_SLOTS = 3
_PERIODS = {"AcuteMedsHeader": ("12", 365), "DiscRepeatMedsHeader": ("6", 183)}
_WITHHELD = (
    '<p id="WithheldCREItemsHeaderStatement">'
    "One or more entries have been deliberately withheld from this GP Summary.</p>"
)
_DISCLAIMER = "This is a summary of the GP record and may not hold everything that is known of the patient."
_FIRST_SHOWN = day_number(REFERENCE) - 11 * 366


def joined(*parts: pl.Series | str) -> pl.Series:
    """Texts beside each other joined; a plain text is the same in every row."""
    columns = [part.alias(f"p{place}") for place, part in enumerate(parts) if isinstance(part, pl.Series)]
    pieces = [pl.col(f"p{n}") if isinstance(part, pl.Series) else pl.lit(part) for n, part in enumerate(parts)]
    return pl.DataFrame(columns).select(joined=pl.concat_str(pieces))["joined"]


@lru_cache(maxsize=1)
def _shown_table() -> pl.Series:
    return pl.Series([shown_day(number) for number in range(_FIRST_SHOWN, _FIRST_SHOWN + 40 * 366)], dtype=pl.String)


def shown_days(day: I64) -> pl.Series:
    """12-May-2020 for day numbers."""
    return _shown_table().gather(day - _FIRST_SHOWN)


def quoted(texts: pl.Series) -> pl.Series:
    """Texts of ASCII without control characters as they stand inside a JSON string."""
    return texts.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)


@dataclass(frozen=True)
class _Library:
    """All variants one after the other: by code, then band, then number."""

    html: pl.Series
    quoted: pl.Series
    row_start: I64
    row_count: I64
    rows: pl.DataFrame


@lru_cache(maxsize=1)
def _library() -> _Library:
    made = [variant for code in CODES for variant in variants()[code]]
    counts = np.array([len(variant.rows) for variant in made], dtype=np.int64)
    dtype = SCR_SUMMARY.polars_schema["section_rows"]
    flat = pl.Series("rows", [[row for variant in made for row in variant.rows]], dtype=dtype).explode()
    return _Library(
        html=pl.Series([variant.html for variant in made], dtype=pl.String),
        quoted=pl.Series([json.dumps(variant.html)[1:-1] for variant in made], dtype=pl.String),
        row_start=np.cumsum(counts) - counts,
        row_count=counts,
        rows=flat.struct.unnest(),
    )


@dataclass(frozen=True)
class Documents:
    """The documents of a chunk: where draws are made, day of writing, age band, texts by column."""

    where: I64
    day: I64
    band: I64
    shown: pl.Series
    practice: pl.Series
    author: pl.Series

    def __len__(self) -> int:
        return len(self.where)


def flags(where: I64, draws: Draws, rates: Rates) -> tuple[Flags, Flags]:
    """Whether each document has additional information, and whether entries of it are withheld."""
    further: Flags = draws.chance("further", where, rates.additional_information)
    return further, draws.chance("withheld", where, rates.withheld)


class Sections:
    """Gathers the sections of a chunk's documents, in order."""

    def __init__(self, documents: Documents, draws: Draws, rates: Rates) -> None:
        self._documents, self._draws = documents, draws
        self._count = len(documents)
        self._sections = LongTable("scr_summary", "sections")
        self._rows = LongTable("scr_summary", "section_rows")
        self.json: list[pl.Series] = []
        has, self.withheld = flags(documents.where, draws, rates)
        count = 1 + draws.below("further count", documents.where, FURTHER_SLOTS)
        self.further: I64 = np.where(has, count, 0).astype(np.int64)
        ending = joined('<p id="SendTime">Summary Sent: ', documents.shown, f"</p>{_CLOSE}")
        self._endings = pl.concat([pl.Series([_CLOSE], dtype=pl.String), ending])
        self._build()

    def _build(self) -> None:
        self._title()
        everyone = np.arange(self._count, dtype=np.int64)
        for place, code in enumerate(_CORE):
            last = (self.further == 0) & (place == len(_CORE) - 1)
            self._variant(everyone, code, last)
        first = self._draws.below("further first", self._documents.where, len(FURTHER_CODES))
        for slot in range(FURTHER_SLOTS):
            for place, code in enumerate(FURTHER_CODES):
                chosen = (self.further > slot) & ((first + slot) % len(FURTHER_CODES) == place)
                rows = np.flatnonzero(chosen)
                self._variant(rows, code, self.further[rows] == slot + 1)

    def _title(self) -> None:
        documents = self._documents
        withheld = pl.Series(["", _WITHHELD], dtype=pl.String).gather(self.withheld.astype(np.int64))
        html = joined(
            '<div xmlns="http://www.w3.org/1999/xhtml"><h1>General Practice Summary</h1>'
            f'<p id="Disclaimer">{_DISCLAIMER}</p>',
            withheld,
            '<p id="CreateTime">Summary Created: ',
            documents.shown,
            '</p><p id="Author">Created by: ',
            documents.author,
            '</p><p id="Practice">Practice: ',
            documents.practice,
            f"</p>{_CLOSE}",
        )
        heading = pl.Series(["General Practice Summary"] * self._count, dtype=pl.String)
        self._add(np.arange(self._count, dtype=np.int64), "Title", heading, (html, quoted(html)))

    def _variant(self, rows: I64, code: str, last: Flags) -> None:
        """One section for these documents: a variant, closed by the time of sending where it is the last."""
        if not len(rows):
            return
        library, where = _library(), self._documents.where[rows]
        number = (CODES.index(code) * len(BANDS) + self._documents.band[rows]) * VARIANTS
        number += self._draws.below(f"variant {code}", where, VARIANTS)
        end = self._endings.gather(np.where(last, rows + 1, 0))
        texts = joined(library.html.gather(number), end), joined(library.quoted.gather(number), quoted(end))
        self._add(rows, code, self._titles(code, rows), texts)
        counts = library.row_count[number]
        owner = np.repeat(rows, counts)
        offset = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        fields = library.rows[np.repeat(library.row_start[number], counts) + offset]
        self._rows.add(owner, {name: fields[name] for name in fields.columns})

    def _titles(self, code: str, rows: I64) -> pl.Series:
        """Titles; medication sections name their period in months up to the day of writing."""
        if code not in _PERIODS:
            return pl.Series([title(code)] * len(rows), dtype=pl.String)
        months, days = _PERIODS[code]
        day = self._documents.day[rows]
        start = f"{title(code)} (For the {months} month period "
        return joined(start, shown_days(day - days), " to ", shown_days(day), ")")

    def _add(self, rows: I64, code: str, titles: pl.Series, texts: tuple[pl.Series, pl.Series]) -> None:
        """Add a section: struct, and JSON text in the order of sections ("" where a document has none)."""
        html, inside = texts
        self._sections.add(rows, {"code": code, "title": titles, "html": html})
        start = "" if code == "Title" else ","
        coding = f'","code":{{"coding":[{{"code":"{code}","display":"'
        text = '"}]},"text":{"status":"generated","div":"'
        made = joined(f'{start}{{"title":"', titles, coding, titles, text, inside, '"}}')
        if len(rows) < self._count:
            made = pl.Series([""] * self._count, dtype=pl.String).scatter(rows, made)
        self.json.append(made)

    def columns(self) -> dict[str, pl.Series]:
        """sections, section_rows and the two flags."""
        return {
            "sections": self._sections.column_of(self._count),
            "section_rows": self._rows.column_of(self._count),
            "has_additional_information": pl.Series(self.further > 0),
            "has_withheld_items": pl.Series(self.withheld),
        }
