"""Rules judged at the least cost mark the same rows as each rule asked of every row."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quality import marks
from quality.catalogue import rules_of
from quality.glance import Glance
from quality.marks import marks_of
from quality.rule import Context
from quality.rules.json_text import with_verdicts
from schemas.feeds import FEEDS
from schemas.types import Kind, ListOf, Scalar, Struct
from tests.lib.extracts import AS_AT, NUMBERS, frame, patient

ODD_TEXTS = (
    *(
        "",
        "A",
        "BABY",
        "Baby Smith",
        " unknown.",
        "Zoë",
        "Mar\x00low",
        "tab\tis well",
        "line\r\nend",
        "del\x7f",
        "\x1f",
    ),
    *("é\x0b", "\x85 is no C0 control", "x" * 10_001, "ZZ99 3VZ", "LS1 4AP", "ls1 4ap", "not a postcode", "Y12345"),
    *("1980", "1980-02-30", "1980-05-02", "1900-01-01", "2999-01-01", "2026-05-03T10:00:00Z", "1700-01-01"),
    *("new", "update", "delete", "U", "current", "hidden", "usual", "home", "phone", "male", "01", "superseded", "Yes"),
    *("{}", "[]", "{", '{"id":"' + NUMBERS[0] + '"}', NUMBERS[0], NUMBERS[1], "9999999999", "9000000000"),
    "00000000-0000-4000-8000-000000000001",
)
SCALARS: dict[Scalar, st.SearchStrategy[object]] = {
    Scalar.INTEGER: st.sampled_from((None, -1, 0, 1, 9, 10)),
    Scalar.BOOLEAN: st.sampled_from((None, True, False)),
    Scalar.TIMESTAMP: st.sampled_from((None, AS_AT, datetime(2999, 1, 1, tzinfo=UTC))),
}


def values(kind: Kind) -> st.SearchStrategy[object]:
    """Values of a kind, odd ones among them."""
    if isinstance(kind, ListOf):
        return st.none() | st.lists(values(kind.item), max_size=2)
    if isinstance(kind, Struct):
        return st.none() | st.fixed_dictionaries({name: values(part) for name, part in kind.parts})
    return SCALARS.get(kind, st.none() | st.sampled_from(ODD_TEXTS))


def frames(feed: str) -> st.SearchStrategy[pl.DataFrame]:
    """Frames of a feed with few rows, whose values repeat."""
    row = st.fixed_dictionaries({field.name: values(field.kind) for field in FEEDS[feed].fields})
    return st.lists(row, min_size=1, max_size=6).map(lambda rows: frame(feed, [*rows, *rows]))


def asked_of_each_row(feed: str, rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    tests = [rule.broken(context).fill_null(value=False).alias(rule.name) for rule in rules_of(feed)]
    return with_verdicts(rows, tests).select(pl.int_range(pl.len()).alias("row"), *tests).drop("row")


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize("kind", ["full", "delta"])
def test_the_same_rows_are_marked(feed: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Small enough for frames of a few rows to go every way.
    monkeypatch.setattr(marks, "_LOOK", 3)
    monkeypatch.setattr(marks, "_FEW", 1)
    context = Context(kind, AS_AT)

    @settings(max_examples=60, derandomize=True, deadline=None)
    @given(frames(feed))
    def same(rows: pl.DataFrame) -> None:
        assert marks_of(rows, rules_of(feed), context).equals(asked_of_each_row(feed, rows, context))

    same()


def test_many_rows_are_marked_as_few_are() -> None:
    base = [patient(index) for index in range(60)]
    base[7] |= {"gender": "?", "birth_date": "1900-01-01"}
    base[8]["names"][0]["family"] = "BABY"
    base[9]["addresses"][0]["lines"] = ["1 Mill\x00Lane"]
    base[10]["addresses"][0]["lines"] = ["1 Mill\tLane"]
    rows = pl.concat([frame("pds_patient", base)] * 400)
    found = marks_of(rows, rules_of("pds_patient"), Context("full", AS_AT))
    assert found.equals(asked_of_each_row("pds_patient", rows, Context("full", AS_AT)))
    counts = {name: int(found[name].sum()) for name in found.columns if found[name].any()}
    expected = ("CONTROL_CHARACTER", "GENDER_UNKNOWN", "PLACEHOLDER_NAME", "PLACEHOLDER_BIRTH_DATE")
    assert counts == dict.fromkeys(expected, 400)


def test_no_rows_have_no_marks() -> None:
    found = marks_of(frame("pds_patient", []), rules_of("pds_patient"), Context("full", AS_AT))
    assert found.is_empty()
    assert found.columns == [rule.name for rule in rules_of("pds_patient")]


@pytest.mark.parametrize(
    ("text", "longest", "control"),
    [
        ("plain", 5, False),
        ("Zoë", 4, False),
        ("a\tb\r\nc", 6, False),
        ("a\x0bb", 3, True),
        ("\x7f", 1, True),
        ("\x85", 2, False),
        (None, 0, False),
        ("", 0, False),
        ("\x00", 1, True),
    ],
)
@pytest.mark.parametrize("place", ["column", "part", "list"])
def test_a_glance_sees_every_text(text: str | None, longest: int, control: bool, place: str) -> None:
    told: dict[str, object] = {"column": text, "part": {"text": text}, "list": [{"text": [text]}, None]}
    seen = Glance(pl.DataFrame({"found": [told[place], None]})).texts("found")
    assert (seen.longest, seen.control) == (longest, control)


def test_distinct_parts_are_those_of_every_item() -> None:
    rows = frame("pds_patient", [patient(0), patient(1), patient(0), patient(2, names=None), patient(3, names=[])])
    assert sorted(Glance(rows).distinct("names", "family")) == ["O'Marlow0", "O'Marlow1"]
    assert sorted(Glance(rows).distinct("names", "given")) == ["Wren0", "Wren1", "Zoë"]
