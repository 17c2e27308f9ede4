"""A record's text says its columns, says nothing of NULL ones, and depends on nothing else."""

from __future__ import annotations

from typing import Any

import orjson
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.replica.told import record_lines

TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ROWS = st.fixed_dictionaries(
    {
        "version": st.none() | st.integers(1, 2**40),
        "name": TEXTS,
        "lines": st.none() | st.lists(TEXTS, max_size=3),
        "place": st.none() | st.fixed_dictionaries({"city": TEXTS, "code": st.none() | st.integers()}),
        "flag": st.none() | st.booleans(),
    }
)
SCHEMA = {
    "version": pl.Int64(),
    "name": pl.String(),
    "lines": pl.List(pl.String()),
    "place": pl.Struct({"city": pl.String(), "code": pl.Int64()}),
    "flag": pl.Boolean(),
}
_SMALLEST = -(2**63)


def texts(rows: list[dict[str, Any]]) -> list[str]:
    lines = record_lines(pl.DataFrame(rows, schema=SCHEMA)).to_list()
    assert all(line.endswith("\n") for line in lines)
    return [line[:-1] for line in lines]


def fits(row: dict[str, Any]) -> bool:
    code = (row["place"] or {}).get("code")
    return code is None or _SMALLEST <= code < -_SMALLEST


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(ROWS.filter(fits), min_size=1, max_size=12))
def test_the_text_is_the_record_without_its_nulls_whatever_it_came_with(rows: list[dict[str, Any]]) -> None:
    together = texts(rows)
    assert together == [text for row in rows for text in texts([row])]
    for row, text in zip(rows, together, strict=True):
        assert orjson.loads(text) == {name: value for name, value in row.items() if value is not None}
        assert list(orjson.loads(text)) == [name for name in SCHEMA if row[name] is not None]
        assert "\n" not in text, "a block holds a text a line"
