"""Sections of an SCR document: rows of their tables, statements by id, and the two flags.

Belongs here: reading what a section's XHTML shows. Does not belong here: sanitising
(``narrative.py``), the document around it (``scr.py``).
Source: services.md 2.4. Columns are read from the header row, never by position: published
examples differ in their columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

from selectolax.lexbor import LexborHTMLParser, LexborNode

from schemas.fhir.narrative import as_html
from schemas.fhir.values import Json

# The 18 additional-information headers and their exact titles.
ADDITIONAL_TITLES = {
    "DiagnosesHeader": "Diagnoses",
    "ProblemsHeader": "Problems and Issues",
    "ObservationsHeader": "Clinical Observations and Findings",
    "ResultsHeader": "Investigation Results",
    "InvestigationsHeader": "Investigations",
    "TreatmentsHeader": "Treatments",
    "EventsHeader": "Care Events",
    "ProceduresHeader": "Administrative Procedures",
    "AdviceHeader": "Provision of Advice and Information to Patients and Carers",
    "PreferencesHeader": "Personal Preferences",
    "RisksToPatientHeader": "Risks to Patient",
    "RisksToProfessionalHeader": "Risks to Care Professional or Third Party",
    "HistoryHeader": "Family History",
    "LifestyleHeader": "Lifestyle",
    "CircumstancesHeader": "Social and Personal Circumstances",
    "DocumentationHeader": "Care Professional Documentation",
    "PatientCarerCorrespondenceHeader": "Patient/Carer Correspondence",
    "ServicesHeader": "Services, Care Professionals and Carers",
}
ADDITIONAL_HEADERS = frozenset(ADDITIONAL_TITLES)
# The last one is a published misspelling; all three are the statement that entries are withheld.
WITHHELD_IDS = frozenset({"WithheldCREItemsHeaderStatement", "WithheldCREItemsStatement", "WithhedItemsStatment"})
_NOT_CONTENT_IDS = WITHHELD_IDS | {"Disclaimer", "CreateTime", "Author", "Practice", "SendTime"}
# With and without "deliberately": both are published.
_WITHHELD_TEXTS = (
    "entries have been deliberately withheld from this GP Summary",
    "entries have been withheld from this GP Summary",
)
EMPTY_TEXT = "No relevant information available for this category."


@dataclass(frozen=True)
class SectionReading:
    """What one section shows: rows (SECTION_ROW structs), text by id, whether a flag is earned."""

    rows: list[Json]
    statements: dict[str, str]
    has_content: bool
    has_withheld: bool


def _shown(node: LexborNode) -> str:
    return " ".join((node.text(separator=" ") or "").split())


def _span(cell: LexborNode) -> int:
    value = cell.attributes.get("colspan")
    if value is None or not value.isascii() or not value.strip().isdigit() or len(value) > 4:
        return 1
    # HTML's own limit.
    return max(1, min(int(value), 1000))


def _cells(row: LexborNode) -> list[LexborNode]:
    return [node for node in row.iter() if node.tag in ("td", "th")]


def _own_rows(table: LexborNode) -> list[LexborNode]:
    """The rows of a table without those of tables inside its cells."""
    rows = []
    for part in table.iter():
        if part.tag == "tr":
            rows.append(part)
        elif part.tag in ("thead", "tbody", "tfoot"):
            rows.extend(node for node in part.iter() if node.tag == "tr")
    return rows


def _is_header(row: LexborNode) -> bool:
    cells = _cells(row)
    return bool(cells) and all(cell.tag == "th" for cell in cells)


def _columns(header: LexborNode) -> list[str | None]:
    """Column names by place; a heading over several columns names each of them."""
    names: list[str | None] = []
    for cell in _cells(header):
        names.extend([_shown(cell) or None] * _span(cell))
    return names


def _row_cells(row: LexborNode, columns: list[str | None]) -> list[Json]:
    """Cells with the name of their column; one that runs over several columns has no name."""
    found, place = [], 0
    for cell in _cells(row):
        span, shown = _span(cell), _shown(cell)
        if span == 1:
            column = columns[place] if place < len(columns) else None
            found.append({"column": column, "text": shown})
        elif shown:
            found.append({"column": None, "text": shown})
        place += span
    return found


def _table_rows(header: str | None, table: LexborNode, numbers: Iterable[int]) -> list[Json]:
    columns: list[str | None] = []
    found = []
    steps = iter(numbers)
    for row in _own_rows(table):
        if _is_header(row):
            columns = _columns(row)
            continue
        cells = _row_cells(row, columns)
        if not any(cell["text"] for cell in cells) or [cell["text"] for cell in cells if cell["text"]] == [EMPTY_TEXT]:
            continue
        found.append({"header": header, "table": table.attributes.get("id"), "row_no": next(steps), "cells": cells})
    return found


def _has_content(node: LexborNode) -> bool:
    """Whether an element with an id of its own shows more than that there is nothing to show.

    The published rule looks at ids alone; a section that says it is empty is no information, so
    it does not count here. Published examples have no such additional-information section.
    """
    shown = _shown(node)
    return bool(shown) and not shown.endswith(EMPTY_TEXT)


def read_section(header: str | None, html: str) -> SectionReading:
    """What a section shows. ``header`` is its code; rows are numbered from 1 within it."""
    tree = LexborHTMLParser(as_html(html))
    numbers = count(1)
    rows: list[Json] = []
    for table in tree.css("table"):
        rows.extend(_table_rows(header, table, numbers))
    statements: dict[str, str] = {}
    has_content = False
    for node in tree.css("[id]"):
        name = (node.attributes.get("id") or "").strip()
        if node.tag != "table":
            statements.setdefault(name, _shown(node))
        has_content = has_content or (name != "" and name not in _NOT_CONTENT_IDS and _has_content(node))
    body = _shown(tree.body) if tree.body is not None else ""
    withheld = not WITHHELD_IDS.isdisjoint(statements) or any(sentence in body for sentence in _WITHHELD_TEXTS)
    return SectionReading(rows, statements, has_content and header in ADDITIONAL_HEADERS, withheld)
