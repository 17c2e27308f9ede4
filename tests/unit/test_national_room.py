"""Disk and memory of a national run: what is free, what a home takes, what may leave the drop folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from schemas.errors import Refused
from schemas.generation import INDEX_NAME
from tests.performance.national import room
from tests.performance.national.__main__ import sizes
from tests.performance.national.stages import chosen

BLOCK = 4096


def _file(path: Path, size: int = BLOCK) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return path


def test_enough_of_both_is_let_pass(tmp_path: Path) -> None:
    room.require(tmp_path, "index", 0.0, 0.0)


@pytest.mark.parametrize(("disk", "memory", "words"), [(1e9, 0.0, "of disk"), (0.0, 1e9, "of memory")])
def test_too_little_is_refused_before_the_stage_starts(tmp_path: Path, disk: float, memory: float, words: str) -> None:
    with pytest.raises(Refused, match=f"index needs about 1000000000.0 GB {words}"):
        room.require(tmp_path, "index", disk, memory)


def test_memory_is_what_the_kernel_says_programs_can_get(tmp_path: Path) -> None:
    table = tmp_path / "meminfo"
    table.write_text("MemTotal:  24000000 kB\nMemFree:  100 kB\nMemAvailable:   2000000 kB\n")
    assert room.available_gb(table) == pytest.approx(2.048)


def test_a_file_with_two_names_takes_its_disk_once(tmp_path: Path) -> None:
    first = _file(tmp_path / "landing" / "part", 100 * BLOCK)
    alone = room.used_gb(tmp_path)
    (tmp_path / "validated").mkdir()
    os.link(first, tmp_path / "validated" / "part")
    (tmp_path / "elsewhere").symlink_to(first)
    assert room.used_gb(tmp_path) == alone == pytest.approx(100 * BLOCK / 1e9, rel=0.1)
    _file(tmp_path / "validated" / "more", 100 * BLOCK)
    assert room.used_gb(tmp_path) == pytest.approx(2 * alone, rel=0.1)


def test_a_file_that_goes_while_it_is_counted_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = _file(tmp_path / "kept")
    alone = room.used_gb(tmp_path)
    monkeypatch.setattr(room.os, "walk", lambda _folder: [(str(tmp_path), [], [kept.name, "gone"])])
    assert room.used_gb(tmp_path) == alone


def test_only_what_has_landed_leaves_the_drop_folder(tmp_path: Path) -> None:
    landed, waiting = (Path("pds_patient", "PDS", name) for name in ("00000001", "00000002"))
    for place in (landed, waiting):
        _file(tmp_path / "drop" / place / "part-00000.parquet", 2000)
        _file(tmp_path / "drop" / place / "manifest.json", 10)
    _file(tmp_path / "landing" / landed / "manifest.json", 10)
    assert room.spare_drop(tmp_path) == pytest.approx(2000 / 1e9)
    left = sorted(str(path.relative_to(tmp_path / "drop")) for path in (tmp_path / "drop").rglob("*.*"))
    assert left == [f"{landed}/manifest.json", f"{waiting}/manifest.json", f"{waiting}/part-00000.parquet"]
    assert room.spare_drop(tmp_path) == 0.0


def test_a_home_without_a_drop_folder_has_nothing_to_spare(tmp_path: Path) -> None:
    assert room.spare_drop(tmp_path) == 0.0


def test_the_disk_of_an_index_is_its_folder_alone(tmp_path: Path) -> None:
    newest = tmp_path / "generations" / "000001-abc"
    for part in (INDEX_NAME, "records"):
        _file(newest / part / "whole")
    _file(newest / "manifest.json")
    found = sizes(tmp_path, chosen(["publish"])[0])
    assert found == {"generation_gb": 3 * BLOCK / 1e9, "index_gb": BLOCK / 1e9}
