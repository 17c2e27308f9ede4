"""Small search indexes from simple dicts of people, in a temporary folder.

Belongs here: builders for tests of matching and of the engines. Does not belong here: assertions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from schemas.fields import FIELDS
from schemas.identifiers import check_digit
from schemas.types import polars_type
from search_api.index.documents import documents
from search_api.index.embedded import EmbeddedEngine
from search_api.index.frequencies import Frequencies
from search_api.index.opensearch import OpenSearchEngine
from search_api.index.provider import IndexPlace, IndexReader, KeyQuery
from search_api.matching.matcher import Matcher
from search_api.matching.questions import Answer, DateRange, Mode, Question
from search_api.matching.rarity import WeighedKey

SCHEMA: dict[str, Any] = {
    "nhs_number": pl.Int64(),
    "security": pl.String(),
    "gender": pl.String(),
    "birth_date": pl.String(),
    "deceased": pl.String(),
    "gp_code": pl.String(),
    **{name: polars_type(FIELDS[name].kind) for name in ("names", "addresses", "telecoms")},
}


def nhs_number(serial: int) -> int:
    """The serial-th valid number of the 900 range, in ascending order of serial (with gaps)."""
    nine = 900_000_000 + serial * 7
    while (digit := check_digit(str(nine))) is None:
        nine += 1
    return nine * 10 + digit


def name(family: str | None, *given: str, state: str = "current", use: str = "usual") -> dict[str, Any]:
    """One name item of the row form."""
    return {"state": state, "use": use, "given": list(given), "family": family}


def address(postcode: str | None, *lines: str, state: str = "current", use: str = "home") -> dict[str, Any]:
    """One address item of the row form."""
    return {"state": state, "use": use, "lines": list(lines), "postcode": postcode}


def telecom(system: str, value: str, state: str = "current") -> dict[str, Any]:
    """One telecom item of the row form."""
    return {"state": state, "system": system, "use": "home", "value": value}


def person(number: int, *names: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A frame row. ``born``, ``gender``, ``security``, ``died``, ``gp``, ``addresses``, ``telecoms``."""
    known = {"born", "gender", "security", "died", "gp", "addresses", "telecoms"}
    if unknown := set(fields) - known:
        raise TypeError(f"unknown fields {sorted(unknown)}")
    return {
        "nhs_number": number,
        "security": fields.get("security", "U"),
        "gender": fields.get("gender"),
        "birth_date": fields.get("born"),
        "deceased": fields.get("died"),
        "gp_code": fields.get("gp"),
        "names": list(names),
        "addresses": list(fields.get("addresses", ())),
        "telecoms": list(fields.get("telecoms", ())),
    }


def frame(people: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """The frame that ``documents`` takes."""
    columns = {column: [row[column] for row in people] for column in SCHEMA}
    return pl.DataFrame(columns, schema=SCHEMA)


def at(folder: Path) -> IndexPlace:
    """An index in this folder."""
    return IndexPlace(folder.parent, folder.name)


def keyed(keys: Iterable[str], *, limit: int, open_only: bool = False, rarity: int = 20) -> KeyQuery:
    """A query of these keys, each once, all of one rarity."""
    return KeyQuery(tuple(WeighedKey(key, rarity) for key in dict.fromkeys(keys)), open_only, limit)


@dataclass(frozen=True)
class Site:
    """An engine and a folder of generations under construction, one a name."""

    engine: EmbeddedEngine | OpenSearchEngine
    folder: Path

    def at(self, name: str) -> IndexPlace:
        """The place of an index."""
        return IndexPlace(self.folder / name / "generation", self.engine.new_location(name))

    def build(self, name: str, rows: pl.DataFrame, frequencies: Frequencies | None = None) -> IndexReader:
        """Build in full, commit and open; close the reader when done."""
        writer = self.engine.create(self.at(name))
        writer.add(documents(rows, frequencies or Frequencies.build([rows])))
        writer.commit()
        return self.engine.open(self.at(name))


@dataclass
class SmallIndex:
    """An open index of a few people, with the matcher to ask it."""

    reader: IndexReader
    frequencies: Frequencies
    matcher: Matcher
    location: Path

    def ask(self, mode: Mode = Mode.FUZZY, **fields: Any) -> Answer:
        """Ask with ``Question`` fields; ``birth`` may be an ISO date; given, phones, emails may be one text."""
        for many in ("given", "phones", "emails", "address_lines"):
            if isinstance(fields.get(many), str):
                fields[many] = (fields[many],)
        for date in ("birth", "death"):
            if isinstance(fields.get(date), str):
                fields[date] = DateRange(fields[date], fields[date])
        return self.matcher.answer(Question(mode=mode, **fields), self.reader, self.frequencies)

    def numbers(self, mode: Mode = Mode.FUZZY, **fields: Any) -> list[int]:
        """NHS numbers of the matches, best first."""
        return [match.nhs_number for match in self.ask(mode, **fields).matches]


def build(
    folder: Path, people: Sequence[Mapping[str, Any]], *, frequencies: Frequencies | None = None, **options: Any
) -> SmallIndex:
    """Build, commit and open an index below ``folder``; close ``reader`` when done."""
    data = frame(people)
    counted = frequencies or Frequencies.build([data])
    engine = EmbeddedEngine()
    writer = engine.create(at(folder / "index"))
    writer.add(documents(data, counted, **options))
    writer.commit()
    return SmallIndex(engine.open(at(folder / "index")), counted, Matcher(), folder / "index")
