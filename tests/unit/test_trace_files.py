"""Files of a trace: encodings, delimiters, headers, odd rows, parquet; and what is refused, with line and rule."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from schemas.errors import FileRefused, Refused
from search_api.trace.columns import ANSWER, REQUEST
from search_api.trace.csv_form import CsvForm
from search_api.trace.form import Form, check_target, inspect

HEAD = "UNIQUE REFERENCE,FAMILY_NAME,GIVEN_NAME\r\n"
WIDTH = len(ANSWER)


def form_of(tmp_path: Path, content: bytes, name: str = "rows.csv") -> Form:
    (tmp_path / name).write_bytes(content)
    return inspect(tmp_path / name)


def through(tmp_path: Path, content: bytes, size: int = 2, name: str = "rows.csv") -> bytes:
    """The file with marks in the added columns, chunk by chunk, as a run would write it."""
    form = form_of(tmp_path, content, name)
    parts = []
    for chunk in form.chunks(tmp_path / name, size):
        part = tmp_path / f"{chunk.index}.part"
        part.write_bytes(form.written(chunk, [["x"] * WIDTH] * chunk.count))
        parts.append(part)
    form.join(parts, tmp_path / "whole")
    return (tmp_path / "whole").read_bytes()


def used(tmp_path: Path, content: bytes) -> list[tuple[str, ...] | None]:
    form = form_of(tmp_path, content)
    return [row for chunk in form.chunks(tmp_path / "rows.csv", 2) for row in form.fields(chunk)]


def refusal(tmp_path: Path, content: bytes) -> tuple[str, str]:
    with pytest.raises(FileRefused) as caught:
        form_of(tmp_path, content)
    return caught.value.rule, caught.value.message


def test_the_same_rows_come_back_with_the_columns_added(tmp_path: Path) -> None:
    text = HEAD + 'R1,"O\'Brien, née ""X""",Zoë\r\nR2,"two\r\nlines",\r\nR3,,\r\n'
    back = list(csv.reader(io.StringIO(through(tmp_path, text.encode()).decode(), newline="")))
    assert back[0] == ["UNIQUE REFERENCE", "FAMILY_NAME", "GIVEN_NAME", *ANSWER]
    assert [row[:3] for row in back[1:]] == [
        ["R1", 'O\'Brien, née "X"', "Zoë"],
        ["R2", "two\r\nlines", ""],
        ["R3", "", ""],
    ]
    assert all(row[3:] == ["x"] * WIDTH for row in back[1:])


@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "|", "\t", ";"])
def test_encodings_endings_and_delimiters_are_kept(tmp_path: Path, delimiter: str, encoding: str, ending: str) -> None:
    lines = [["UNIQUE REFERENCE", "FAMILY_NAME"], ["R1", "Müller"], ["R2", "Núñez"], ["R3", "Ó"]]
    content = "".join(delimiter.join(line) + ending for line in lines).encode(encoding)
    added = "".join(
        delimiter.join([*line, *(["x"] * WIDTH if place else ANSWER)]) + ending for place, line in enumerate(lines)
    )
    assert through(tmp_path, content) == added.encode(encoding)


def test_names_of_columns_in_any_case_order_and_spelling(tmp_path: Path) -> None:
    (row,) = used(
        tmp_path, b'post_code,surprise,Unique Reference,nhs number,"family_name "\nLS1 6AE,?,R1,9000000009,Smith\n'
    )
    assert row is not None
    assert [value for value in row if value] == ["R1", "9000000009", "Smith", "LS1 6AE"]


def test_a_file_without_names_has_the_columns_of_the_dictionary(tmp_path: Path) -> None:
    values = ["R1", "9000000009", "Smith", "Jane", *[""] * (len(REQUEST) - 4)]
    (row,) = used(tmp_path, ",".join(values).encode())
    assert row is not None
    assert row[:4] == ("R1", "9000000009", "Smith", "Jane")
    assert through(tmp_path, ",".join(values).encode()).decode() == ",".join([*values, *["x"] * WIDTH]) + "\r\n"


def test_the_predecessors_file_keeps_its_first_record(tmp_path: Path) -> None:
    head = "MPTREQ_20261125100000,SPINE_MPTPHASE4_TRACE,20261125100000,1\n"
    row = ",".join(["R1", "", "Smith", *[""] * (len(REQUEST) - 3)])
    assert through(tmp_path, (head + row + "\n").encode()).decode() == f"{head}{row},{','.join(['x'] * WIDTH)}\n"


def test_rows_of_another_width_are_kept_and_told_apart(tmp_path: Path) -> None:
    content = (HEAD + "R1\r\n\r\nR3,a,b,c,d\r\nR4,a,b\r\n").encode()
    form = form_of(tmp_path, content)
    (chunk,) = form.chunks(tmp_path / "rows.csv", 10)
    assert [row is None for row in form.fields(chunk)] == [True, True, True, False]
    assert [form.surplus(chunk, row) for row in range(3)] == [False, False, True]
    back = list(csv.reader(io.StringIO(through(tmp_path, content).decode(), newline="")))
    assert [row[:3] for row in back[1:]] == [["R1", "", ""], ["", "", ""], ["R3", "a", "b,c,d"], ["R4", "a", "b"]]
    assert {len(row) for row in back} == {3 + WIDTH}


@pytest.mark.parametrize(
    ("content", "rule", "line"),
    [
        (b"", "empty", ""),
        (HEAD.encode(), "no_rows", ""),
        (b"NAME,OTHER\nSecretson,b\n", "header", "Line 1"),
        (b"UNIQUE REFERENCE,NHS_NO,nhs-no\nR1,2,3\n", "column_twice", "NHS_NO"),
        (b"UNIQUE REFERENCE,MATCHED_NHS_NO\nR1,2\n", "answered_already", "MATCHED_NHS_NO"),
        ((HEAD + 'R1,"Secretson,b\r\nR2,c,d\r\n').encode(), "quotes", "Line 3"),
        ((HEAD + 'R1,a,b\r\nR2,"Secretson"x,b\r\n').encode(), "quotes", "Line 3"),
        ((HEAD + "R1," + "S" * 200_000 + ",b\r\n").encode(), "quotes", "Line 2"),
        (HEAD.encode() + b"R1,\xe9\x81,b\r\n", "encoding", "line"),
    ],
)
def test_a_whole_file_that_is_refused(tmp_path: Path, content: bytes, rule: str, line: str) -> None:
    said, text = refusal(tmp_path, content)
    assert said == rule
    assert line in text
    assert "Secret" not in text


def test_parquet_comes_back_with_its_own_columns(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "UNIQUE REFERENCE": [1, 2, 3],
            "NHS_NO": [9000000009, None, 9000000025],
            "DATE_OF_BIRTH": [date(2010, 10, 22), None, date(2005, 6, 16)],
            "FAMILY_NAME": ["Smith", None, "Smythe"],
            "extra": [[1], [2, 3], None],
        }
    )
    frame.write_parquet(tmp_path / "rows.parquet")
    form = inspect(tmp_path / "rows.parquet")
    rows = [row for chunk in form.chunks(tmp_path / "rows.parquet", 2) for row in form.fields(chunk) if row]
    assert [tuple(value for value in row if value) for row in rows] == [
        ("1", "9000000009", "Smith", "2010-10-22"), ("2",), ("3", "9000000025", "Smythe", "2005-06-16"),
    ]  # fmt: skip
    back = pl.read_parquet(io.BytesIO(through(tmp_path, (tmp_path / "rows.parquet").read_bytes(), name="rows.parquet")))
    assert back.columns == [*frame.columns, *ANSWER]
    assert back.select(frame.columns).equals(frame)
    assert back["OUTCOME"].to_list() == ["x"] * 3


def test_parquet_that_is_none_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, b"PAR1 and no more")[0] == "parquet"


def test_numbers_that_a_tool_made_fractions_of(tmp_path: Path) -> None:
    pl.DataFrame({"UNIQUE REFERENCE": ["a"], "NHS_NO": [9000000009.0]}).write_parquet(tmp_path / "rows.parquet")
    form = inspect(tmp_path / "rows.parquet")
    (chunk,) = form.chunks(tmp_path / "rows.parquet", 5)
    assert "9000000009" in (form.fields(chunk)[0] or ())


def test_an_answer_has_the_form_of_its_question(tmp_path: Path) -> None:
    form = form_of(tmp_path, (HEAD + "R1,a,b\r\n").encode())
    assert isinstance(form, CsvForm)
    check_target(form, tmp_path / "any.txt")
    with pytest.raises(Refused):
        check_target(form, tmp_path / "any.parquet")
