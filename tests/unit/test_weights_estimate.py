"""Estimating weights: known shares are found again, and what was hardly seen keeps its bits."""

from __future__ import annotations

import random
from dataclasses import replace

import polars as pl
import pytest

from assets.weights.estimate import Counted, Rules, count, estimate
from assets.weights.pairs import SESSIONS, Session
from assets.weights.splink_model import learn, require_splink
from schemas.errors import Refused
from search_api.matching.weights import Level, shipped

TRUE, RANDOM = 4_000, 8_000
KNOWN = {
    "given": {"exact": (0.80, 0.01), "nickname": (0.07, 0.01), "close": (0.08, 0.03), "other": (0.05, 0.95)},
    "birth_date": {"exact": (0.93, 0.01), "one_digit": (0.05, 0.02), "other": (0.02, 0.97)},
    "sex": {"exact": (0.99, 0.5), "other": (0.01, 0.5)},
    "postcode": {"exact": (0.55, 0.01), "same_outcode": (0.25, 0.09), "other": (0.2, 0.9)},
}


def _levels() -> dict[str, dict[str, Level]]:
    return {
        name: {level: Level(name, level, 1 / len(each), u, False) for level, (_, u) in each.items()}
        for name, each in KNOWN.items()
    }


def _pairs(seed: int = 3) -> pl.DataFrame:
    """Pairs by the known shares, a tenth of the postcodes missing."""
    dice = random.Random(seed)
    columns: dict[str, list[str | None]] = {}
    for name, each in KNOWN.items():
        columns[name] = [
            *dice.choices(list(each), [m for m, _ in each.values()], k=TRUE),
            *dice.choices(list(each), [u for _, u in each.values()], k=RANDOM),
        ]
    columns["postcode"] = [None if dice.random() < 0.1 else level for level in columns["postcode"]]
    return pl.DataFrame(columns)


def test_known_shares_are_found_again() -> None:
    pytest.importorskip("splink")
    found = learn(_pairs(), _levels(), 4)
    assert found.pairs == TRUE + RANDOM
    assert found.matches == pytest.approx(TRUE, rel=0.03)
    for name, each in KNOWN.items():
        for level, (m, _) in each.items():
            assert found.m[name, level] == pytest.approx(m, abs=0.02), (name, level)


def _counted() -> Counted:
    dice = random.Random(1)
    return count(
        pl.DataFrame(
            {name: dice.choices(list(each), [u for _, u in each.values()], k=20_000) for name, each in KNOWN.items()}
        )
        for _ in range(2)
    )


def test_random_pairs_are_counted_where_they_say_something() -> None:
    counted = count([pl.DataFrame({"sex": ["exact", "other", None]}), pl.DataFrame({"sex": ["exact", None, None]})])
    assert counted.said == {"sex": 3}
    assert counted.u(("sex", "exact")) == pytest.approx(2 / 3)
    assert counted.u(("sex", "never")) > 0


def test_what_was_seen_is_trained_and_the_rest_keeps_its_bits() -> None:
    pytest.importorskip("splink")
    weights, rules = shipped(), Rules()

    def of(session: Session) -> pl.DataFrame:
        pairs = _pairs()
        return pairs.with_columns(
            *(pl.lit(None, pl.String()).alias(name) for name in session.used if name not in KNOWN)
        )

    found = estimate(weights, _counted(), of, rules, past=False)
    assert set(found.levels) == {(name, level) for name, each in weights.levels.items() for level in each}
    digit = found.levels["birth_date", "one_digit"]
    assert digit.source == "trained"
    assert digit.level.m == pytest.approx(0.05, abs=0.015)
    assert digit.level.u == pytest.approx(0.02, abs=0.004)
    exact = found.levels["given", "exact"]
    assert exact.source == "trained"
    assert exact.level.u == weights.levels["given"]["exact"].u, "a name's own share is its u"
    for key in (("family", "close"), ("birth_date", "two_parts"), ("name_order", "swapped"), ("email", "exact")):
        kept = found.levels[key]
        assert kept.source.startswith("kept"), key
        assert kept.level == weights.levels[key[0]][key[1]]
    assert {name for name, told in found.sessions.items() if told["pairs"]} == {session.name for session in SESSIONS}


def test_history_teaches_no_birth_dates() -> None:
    pytest.importorskip("splink")
    asked: list[str] = []

    def of(session: Session) -> pl.DataFrame:
        asked.append(session.name)
        return _pairs().with_columns(
            *(pl.lit(None, pl.String()).alias(name) for name in session.used if name not in KNOWN)
        )

    found = estimate(shipped(), _counted(), of, Rules(), past=True)
    assert "postcode and family name" not in asked
    assert found.levels["birth_date", "one_digit"].source == "kept: nothing taught it"
    assert found.levels["postcode", "other"].source == "trained"


def test_a_level_does_not_move_too_far_at_once() -> None:
    pytest.importorskip("splink")

    def of(session: Session) -> pl.DataFrame:
        return _pairs().with_columns(
            *(pl.lit(None, pl.String()).alias(name) for name in session.used if name not in KNOWN)
        )

    found = estimate(shipped(), _counted(), of, replace(Rules(), most_bits=0.1), past=False)
    assert found.levels["birth_date", "exact"].source == "kept: would move too far"


def test_without_splink_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.weights.splink_model.find_spec", lambda _name: None)
    with pytest.raises(Refused, match="extra train"):
        require_splink()
