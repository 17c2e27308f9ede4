"""Any bytes as a trace file: as many rows out as in, in order, or a refusal that names the rule and never a value."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import FileRefused
from search_api.settings import Settings
from search_api.trace.asking import Traced
from search_api.trace.cells import WIDTH, cells
from search_api.trace.columns import ANSWER, USED
from search_api.trace.csv_form import CsvForm
from search_api.trace.form import Form, inspect
from search_api.trace.outcomes import Outcome, Way
from search_api.trace.rows import Refusal, Row, read
from search_api.trace.rules import TraceRules

RULES = TraceRules.of(Settings())
HEADS = (b"UNIQUE REFERENCE,FAMILY_NAME,DATE_OF_BIRTH\n", b"unique_reference|NHS_NO\r\n", b"UNIQUE REFERENCE\r", b"")
TEXTS = ("empty", "no row", "Line ", "After line ", "column", "parquet")

fields = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
Through = Callable[[bytes], tuple[Form, bytes]]


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory) -> Through:
    """A file from end to end, nobody found for any row. Raises FileRefused."""
    folder: Path = tmp_path_factory.mktemp("any")

    def run(content: bytes) -> tuple[Form, bytes]:
        source = folder / "any"
        source.write_bytes(content)
        form = inspect(source)
        parts = []
        for chunk in form.chunks(source, 3):
            answers = [
                cells(answered(row, form.surplus(chunk, place)), RULES) for place, row in enumerate(form.fields(chunk))
            ]
            parts.append(folder / f"{chunk.index}.part")
            parts[-1].write_bytes(form.written(chunk, answers))
        form.join(parts, folder / "whole")
        return form, (folder / "whole").read_bytes()

    return run


def answered(row: tuple[str, ...] | None, surplus: bool) -> Traced:
    said = Refusal(Outcome.TOO_MANY_FIELDS if surplus else Outcome.TOO_LITTLE) if row is None else read(row)
    if isinstance(said, Refusal):
        return Traced(said.outcome, reason=said.column, refused=True)
    return Traced(Outcome.NOT_FOUND, Way.NUMBER_FAILED if said.sent_number else Way.NO_NUMBER)


def records(content: bytes, form: CsvForm) -> list[list[str]]:
    text = content[len(form.dialect.bom) :].decode(form.dialect.encoding)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=form.dialect.delimiter, strict=True))


def outcome(through: Through, content: bytes) -> tuple[Form, bytes] | FileRefused:
    try:
        return through(content)
    except FileRefused as error:
        return error


@settings(deadline=None)
@given(head=st.sampled_from(HEADS), rest=st.binary(max_size=200))
def test_any_bytes(through: Through, head: bytes, rest: bytes) -> None:
    found = outcome(through, head + rest)
    if isinstance(found, FileRefused):
        assert found.rule
        assert any(text in found.message for text in TEXTS), found.message
        assert found.message.isascii()
        return
    form, whole = found
    assert isinstance(form, CsvForm)
    asked, out = records(head + rest, form), records(whole, form)
    assert len(out) == len(asked) == form.rows + form.dialect.header
    for before, after in list(zip(asked, out, strict=True))[form.dialect.header :]:
        assert len(after) == form.width + WIDTH
        kept = min(len(before), form.width - 1)
        assert after[:kept] == before[:kept]
        assert after[form.width + list(ANSWER).index("OUTCOME")] in {outcome.value for outcome in Outcome}


@settings(deadline=None)
@given(rows=st.lists(st.tuples(fields, fields, fields), min_size=1, max_size=8), ending=st.sampled_from(["\n", "\r\n"]))
def test_any_text_in_any_field_comes_back(through: Through, rows: list[tuple[str, str, str]], ending: str) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["UNIQUE REFERENCE", "FAMILY_NAME", "note"])
    writer.writerows(rows)
    content = out.getvalue().encode()
    if ending == "\n":
        content = content.replace(b'"\r\n', b'"\n')
    form, whole = through(content)
    assert isinstance(form, CsvForm)
    assert [tuple(row[:3]) for row in records(whole, form)[1:]] == rows or ending == "\n"
    assert form.rows == len(rows)


@settings(deadline=None)
@given(st.lists(fields, min_size=len(USED), max_size=len(USED)))
def test_a_row_is_a_question_or_says_which_column(row: list[str]) -> None:
    said = read(row)
    if isinstance(said, Row):
        assert said.question.limit
    else:
        assert said.column in {"", *(column.name for column in USED)}
