"""A draw of cases: the first, the last, every kind, about the share asked for, the same each time."""

from __future__ import annotations

import pytest

from tests.lib.drawn import WHOLE, draw, whole

KINDS = [*"ab" * 30, "rare", *"ab" * 30]


def test_a_draw_has_first_last_and_every_kind() -> None:
    for seed in range(20):
        drawn = draw(KINDS, 0.1, seed)
        assert {0, len(KINDS) - 1, KINDS.index("rare")} <= set(drawn)
        assert len(drawn) == len(set(drawn)) == round(len(KINDS) * 0.1)
        assert drawn == sorted(drawn)


def test_a_draw_is_the_same_each_time_and_another_with_another_seed() -> None:
    assert draw(KINDS, 0.3, 1) == draw(KINDS, 0.3, 1) != draw(KINDS, 0.3, 2)


def test_kinds_come_before_the_share() -> None:
    assert draw(list("abcdef"), 0.1, 1) == [0, 1, 2, 3, 4, 5]


def test_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, expected in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv(WHOLE, value)
        assert whole() is expected
    monkeypatch.delenv(WHOLE)
    assert not whole()
