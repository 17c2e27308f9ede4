"""Narratives are served without anything that acts, and as well-formed XHTML."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.fhir.narrative import as_html, sanitised, with_sanitised_narratives
from tests.lib import summaries as s

_PIECES = st.sampled_from(
    ["<div>", "</div>", "<p id='a'>", "<p/>", "</p>", "<table>", "<tr><td/>", "</table>", "<br>", "<br/>", "<script>", "alert(1)",
     "</script>", "<img src=x onerror=alert(1)>", "<a href='javascript:x'>", "</a>", "&nbsp;", "&lt;", "<!--", "-->", "<svg>",
     "<style>", "<math><mtext>", "\x0b", "\ud800", "<![CDATA[", "]]>", "x", "<p title='a<b'>", "<", ">", "&", "\""]
)  # fmt: skip


@pytest.mark.parametrize(
    ("dangerous", "gone"),
    [
        ("<script>alert(1)</script>", "alert"),
        ("<style>p{background:url(https://example.org)}</style>", "background"),
        ('<p onclick="alert(1)">x</p>', "onclick"),
        ('<p style="color:red">x</p>', "style"),
        ('<a href="https://example.org">x</a>', "href"),
        ('<a href="javascript:alert(1)">x</a>', "javascript"),
        ('<img src="https://example.org/p.png"/>', "img"),
        ('<iframe src="https://example.org"></iframe>', "iframe"),
        ('<form action="/x"><input name="a"/></form>', "input"),
        ("<!-- secret -->", "secret"),
        ('<svg><animate onbegin="alert(1)"/></svg>', "alert"),
        ('<object data="x"></object>', "object"),
        ('<link rel="stylesheet" href="x"/>', "link"),
        ('<table background="https://example.org/x"><tr><td>a</td></tr></table>', "background"),
    ],
)
def test_what_acts_or_links_is_gone(dangerous: str, gone: str) -> None:
    clean = sanitised(s.div("<p>before</p>", dangerous, "<p>after</p>"))
    assert gone not in clean
    assert "<p>before</p>" in clean
    assert "<p>after</p>" in clean


def test_text_of_a_removed_link_stays() -> None:
    assert sanitised(s.div('<a href="https://example.org">Leaflet</a>')) == s.div("Leaflet")


@pytest.mark.parametrize(
    "html",
    [section["text"]["div"] for section in [s.title_section(), *s.core_sections(), s.diagnoses_section()]]
    + [s.div('<ul><li>a</li></ul><h2 id="x">b</h2><p class="HighlightedStatement">c</p>')],
)
def test_tables_ids_lists_and_headings_stay(html: str) -> None:
    assert sanitised(html) == as_html(html)


def test_cells_keep_their_spans() -> None:
    assert 'colspan="5"' in sanitised(s.div(s.empty_table("T", s.MEDICATION)))


@pytest.mark.parametrize(
    "html", ["", "text", "<p>a</p>", "<div>a</div><div>b</div>", "<div><div>a</div></div>", "</div>"]
)
def test_the_result_is_one_div(html: str) -> None:
    root = ET.fromstring(sanitised(html))
    assert root.tag == f"{{{s.XHTML}}}div"


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(_PIECES, max_size=14).map("".join))
def test_any_mark_up_becomes_well_formed_and_harmless(html: str) -> None:
    clean = sanitised(html)
    root = ET.fromstring(clean)
    assert root.tag == f"{{{s.XHTML}}}div"
    for node in root.iter():
        assert node.tag.rpartition("}")[2] not in {"script", "style", "img", "a", "svg", "math"}
        assert not {"style", "href", "src", "onerror"} & set(node.attrib)
    assert sanitised(clean) == clean


def test_self_closed_elements_are_closed_in_full() -> None:
    assert as_html('<td/><td colspan="2"/><br/><p id="a/b"/>') == '<td></td><td colspan="2"></td><br/><p id="a/b"></p>'


def test_narratives_are_cleaned_wherever_they_are() -> None:
    bundle = {
        "entry": [{"resource": {"text": {"status": "generated", "div": "<p onclick='x'>a</p>"}, "id": "1"}}],
        "n": [1, None],
    }
    clean = with_sanitised_narratives(bundle)
    assert clean["entry"][0]["resource"] == {"text": {"status": "generated", "div": s.div("<p>a</p>")}, "id": "1"}
    assert clean["n"] == [1, None]
    assert bundle["entry"][0]["resource"]["text"]["div"] == "<p onclick='x'>a</p>"  # type: ignore[index]
