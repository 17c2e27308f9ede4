"""Figures, falls, page and charts of match quality, from verdicts made by hand."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

import pytest

from search_api.matching.questions import Mode, Question
from tests.performance.figures import Figure
from tests.performance.quality import candidate_tables, measures, report
from tests.performance.quality.cases import Query, Ranked
from tests.performance.quality.judge import Verdict, judge

ASKED = Question(Mode.WIDE)
CONDITIONS = {"hardware": "a machine", "commit": "abc", "seed": 1}


def _verdict(right: int, wrong: int, absent: int = 10) -> Verdict:
    """``right`` people found and certain, ``wrong`` not found, ``absent`` about whom nothing is said."""
    found = [Ranked(1, 20.0, 0.9999, "certain")]
    queries = [Query("q", ASKED, 1, "twins", ("nickname",))] * (right + wrong) + [
        Query("q", ASKED, None, "twins", ())
    ] * absent
    return judge(queries, [found] * right + [[]] * (wrong + absent))


def _figures(rival: str, right: int, wrong: int, size: int = 100) -> list[Figure]:
    return [*measures.figures(rival, "own_hard", _verdict(right, wrong)), measures.people("own_hard", size)]


def _store(figures: list[Figure]) -> dict[str, dict[str, Any]]:
    return {figure.name: {**asdict(figure), **CONDITIONS} for figure in figures}


def test_figures_have_the_names_that_others_rely_on() -> None:
    ours = {figure.name: figure for figure in _figures("ours", 9, 1)}
    assert ours["match.own_hard.right_first"].value == 0.9
    assert ours["match.own_hard.certain_recall"].of == 10
    assert ours["match.own_hard.certain_precision"].must == 0.9995
    assert ours["match.own_hard.stratum.twins.right_first"].of == 10
    assert ours["match.own_hard.error.nickname.recall_200"].value == 0.9
    rival = {figure.name for figure in _figures("splink", 9, 1)}
    assert "match.splink.own_hard.right_first" in rival
    assert all(0 <= figure.value <= 1 for figure in ours.values() if figure.unit == "share")


def test_shares_of_nothing_are_no_figures() -> None:
    names = {figure.name for figure in measures.figures("ours", "febrl4", _verdict(0, 3, absent=0))}
    assert "match.febrl4.right_first" in names
    assert "match.febrl4.certain_precision" not in names
    assert "match.febrl4.absent_certain" not in names


def test_a_fall_beyond_noise_is_told_and_one_within_is_not() -> None:
    old = _store(_figures("ours", 9900, 100))
    assert measures.falls(old, _figures("ours", 9895, 105)) == []
    told = measures.falls(old, _figures("ours", 9700, 300))
    assert any(line.startswith("match.own_hard.right_first: 0.9900 of 10,000 before (abc), 0.9700") for line in told)
    assert any(line.startswith("match.own_hard.stratum.twins.right_first") for line in told)
    assert measures.falls(old, _figures("ours", 9990, 10)) == []


def test_more_false_alarms_are_a_fall_too() -> None:
    quiet = _verdict(10, 0, absent=5000)
    loud = _verdict(10, 0, absent=0)
    for _ in range(5000):
        loud.take(Query("q", ASKED, None, "twins", ()), [Ranked(4, 20.0, 0.9999, "certain")])
    size = measures.people("own_hard", 100)
    old = _store([*measures.figures("ours", "own_hard", quiet), size])
    told = measures.falls(old, [*measures.figures("ours", "own_hard", loud), size])
    assert any(line.startswith("match.own_hard.absent_certain") for line in told)


def test_other_populations_and_rivals_are_not_compared() -> None:
    old = _store(_figures("ours", 9900, 100) + _figures("splink", 9900, 100))
    assert measures.falls(old, _figures("ours", 9000, 1000, size=200)) == []
    assert measures.falls(old, _figures("splink", 9000, 1000)) == []


def test_the_page_shows_what_is_stored() -> None:
    text = report.page(_store(_figures("ours", 1234, 66) + _figures("pds_rules", 900, 400)))
    assert "94.92 %" in text
    assert "1,300" in text
    assert "69.23 %" in text
    assert "**missed**" not in text
    assert "twins: twins at one address" in text


def test_a_missed_promise_stays_in_the_table() -> None:
    verdict = _verdict(50, 0)
    verdict.take(Query("q", ASKED, None, "twins", ()), [Ranked(4, 20.0, 0.9999, "certain")])
    text = report.page(_store(list(measures.figures("ours", "own_hard", verdict))))
    row = next(line for line in text.splitlines() if line.startswith("| `match.own_hard.certain_precision`"))
    assert "98.04 %" in row
    assert row.endswith("| **missed** |")


def test_charts_are_drawings_with_their_text() -> None:
    drawn = report.drawn(_store(_figures("ours", 90, 10) + _figures("splink", 80, 20)))
    for name, text in drawn.items():
        root = ElementTree.fromstring(text)
        assert root.tag.endswith("svg"), name
        assert root.get("role") == "img"
        words = "".join(root.itertext())
        assert "%" in words
    assert "twins" in drawn["match-strata.svg"]
    assert len(re.findall("<circle", drawn["match-strata.svg"])) == 2
    assert "Splink 5" in drawn["match-rivals.svg"]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_dots_lie_where_their_share_is(share: float) -> None:
    right = round(100 * share)
    text = report.drawn(_store(_figures("ours", right, 100 - right)))["match-rivals.svg"]
    dots = [float(x) for x in re.findall(r'<circle cx="([0-9.]+)"', text)]
    low, high = 210, 970
    assert dots[-1] == pytest.approx(low + (high - low) * max(0.0, (share - 0.5) * 2), abs=0.1)


def test_hard_negatives_count_against_certain_and_hide_behind_nothing() -> None:
    """Nine of everybody's ten are certain and right; of the hard set one absent person is taken for another."""
    everybody, hard = _verdict(9, 1), _verdict(500, 0)
    hard.take(Query("q", ASKED, None, "twins", ()), [Ranked(4, 20.0, 0.9999, "certain")])
    figure = measures.negatives("ours", everybody.whole, hard.whole)
    assert (figure.name, figure.of, figure.must) == ("match.own_negatives.certain_precision", 10, 0.9995)
    assert figure.value == 0.9
    assert (
        measures.negatives("splink", everybody.whole, hard.whole).name == "match.splink.own_negatives.certain_precision"
    )
    size = measures.people("own", 100)
    old = _store([measures.negatives("ours", _verdict(9999, 0).whole, _verdict(1, 0).whole), size])
    fallen = measures.negatives("ours", _verdict(9000, 0).whole, hard.whole)
    assert measures.falls(old, [fallen, size]) == [], "one of nine thousand is noise"
    for _ in range(100):
        hard.take(Query("q", ASKED, None, "twins", ()), [Ranked(4, 20.0, 0.9999, "certain")])
    assert len(measures.falls(old, [measures.negatives("ours", _verdict(9000, 0).whole, hard.whole), size])) == 1


def _candidates(name: str, value: float, unit: str = "share") -> dict[str, dict[str, Any]]:
    full = f"match.candidates.{name}"
    return {full: {**asdict(Figure(full, value, unit, "a meaning")), **CONDITIONS}}


def test_costs_of_kinds_of_keys_stand_beside_what_they_bring() -> None:
    store = _candidates("own.recall_50", 0.99) | _candidates("own.mean_50", 12.5, "people")
    store |= _candidates("own.recall_200", 0.9999) | _candidates("own.mean_200", 20.25, "people")
    for kind, size in (("sounds", 3.5), ("email", 40.0)):
        store |= _candidates(f"{kind}.bytes", size, "B") | _candidates(f"{kind}.people", 0.5)
        store |= _candidates(f"own.without_{kind}.recall_200", 0.9899)
    lines = list(candidate_tables.section(store))
    assert "| own | 99.00 % | 12.50 | 99.99 % | 20.25 |" in lines
    costs = [line for line in lines if line.startswith(("| email", "| sounds", "| all"))]
    assert [line.split("|")[1].strip() for line in costs] == ["email", "sounds", "all"], "the dearest first"
    assert "98.99 % (-1.00)" in costs[0]
    assert "43.50" in costs[2]
    assert "a machine; commit abc; seed 1." in "\n".join(lines)
    assert list(candidate_tables.section({})) == []
