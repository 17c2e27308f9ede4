"""Two weights files side by side: what counts as a change, counted by hand."""

from __future__ import annotations

from search_api.matching.questions import Mode, Question
from search_api.matching.weights import shipped
from tests.performance.quality.cases import Query, Ranked
from tests.performance.quality.febrl import febrl3
from tests.performance.quality.judge import Verdict, judge
from tests.performance.quality.weigh import HEAD, compared, rows

ASKED = Question(Mode.WIDE)


def _verdict(certain: int, probable: int, *, absent: int = 0, stratum: str = "twins") -> Verdict:
    """People found, some of them certain; and so many absent people for whom somebody is called certain."""
    sure, likely = Ranked(1, 20.0, 0.9999, "certain"), Ranked(1, 9.0, 0.99, "probable")
    queries = [Query("q", ASKED, 1, stratum, ())] * (certain + probable) + [
        Query("q", ASKED, None, stratum, ())
    ] * absent
    return judge(queries, [[sure]] * certain + [[likely]] * probable + [[sure]] * absent)


def test_a_change_within_noise_has_no_verdict_and_one_beyond_has() -> None:
    found = {(row.group, row.share): row for row in rows("own", _verdict(900, 100), _verdict(700, 300))}
    assert found["own", "certain_recall"].verdict == "worse"
    assert found["own", "right_first"].verdict == ""
    assert found["own, twins", "certain_recall"].verdict == "worse"
    assert ("own, twins", "right_first") not in found, "of groups only what moved is told"
    back = {(row.group, row.share): row for row in rows("own", _verdict(700, 300), _verdict(900, 100))}
    assert back["own", "certain_recall"].verdict == "better"


def test_fewer_false_alarms_are_better() -> None:
    before, after = _verdict(100, 0, absent=200), _verdict(100, 0, absent=200)
    after.whole.absent_certain = 20
    (row,) = [row for row in rows("own", before, after) if row.share == "absent_certain" and row.group == "own"]
    assert row.verdict == "better"


def test_a_line_shows_before_after_and_points() -> None:
    (row,) = [
        row
        for row in rows("own", _verdict(900, 100), _verdict(700, 300))
        if (row.group, row.share) == ("own", "certain_recall")
    ]
    assert str(row).split() == ["own", "certain_recall", "1,000", "90.00%", "70.00%", "-20.00", "worse"]
    assert len(HEAD.split()) == 6


def test_the_same_weights_change_nothing() -> None:
    """Through the real index; a set of the public ones is enough."""
    asked = febrl3()
    few = type(asked)(asked.name, asked.people, asked.queries[:200])
    found = list(compared([[few]], shipped(), shipped()))
    assert {row.share for row in found} >= {"right_first", "certain_recall"}
    assert all(row.before == row.after and not row.verdict for row in found)
