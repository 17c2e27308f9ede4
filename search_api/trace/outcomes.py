"""What may become of a row, and the codes that say so.

Belongs here: the cases and the reader of ``outcomes.json``. Does not belong here: deciding which case a row is
(``asking.py`` and ``rows.py``), a code as a literal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import resources
from pathlib import Path

from schemas.errors import ConfigurationError


class Outcome(Enum):
    """What became of a row."""

    CROSS_CHECKED = "cross_checked"
    FOUND = "found"
    SUPERSEDED = "superseded"
    RESTRICTED = "restricted"
    INVALIDATED = "invalidated"
    UNCERTAIN = "uncertain"
    AMBIGUOUS = "ambiguous"
    NOT_FOUND = "not_found"
    NO_REFERENCE = "no_reference"
    TOO_LONG = "too_long"
    WRONG_GENDER = "wrong_gender"
    WRONG_FORMAT = "wrong_format"
    TOO_LITTLE = "too_little"
    TOO_MANY_FIELDS = "too_many_fields"


class Way(Enum):
    """How the row's own NHS number stood to the search."""

    NO_NUMBER = "without_number"
    NUMBER_FAILED = "number_failed"
    CROSS_CHECKED = "cross_checked"
    MERGED = "merged"


GIVEN = frozenset({Outcome.CROSS_CHECKED, Outcome.FOUND, Outcome.SUPERSEDED, Outcome.RESTRICTED})
_COUNT = {Outcome.FOUND: "single", Outcome.RESTRICTED: "single", Outcome.AMBIGUOUS: "multiple"}


@dataclass(frozen=True)
class Codes:
    """The codes of each case."""

    version: str
    codes: dict[Outcome, str]
    results: dict[tuple[Way, str], str]
    algorithm: dict[str, str]

    def result(self, outcome: Outcome, way: Way) -> str:
        """The code of the earlier batch trace."""
        if way in (Way.CROSS_CHECKED, Way.MERGED):
            return self.results[way, ""]
        return self.results[way, _COUNT.get(outcome, "none")]

    @classmethod
    def load(cls, path: Path | None = None) -> Codes:
        """Read the table, by default the one shipped. Raises ConfigurationError where a case has no code."""
        source = path or resources.files(__package__).joinpath("outcomes.json")
        try:
            raw = json.loads(source.read_text("utf-8"))
            results = {(way, ""): raw["results"][way.value] for way in (Way.CROSS_CHECKED, Way.MERGED)}
            for way in (Way.NO_NUMBER, Way.NUMBER_FAILED):
                results |= {(way, count): code for count, code in raw["results"][way.value].items()}
            codes = {outcome: raw["outcomes"][outcome.value]["code"] for outcome in Outcome}
            return cls(raw["version"], codes, results, raw["algorithm"])
        except (KeyError, ValueError, AttributeError) as error:
            raise ConfigurationError(
                f"The table of trace outcomes lacks a case ({type(error).__name__}).",
                remedy="Compare it with search_api/trace/outcomes.json.",
            ) from None


@cache
def shipped() -> Codes:
    """The table that ships with the code, read once."""
    return Codes.load()
