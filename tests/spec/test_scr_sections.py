"""What an SCR section shows: the rules of services.md 2.4, one table a rule."""

from __future__ import annotations

import pytest

from schemas.fhir.scr_dates import shown_date
from schemas.fhir.scr_sections import ADDITIONAL_HEADERS, ADDITIONAL_TITLES, WITHHELD_IDS, read_section
from tests.lib import summaries as s

NOT_CONTENT = sorted({"Disclaimer", "CreateTime", "Author", "Practice", "SendTime"} | WITHHELD_IDS)


def named(html: str, code: str = "DiagnosesHeader") -> list[list[tuple[str | None, str]]]:
    return [[(cell["column"], cell["text"]) for cell in row["cells"]] for row in read_section(code, html).rows]


def test_columns_come_from_the_header_row() -> None:
    html = s.div(s.table("Diagnoses", ("Description", "Hex", "Date"), ("Asthma", "x", "18-Sept-2023")))
    assert named(html) == [[("Description", "Asthma"), ("Hex", "x"), ("Date", "18-Sept-2023")]]


def test_a_header_row_without_thead_counts() -> None:
    html = s.div(
        "<table id='A'><tr><th>Date</th><th>Description</th></tr><tr><td>2020</td><td>Asthma</td></tr></table>"
    )
    assert named(html) == [[("Date", "2020"), ("Description", "Asthma")]]


def test_without_a_header_row_cells_have_no_column() -> None:
    assert named(s.div("<table id='A'><tr><td>2020</td><td>Asthma</td></tr></table>")) == [
        [(None, "2020"), (None, "Asthma")]
    ]


def test_a_row_longer_than_its_header_is_not_misread() -> None:
    html = s.div(s.table("A", ("Date",), ("2020", "Asthma")))
    assert named(html) == [[("Date", "2020"), (None, "Asthma")]]


def test_continued_rows_keep_their_column_and_spanning_cells_have_none() -> None:
    more = (
        '<tr class="oddRow"><td colspan="2"/><td>Reason for Medication: Viral headache</td><td colspan="2"/></tr>'
        '<tr class="oddRow"><td/><td colspan="4">***Date Discontinued: 25 Mar 2020***</td></tr>'
    )
    rows = s.table("DiscRepeatMeds", s.MEDICATION, ("Repeat Medication", "25 Mar 2020", "Aspirin", "one", "60"))
    found = named(s.div(rows.replace("</tbody>", f"{more}</tbody>")))
    assert found[1] == [("Medication Item", "Reason for Medication: Viral headache")]
    assert found[2] == [("Type", ""), (None, "***Date Discontinued: 25 Mar 2020***")]


def test_rows_are_numbered_within_the_section_and_name_their_table() -> None:
    html = s.div(s.table("A", ("Date",), ("2020",), ("2021",)), s.table("B", ("Date",), ("2022",)))
    rows = read_section("DiagnosesHeader", html).rows
    assert [(row["header"], row["table"], row["row_no"]) for row in rows] == [
        ("DiagnosesHeader", "A", 1),
        ("DiagnosesHeader", "A", 2),
        ("DiagnosesHeader", "B", 3),
    ]


def test_a_table_inside_a_cell_is_not_read_twice() -> None:
    inner = s.table("B", ("Value",), ("5",))
    html = s.div(s.table("A", ("Date", "Description"), ("2020", inner)))
    assert [[cell["column"] for cell in row["cells"]] for row in read_section("ResultsHeader", html).rows] == [
        ["Date", "Description"],
        ["Value"],
    ]


def test_the_empty_section_text_is_no_row() -> None:
    reading = read_section("DiagnosesHeader", s.div(s.empty_table("Diagnoses", s.THREE)))
    assert (reading.rows, reading.has_content) == ([], False)


@pytest.mark.parametrize("code", sorted(ADDITIONAL_HEADERS))
def test_each_of_the_18_headers_with_a_table_is_additional_information(code: str) -> None:
    assert len(ADDITIONAL_HEADERS) == 18
    assert len(set(ADDITIONAL_TITLES.values())) == 18
    html = s.div(s.table(code.removesuffix("Header"), s.FOUR, ("01 Apr 2020", "Something", "", "")))
    assert read_section(code, html).has_content


@pytest.mark.parametrize(
    "code",
    ["Title", "AllergiesHeader", "AcuteMedsHeader", "RepeatMedsHeader", "DiscRepeatMedsHeader", "OtherHeader", None],
)
def test_core_and_unknown_headers_are_not(code: str | None) -> None:
    assert not read_section(code, s.div(s.table("T", s.FOUR, ("2020", "x", "", "")))).has_content


@pytest.mark.parametrize("element_id", NOT_CONTENT)
def test_ids_that_do_not_count(element_id: str) -> None:
    assert not read_section("ProblemsHeader", s.div(s.statement(element_id, "Some words"))).has_content


@pytest.mark.parametrize("element_id", ["Problems", "SomethingElse", "withheldCREItemsStatement"])
def test_any_other_id_counts_on_whatever_element(element_id: str) -> None:
    assert read_section("ProblemsHeader", s.div(s.statement(element_id, "Some words"))).has_content


def test_an_element_without_id_does_not_count() -> None:
    assert not read_section("ProblemsHeader", s.div("<p>Some words</p>")).has_content


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (s.statement("WithheldCREItemsHeaderStatement", s.WITHHELD), True),
        (s.statement("WithheldCREItemsStatement", s.WITHHELD), True),
        (s.statement("WithhedItemsStatment", s.WITHHELD), True),
        (f"<p>{s.WITHHELD}</p>", True),
        ("<p>One or more entries have been withheld from this GP Summary.</p>", True),
        (s.statement("SendTime", "Summary Sent: 30 Apr 2020 16:13"), False),
        (s.statement("Problems", "Information was withheld by the patient."), False),
    ],
)
@pytest.mark.parametrize("code", ["Title", "CircumstancesHeader"])
def test_withheld_statements(code: str, html: str, expected: bool) -> None:
    reading = read_section(code, s.div(html))
    assert reading.has_withheld is expected


def test_a_self_closed_element_does_not_swallow_what_follows() -> None:
    html = s.div('<p id="CreateTime"/>', s.statement("Author", "Created by: SMITH, Sean (Mr)"))
    assert read_section("Title", html).statements == {"CreateTime": "", "Author": "Created by: SMITH, Sean (Mr)"}


@pytest.mark.parametrize(
    "html",
    [
        "",
        "plain",
        "<div",
        "<table><tr><td colspan='x'>a</td></tr></table>",
        "<p id=''/>",
        "\x00<b>",
        "<td colspan='99999'>",
    ],
)
def test_odd_mark_up_is_read_without_failing(html: str) -> None:
    assert not read_section("DiagnosesHeader", html).has_withheld


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("12-May-2020", "2020-05-12"),
        ("30 Apr 2020 16:13", "2020-04-30T16:13"),
        ("14-May-2020 14:31", "2020-05-14T14:31"),
        ("18-Sept-2023", "2023-09-18"),
        ("Prescribed: 12-May-2020", "2020-05-12"),
        ("Last Issued: 02 Jan 2020", "2020-01-02"),
        ("Authorised (not issued): 26 Mar 2020", "2020-03-26"),
        ("May 2020", "2020-05"),
        ("2020", "2020"),
        ("1/2/2020", "2020-02-01"),
        ("31-Feb-2020", None),
        ("12-Foo-2020", None),
        ("Recorded: 2019", "2019"),
        ("", None),
        ("Asthma", None),
        ("60 tablet", None),
    ],
)
def test_dates_in_their_several_forms(shown: str, expected: str | None) -> None:
    assert shown_date(shown) == expected
