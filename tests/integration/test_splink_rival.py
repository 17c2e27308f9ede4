"""Splink as a rival, over the smaller public set: it finds nearly everybody, as it is known to."""

from __future__ import annotations

import pytest

from tests.performance.quality.cases import MOST
from tests.performance.quality.febrl import febrl3

pytest.importorskip("splink")


def test_splink_finds_nearly_everybody_of_febrl3() -> None:
    from tests.performance.quality.splink_rival import SplinkRival

    labelled = febrl3()
    rival = SplinkRival(chunk=1_000)
    rival.prepare(labelled.people)
    found = list(rival.rank(labelled.queries))
    assert len(found) == len(labelled.queries)
    first = sum(
        bool(each) and each[0].nhs_number == query.truth for each, query in zip(found, labelled.queries, strict=True)
    )
    assert first / len(found) > 0.985
    for each in found:
        assert len(each) <= MOST
        assert [item.weight for item in each] == sorted((item.weight for item in each), reverse=True)
        assert all(0 <= item.probability <= 1 for item in each)
