"""The judge of match quality against cases counted by hand."""

from __future__ import annotations

import math

import pytest

from search_api.matching.questions import Mode, Question
from tests.performance.quality.cases import Query, Ranked
from tests.performance.quality.judge import EDGES, Tally, judge
from tests.performance.quality.statistic import Share, difference, f1, fell

ASKED = Question(Mode.WIDE)


def _query(truth: int | None, stratum: str = "twins", *errors: str) -> Query:
    return Query("q", ASKED, truth, stratum, errors)


def _ranked(number: int, probability: float = 0.9, grade: str = "probable") -> Ranked:
    return Ranked(number, 1.0, probability, grade)


def test_shares_of_five_questions_counted_by_hand() -> None:
    """Present: right and certain; right but second; not found. Absent: called certain; nobody shown."""
    queries = [_query(1), _query(2), _query(3), _query(None), _query(None)]
    rankings = [
        [_ranked(1, 1.0, "certain")],
        [_ranked(9), _ranked(2)],
        [],
        [_ranked(8, 1.0, "certain")],
        [],
    ]
    shares = judge(queries, rankings).whole.shares
    assert {name: (share.right, share.of) for name, share in shares.items()} == {
        "right_first": (1, 3),
        "recall_50": (2, 3),
        "recall_200": (2, 3),
        "certain_recall": (1, 3),
        "certain_precision": (1, 2),
        "absent_certain": (1, 2),
        "absent_probable": (1, 2),
    }


def test_f1_is_the_harmonic_mean_and_not_half_of_it() -> None:
    """Sensitivity 0.837 and precision 1.0 make 0.911; 0.4556 was once published for it."""
    assert f1(1.0, 0.837) == pytest.approx(0.9113, abs=1e-4)
    assert f1(1.0, 1.0) == 1.0
    assert f1(0.0, 0.0) == 0.0
    assert Tally(present=1000, certain=837, certain_right=837).f1 == pytest.approx(0.9113, abs=1e-4)


def test_a_wrong_certain_for_somebody_present_costs_precision() -> None:
    tally = judge([_query(1)], [[_ranked(7, 1.0, "certain"), _ranked(1)]]).whole
    assert (tally.certain, tally.certain_right, tally.right, tally.in_50) == (1, 0, 0, 1)


def test_what_is_not_shown_is_never_first_but_counts_for_recall() -> None:
    tally = judge([_query(1)], [[_ranked(1, 0.0, "certainly-not")]]).whole
    assert (tally.right, tally.in_50, tally.in_200) == (0, 1, 1)


def test_recall_looks_at_the_first_fifty_and_the_first_two_hundred() -> None:
    others = [_ranked(100 + at) for at in range(200)]
    at_51 = [*others[:50], _ranked(1)]
    at_201 = [*others, _ranked(1)]
    tally = judge([_query(1), _query(1)], [at_51, at_201]).whole
    assert (tally.in_50, tally.in_200) == (0, 1)


def test_groups_count_what_belongs_to_them() -> None:
    queries = [
        _query(1, "twins", "nickname", "moved_house"),
        _query(2, "dead"),
        _query(3, "dead", "nickname", "nickname"),
    ]
    verdict = judge(queries, [[_ranked(1)], [_ranked(2)], []])
    assert {name: tally.present for name, tally in verdict.strata.items()} == {"twins": 1, "dead": 2}
    assert {name: tally.present for name, tally in verdict.errors.items()} == {
        "nickname": 2,
        "moved_house": 1,
        "none": 1,
    }
    assert verdict.errors["nickname"].right == 1


def test_one_ranking_a_question() -> None:
    with pytest.raises(ValueError, match="shorter"):
        judge([_query(1), _query(2)], [[_ranked(1)]])


def test_calibration_of_three_claims_counted_by_hand() -> None:
    """Two claims of 0.8, one right; one of 0.4, wrong: (2/3) * |0.8 - 0.5| + (1/3) * |0.4 - 0|."""
    queries = [_query(1), _query(None), _query(5), _query(6)]
    found = judge(queries, [[_ranked(1, 0.8)], [_ranked(2, 0.8)], [_ranked(4, 0.4)], []]).calibration
    assert found.error == pytest.approx(2 / 3 * 0.3 + 1 / 3 * 0.4)
    assert [each.count for each in found.bins if each.count] == [1, 2]


@pytest.mark.parametrize("probability", [*EDGES[1:], 1.0])
def test_a_claim_at_an_edge_belongs_to_the_bin_that_begins_there(probability: float) -> None:
    bins = judge([_query(1)], [[_ranked(1, probability)]]).calibration.bins
    place = next(at for at, each in enumerate(bins) if each.count)
    assert EDGES[place] <= probability
    assert place + 1 == len(EDGES) or probability < EDGES[place + 1]


def test_wilson_interval_of_published_cases() -> None:
    """Newcombe 1998: 81 of 263, and 0 of 20."""
    assert Share(81, 263).interval() == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert Share(0, 20).interval() == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert Share(0, 0).interval() == (0.0, 1.0)
    assert math.isnan(Share(0, 0).value)


def test_difference_of_a_published_case() -> None:
    """Newcombe 1998, method 10: 56 of 70 against 48 of 80 is 0.2, from 0.0524 to 0.3339."""
    assert difference(Share(48, 80), Share(56, 70)) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_only_a_fall_beyond_noise_is_one() -> None:
    assert fell(Share(9950, 10000), Share(9900, 10000))
    assert not fell(Share(9950, 10000), Share(9945, 10000))
    assert not fell(Share(9900, 10000), Share(9950, 10000))
    assert not fell(Share(0, 0), Share(1, 10))
