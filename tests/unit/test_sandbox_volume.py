"""Extracts at volume: headers, attempts that ended early, room on disk, as many changes as asked for."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from sandbox.extracts.extract import extract
from sandbox.extracts.files import write_parquet
from sandbox.extracts.full import population
from sandbox.extracts.plan import Plan
from sandbox.population.people import People
from sandbox.population.summaries import HEADER_BUNDLE
from schemas.errors import Refused
from schemas.feeds import FEEDS
from tests.lib.sandbox_extracts import rows_of

BASE, PATIENTS, SEED = date(2026, 3, 2), 1_200, 5


def plan(drop: Path, day: int = 0, patients: int = PATIENTS) -> Plan:
    return Plan(drop, patients, SEED, day, BASE, "parquet")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full and the first delta, summaries with documents."""
    folder = tmp_path_factory.mktemp("whole")
    for day in (0, 1):
        extract(plan(folder, day))
    return folder


def headers(drop: Path, day: int = 0) -> Plan:
    return Plan(drop, PATIENTS, SEED, day, BASE, "parquet", "headers")


def read(made: Plan) -> pl.DataFrame:
    """All summaries of a delivery."""
    return pl.read_parquet(made.folder("scr_summary") / "part-00000.parquet")


@pytest.mark.parametrize("day", [0, 1])
def test_headers_are_the_same_summaries_without_documents(whole: Path, day: int, tmp_path: Path) -> None:
    extract(headers(tmp_path, day))
    for feed in ("pds_number_change", "pds_patient"):
        assert rows_of(headers(tmp_path, day).folder(feed)) == rows_of(plan(whole, day).folder(feed))
    found = read(headers(tmp_path, day))
    whole = read(plan(whole, day))
    documents = ["sections", "section_rows", "bundle_json"]
    assert found.drop(documents).equals(whole.drop(documents))
    live = found.filter(pl.col("action") != "delete")
    assert live["bundle_json"].unique().to_list() == [HEADER_BUNDLE]
    assert found["sections"].null_count() == len(found)


def _interrupted(to: Plan, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """An attempt that ends when so many parts are written, the next one half."""
    left = iter(range(after))

    def fails(path: Path, *rest: object) -> object:
        if next(left, None) is None:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        return write_parquet(path, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr("sandbox.extracts.delivery.write_parquet", fails)
        with pytest.raises(KeyboardInterrupt):
            extract(to)


@pytest.mark.parametrize("after", range(8))
def test_an_interrupted_attempt_is_gone_on_with(after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.extracts.parts._PARQUET", {"patients": (150, 50), "documents": (100, 50)})
    whole = extract(plan(tmp_path / "whole", patients=400))
    torn = plan(tmp_path / "torn", patients=400)
    _interrupted(torn, monkeypatch, after)
    kept = {path: path.stat().st_ino for path in torn.drop.rglob("part-*.parquet") if path.read_bytes() != b"half"}
    assert len(kept) == after
    assert extract(torn) == whole
    assert {path: path.stat().st_ino for path in kept} == kept
    assert not list(torn.drop.rglob("*.making"))
    assert sum(1 for path in torn.drop.rglob("*") if path.is_file()) == sum(len(one.files) for one in whole) + len(
        FEEDS
    )


def test_another_plan_keeps_nothing_of_an_interrupted_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.extracts.parts._PARQUET", {"patients": (150, 50), "documents": (100, 50)})
    _interrupted(plan(tmp_path / "torn", patients=400), monkeypatch, 0)
    other = extract(plan(tmp_path / "torn", patients=200))
    assert other == extract(plan(tmp_path / "alone", patients=200))
    # What another plan delivered is no part of this one.
    torn = plan(tmp_path / "more", patients=400)
    _interrupted(torn, monkeypatch, 2)
    with pytest.raises(Refused, match="already"):
        extract(plan(tmp_path / "more", patients=200))


def test_a_damaged_part_of_an_interrupted_attempt_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.extracts.parts._PARQUET", {"patients": (150, 50), "documents": (100, 50)})
    torn = plan(tmp_path / "torn", patients=400)
    _interrupted(torn, monkeypatch, 3)
    (torn.folder("pds_patient") / "part-00001.parquet").write_bytes(b"damaged")
    assert extract(torn) == extract(plan(tmp_path / "whole", patients=400))


def test_an_extract_that_does_not_fit_is_refused_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.extracts.space.shutil.disk_usage", lambda _path: SimpleNamespace(free=100_000))
    with pytest.raises(Refused, match=r"about 0\.1 GB"):
        extract(plan(tmp_path, patients=200_000))
    assert not list(tmp_path.rglob("part-*"))


@pytest.mark.parametrize("changes", [10, 200])
def test_a_day_has_about_as_many_changes_as_asked_for(changes: int, tmp_path: Path) -> None:
    for day in (1, 2):
        made = extract(Plan(tmp_path, 4_000, SEED, day, BASE, "parquet", changes=changes))
        assert made[1].record_count == pytest.approx(changes, rel=0.3, abs=8)
        assert made[2].record_count <= changes * 1.3 + 8


def test_many_scattered_people_are_who_they_are_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.population.people._MOST_BLOCKS", 3)
    index = np.array([5_000, 64, 65, 9_999, 64, 700, 6_400, 128, 20_000], dtype=np.int64)
    some = population(SEED).chosen(index)
    one_by_one = [population(SEED).chosen(index[place : place + 1]) for place in range(len(index))]
    for name in People.__dataclass_fields__:
        alone = np.concatenate([getattr(person, name) for person in one_by_one])
        assert getattr(some, name).tolist() == alone.tolist()
