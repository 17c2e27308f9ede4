"""What becomes of a row of a batch trace, one row a rule: pds.md 1.11 and 1.9, on the cast's generation.

Belongs here: outcome, codes, number, levels of single rows. Does not belong here: files, processes, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from search_api.index.engines import index_engine
from search_api.matching.relatives import COMPARISON as RELATIVES
from search_api.matching.weights import shipped as weights
from search_api.opened import Generation
from search_api.settings import Settings
from search_api.sources import generation_source
from search_api.trace.asking import Tracer
from search_api.trace.cells import cells
from search_api.trace.columns import ANSWER, LEVELS, USED
from search_api.trace.outcomes import Codes, Outcome
from search_api.trace.processes import pinned
from search_api.trace.rows import read
from search_api.trace.rules import TraceRules
from tests.lib import cast
from tests.lib.trace_files import BILL, CROWD, CUTHBERT, JANE, JANET, MARY, Row

Cells = dict[str, str]


@pytest.fixture(scope="module")
def generation(served: Settings) -> Iterator[Generation]:
    current = generation_source(served, index_engine(served)).current()
    assert current is not None
    with pinned(served, current.generation) as opened:
        yield opened


def trace(generation: Generation, row: Row, **rules: Any) -> Cells:
    """The answer of one row by column."""
    given = {"POSTCODE" if name == "POST_CODE" else name: value for name, value in row.items()}
    fields = [{"UNIQUE_REFERENCE": "R1", **given}.get(column.name, "") for column in USED]
    chosen = TraceRules.of(Settings(**rules))
    (found,) = Tracer(generation, chosen).trace([read(fields)])
    return dict(zip(ANSWER, cells(found, chosen), strict=True))


def said(answer: Cells) -> tuple[str, str, str, str]:
    """Outcome, both codes, and the number."""
    return answer["OUTCOME"], answer["ERROR_SUCCESS_CODE"], answer["TRACE_RESULT_CODE"], answer["MATCHED_NHS_NO"]


FOUND: list[tuple[str, Row, tuple[str, str, str, str]]] = [
    ("number, birth date and name", {**JANE, "NHS_NO": cast.JANE}, ("cross_checked", "00", "30", cast.JANE)),
    ("number and birth date alone", {"NHS_NO": cast.JANE, "DATE_OF_BIRTH": "2010-10-22"}, ("cross_checked", "00", "30", cast.JANE)),
    ("a number as it is printed", {**JANE, "NHS_NO": "900 000 0009"}, ("cross_checked", "00", "30", cast.JANE)),
    ("another family name by marriage", {**JANE, "FAMILY_NAME": "Brown", "NHS_NO": cast.JANE}, ("cross_checked", "00", "30", cast.JANE)),
    ("a superseded number", {**MARY, "NHS_NO": cast.OLD}, ("superseded", "90", "40", cast.NEW)),
    ("a chain of superseded numbers", {**MARY, "NHS_NO": cast.OLDER}, ("superseded", "90", "40", cast.NEW)),
    ("a restricted patient by number", {**JANET, "NHS_NO": cast.JANET}, ("restricted", "92", "30", cast.JANET)),
    ("a superseded number of a restricted patient", {**JANET, "NHS_NO": cast.FORMER_JANET}, ("restricted", "92", "40", cast.JANET)),
    ("no number, one certain person", CUTHBERT, ("found", "00", "20", cast.CUTHBERT)),
    ("a number that fails its check digit", {**CUTHBERT, "NHS_NO": cast.BAD_DIGIT}, ("found", "00", "33", cast.CUTHBERT)),
    ("a number nobody has", {**CUTHBERT, "NHS_NO": cast.UNKNOWN}, ("found", "00", "33", cast.CUTHBERT)),
    ("somebody else's number", {**CUTHBERT, "NHS_NO": cast.JANE}, ("found", "00", "33", cast.CUTHBERT)),
    ("an invalidated number, another certain person", {**CUTHBERT, "NHS_NO": cast.GONE}, ("found", "00", "33", cast.CUTHBERT)),
    ("an invalidated number, nobody else", {"NHS_NO": cast.GONE, "DATE_OF_BIRTH": "19510203"}, ("invalidated", "91", "31", "")),
    ("previous name and address", BILL, ("found", "00", "20", cast.BILL)),
    ("sixty of one name and birthday", CROWD, ("ambiguous", "97", "22", "")),
    ("sixty, and a number that picks none of them", {**CROWD, "NHS_NO": cast.UNKNOWN}, ("ambiguous", "97", "32", "")),
    ("nobody", {"FAMILY_NAME": "Zzyzx", "GIVEN_NAME": "Quill", "DATE_OF_BIRTH": "19440404"}, ("not_found", "98", "21", "")),
    ("nobody, with a number", {"FAMILY_NAME": "Zzyzx", "NHS_NO": cast.UNKNOWN, "DATE_OF_BIRTH": "19440404"}, ("not_found", "98", "31", "")),
]  # fmt: skip

REFUSED: list[tuple[str, Row, tuple[str, str, str]]] = [
    ("no reference", {**JANE, "UNIQUE_REFERENCE": " "}, ("no_reference", "08", "UNIQUE_REFERENCE")),
    ("a long family name", {**JANE, "FAMILY_NAME": "A" * 36}, ("too_long", "11", "FAMILY_NAME")),
    ("no gender of the list", {**JANE, "GENDER": "3"}, ("wrong_gender", "12", "GENDER")),
    ("a date in another order", {**JANE, "DATE_OF_BIRTH": "22/10/2010"}, ("wrong_format", "13", "DATE_OF_BIRTH")),
    ("a day that is none", {**JANE, "DATE_OF_BIRTH": "20100230"}, ("wrong_format", "13", "DATE_OF_BIRTH")),
    ("a date of death that is none", {**JANE, "DATE_OF_DEATH": "never"}, ("wrong_format", "13", "DATE_OF_DEATH")),
    ("a control character", {**JANE, "GIVEN_NAME": "Ja\x00ne"}, ("wrong_format", "13", "GIVEN_NAME")),
    ("a family name alone", {"FAMILY_NAME": "Smith"}, ("too_little", "16", "")),
    ("a number alone", {"NHS_NO": cast.JANE}, ("too_little", "16", "")),
    ("nothing but a reference", {}, ("too_little", "16", "")),
]


@pytest.mark.parametrize(("row", "expected"), [case[1:] for case in FOUND], ids=[case[0] for case in FOUND])
def test_a_row_that_is_traced(generation: Generation, row: Row, expected: tuple[str, str, str, str]) -> None:
    assert said(trace(generation, row)) == expected


@pytest.mark.parametrize(("row", "expected"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_row_that_is_not_traced(generation: Generation, row: Row, expected: tuple[str, str, str]) -> None:
    answer = trace(generation, row)
    assert (answer["OUTCOME"], answer["ERROR_SUCCESS_CODE"], answer["REASON"]) == expected
    assert answer["MATCHED_NHS_NO"] == answer["TRACE_RESULT_CODE"] == answer["GRADE"] == ""


def test_why_a_number_was_not_confirmed(generation: Generation) -> None:
    """The twin's number, the twin's birth date and family name: the given name tells them apart."""
    assert trace(generation, {**JANE, "GIVEN_NAME": "Peregrine", "NHS_NO": cast.JANE})["REASON"] == "GIVEN_NAME"
    assert trace(generation, {**JANE, "DATE_OF_BIRTH": "19010203", "NHS_NO": cast.JANE})["REASON"] == "DATE_OF_BIRTH"
    near = {**JANE, "DATE_OF_BIRTH": "20101023", "NHS_NO": cast.JANE}
    assert trace(generation, near)["REASON"] == ""
    assert trace(generation, {**near, "GIVEN_NAME": "Peregrine"})["REASON"] == "DATE_OF_BIRTH"
    assert trace(generation, {**near, "POST_CODE": ""})["REASON"] == "DATE_OF_BIRTH"
    assert trace(generation, {**near, "POST_CODE": "ZZ99 3CZ"})["REASON"] == "DATE_OF_BIRTH"
    assert trace(generation, {**JANE, "NHS_NO": cast.UNKNOWN})["REASON"] == "NHS_NO"
    assert trace(generation, {**JANE, "NHS_NO": cast.JANE})["REASON"] == ""


def test_a_number_that_only_a_slip_kept_from_its_check_weighs(generation: Generation) -> None:
    """Birth date off by a digit, and no place: the number is not confirmed by both names alone, for a neighbour of the
    same names has such a date too; it still picks one of sixty alike among those found."""
    row = {**CROWD, "DATE_OF_BIRTH": "19800518", "NHS_NO": cast.MANY[7]}
    answer = trace(generation, row)
    assert said(answer) == ("found", "00", "33", cast.MANY[7])
    assert answer["REASON"] == "DATE_OF_BIRTH"


def test_a_slip_of_the_birth_date_is_passed_over_with_names_and_place(generation: Generation) -> None:
    row = {**JANE, "DATE_OF_BIRTH": "20101023", "NHS_NO": cast.JANE}
    assert said(trace(generation, row)) == ("cross_checked", "00", "30", cast.JANE)
    assert trace(generation, row, trace_mistaken_birth=False)["REASON"] == "DATE_OF_BIRTH"


def test_a_restricted_patient_is_not_found_by_where_they_live(generation: Generation) -> None:
    placed = trace(generation, {**JANET, "POST_CODE": "LS1 6AE"})
    assert placed["MATCHED_NHS_NO"] == ""
    absent = trace(generation, {**JANET, "FAMILY_NAME": "Smythee", "POST_CODE": "LS1 6AE"})
    assert placed["OUTCOME"] == absent["OUTCOME"]


def test_a_restricted_patient_has_no_level_of_a_location(generation: Generation) -> None:
    answer = trace(generation, {**JANET, "NHS_NO": cast.JANET, "POST_CODE": "LS1 6AE", "GP_PRACTICE_CODE": "Y77777"})
    assert answer["OUTCOME"] == "restricted"
    assert [answer[LEVELS[name]] for name in ("postcode", "address", "gp", "phone", "email")] == [""] * 5


def test_a_very_restricted_patient_is_as_one_who_does_not_exist(generation: Generation) -> None:
    row = {"FAMILY_NAME": "Veiled", "GIVEN_NAME": "Vera", "DATE_OF_BIRTH": "19610304"}
    assert trace(generation, {**row, "NHS_NO": cast.VERA}) == trace(generation, {**row, "NHS_NO": cast.UNKNOWN})


def test_levels_grade_and_what_was_previous(generation: Generation) -> None:
    answer = trace(generation, BILL)
    assert (answer["GRADE"], answer["MATCHED_ALGORITHM_INDICATOR"]) == ("certain", "4")
    assert answer["LEVEL_FAMILY_NAME"] == answer["LEVEL_DATE_OF_BIRTH"] == "exact"
    assert {"family", "given", "postcode"} <= set(answer["MATCHED_ON_PREVIOUS"].split())
    assert float(answer["MATCHED_CONFIDENCE_PERCENTAGE"]) > 99
    assert float(answer["WEIGHT"]) > 0


def test_settings_of_a_trace(generation: Generation) -> None:
    twin = {**JANE, "GIVEN_NAME": "Peregrine", "NHS_NO": cast.JANE}
    assert trace(generation, twin, trace_name_needed=False)["OUTCOME"] == "cross_checked"
    partial = {**JANE, "DATE_OF_BIRTH": "2010", "NHS_NO": cast.JANE}
    assert trace(generation, partial)["OUTCOME"] == "cross_checked"
    assert trace(generation, partial, trace_partial_birth=False)["TRACE_RESULT_CODE"] != "30"
    against = {**CUTHBERT, "NHS_NO": cast.JANE}
    assert said(trace(generation, against, trace_against_number=False))[1:] == ("96", "31", "")
    marks = {"trace_no_match": "0000000000", "trace_several": "9999999999"}
    assert trace(generation, CROWD, **marks)["MATCHED_NHS_NO"] == "9999999999"
    nobody = {"FAMILY_NAME": "Zzyzx", "GIVEN_NAME": "Quill", "DATE_OF_BIRTH": "19440404"}
    assert trace(generation, nobody, **marks)["MATCHED_NHS_NO"] == "0000000000"


def test_everybody_who_may_be_meant_is_seen(generation: Generation) -> None:
    rules = TraceRules.of(Settings())
    fields = [{"UNIQUE_REFERENCE": "R", **CROWD}.get(column.name, "") for column in USED]
    (found,) = Tracer(generation, rules).trace([read(fields)])
    assert found.given is None
    assert len(found.seen) == 50
    assert set(found.seen) <= {int(number) for number in cast.MANY}


def test_every_case_has_a_code_and_every_comparison_a_column() -> None:
    codes = Codes.load()
    assert set(codes.codes) == set(Outcome)
    assert {*weights().levels, RELATIVES} == set(LEVELS)
