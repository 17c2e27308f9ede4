"""Trace files for tests: rows of the cast as a sender would write them, and answers read back.

Belongs here: writing and reading. Does not belong here: what is expected.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from search_api.access.context import AccessMode, Caller
from search_api.settings import Settings
from search_api.trace.running import Order, Result, trace_file
from tests.lib import cast

NAMES = ("UNIQUE REFERENCE", "NHS_NO", "FAMILY_NAME", "GIVEN_NAME", "GENDER", "DATE_OF_BIRTH", "POST_CODE")
CALLER = Caller(AccessMode.APPLICATION, "a tester", "tests", None, None, None, frozenset())

Row = Mapping[str, str]

JANE: Row = {
    "FAMILY_NAME": "Smith",
    "GIVEN_NAME": "Jane",
    "GENDER": "2",
    "DATE_OF_BIRTH": "20101022",
    "POST_CODE": "LS1 6AE",
}
CUTHBERT: Row = {
    "FAMILY_NAME": "Cuthbert", "GIVEN_NAME": "Joseph", "GENDER": "1", "DATE_OF_BIRTH": "19880412", "POST_CODE": "DN15 8JY",
}  # fmt: skip
JANET: Row = {"FAMILY_NAME": "Smythe", "GIVEN_NAME": "Janet", "DATE_OF_BIRTH": "20050616"}
BILL: Row = {"FAMILY_NAME": "Blogs", "GIVEN_NAME": "Joe", "DATE_OF_BIRTH": "19551105", "POST_CODE": "DN15 7QW"}
MARY: Row = {"FAMILY_NAME": "Cuff", "GIVEN_NAME": "Mary", "DATE_OF_BIRTH": "19260107"}
CROWD: Row = {"FAMILY_NAME": "Crowdson", "GIVEN_NAME": "Pat", "DATE_OF_BIRTH": "19800517"}


def text_of(rows: Iterable[Row], names: Sequence[str] = NAMES) -> str:
    """A file of these rows; a row without a reference gets one."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, names, restval="")
    writer.writeheader()
    for place, row in enumerate(rows):
        writer.writerow({"UNIQUE REFERENCE": f"R{place}", **row})
    return out.getvalue()


def answers(content: str) -> list[dict[str, str]]:
    """The rows of an answer by column."""
    return list(csv.DictReader(io.StringIO(content, newline="")))


def many(count: int) -> list[Row]:
    """Rows that meet every case, again and again."""
    kinds: list[Row] = [
        {**JANE, "NHS_NO": cast.JANE}, CUTHBERT, JANET, BILL, {**MARY, "NHS_NO": cast.OLD}, CROWD,
        {"FAMILY_NAME": "Nobody", "GIVEN_NAME": "Nora", "DATE_OF_BIRTH": "19010101"},
        {"FAMILY_NAME": "Only"}, {**JANE, "GENDER": "Z"}, {**CUTHBERT, "NHS_NO": cast.GONE},
    ]  # fmt: skip
    return [{**kinds[place % len(kinds)], "UNIQUE REFERENCE": f"R{place:05d}"} for place in range(count)]


def traced(settings: Settings, source: Path, *, restart: bool = False) -> tuple[Result, Path]:
    """Trace a file beside itself; what it came to, and the answer."""
    target = source.with_name(f"{source.stem}.traced{source.suffix}")
    order = Order(source, target, source.with_name(".work"), CALLER, "a test", restart)
    return trace_file(settings, order), target
