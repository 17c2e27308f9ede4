"""Lines, packing, parallel parsing, staged folders and locks, each alone."""

from __future__ import annotations

import gzip
import multiprocessing
import tempfile
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.files import feed_lock, private_folder, staged_folder, write_atomically
from assets.landing.copying import LineCounter, unpacked
from assets.validated.lines import LineFinder, as_text, blocks, lines
from assets.validated.parsing import Job, parse_blocks
from assets.validated.pieces import Piece, frame_rows, frames
from schemas.errors import FileRefused, PassingFault
from schemas.extract import DataFile
from schemas.feeds import FEEDS
from tests.lib.extracts import data_file, frame, patient

FEED = "pds_patient"
TEXT = st.lists(st.sampled_from([b"{}", b"", b" ", b"\r", b"\n", b"\n\n", b"ab", b"\t", b"\x00"]), max_size=30).map(
    b"".join
)


def data(name: str, form: str = "ndjson") -> DataFile:
    return DataFile.model_validate({"name": name, "format": form, "rows": 0, "bytes": 0, "sha256": "0" * 64})


@settings(max_examples=150, derandomize=True, deadline=None)
@given(TEXT, st.integers(1, 7))
def test_lines_are_counted_as_they_are_read_however_the_chunks_fall(content: bytes, size: int) -> None:
    counter = LineCounter()
    for start in range(0, len(content), size):
        counter.add(content[start : start + size])
    assert counter.lines == sum(1 for line in content.split(b"\n") if line.strip())
    assert counter.size == len(content)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(TEXT)
def test_reading_gives_the_lines_that_are_not_blank(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(content)
        found = list(lines(path, packed=False, line_limit=100))
    assert found == [line.strip() for line in content.split(b"\n") if line.strip()]


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 5_000_000])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_unpacking_agrees_with_the_standard_library(size: int, level: int, tmp_path: Path) -> None:
    plain = (bytes(range(256)) * (size // 256 + 1))[:size]
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(plain, level) + gzip.compress(b"tail", level))
    pieces = list(unpacked(path, packed=True))
    assert b"".join(pieces) == plain + b"tail"
    assert max(map(len, pieces)) <= 1 << 20


@pytest.mark.parametrize("cut", [1, 9, 100])
def test_a_cut_gzip_is_refused(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(bytes(range(256)) * 50)[:-cut])
    with pytest.raises(FileRefused, match="FILE_UNPACK"):
        list(unpacked(path, packed=True))


def test_a_line_beyond_the_limit_is_cut_and_the_next_one_whole(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"a" * 5_000_000 + b"\nshort\n" + b"b" * 11)
    assert [len(line) for line in lines(tmp_path / "x", packed=False, line_limit=10)] == [11, 5, 11]


def test_rows_are_numbered_through_all_files_and_found_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1\n\n2\n")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"3\n4"))
    files = [data("a"), data("b.gz", "ndjson.gz")]
    [block] = blocks(tmp_path, files, 100)
    assert (block.first_row, block.lines) == (1, [b"1", b"2", b"3", b"4"])
    finder = LineFinder(tmp_path, files, 100)
    assert finder.find(set()) == {}
    assert finder.find({2}) == {2: b"2"}
    assert finder.find({4, 9}) == {4: b"4"}


def test_bytes_that_are_not_text_are_shown_as_escapes() -> None:
    assert as_text(b"Zo\xeb") == "Zo\\xeb"


def test_two_processes_read_what_one_reads(tmp_path: Path) -> None:
    rows = [patient(index % 50, row_no=index + 1) for index in range(400)]
    content = data_file(FEED, rows, "ndjson", tmp_path)[1].splitlines()
    content[7], content[300] = b"{", b"[]"
    (tmp_path / "x").write_bytes(b"\n".join(content))
    parsed = {}
    for workers in (1, 2):
        folder = tmp_path / f"pieces-{workers}"
        folder.mkdir()
        job = Job(FEED, "2026-05-01T00:00:00+00:00", 1_000_000, folder)
        small = [
            type(block)(block.first_row + start, block.lines[start : start + 90])
            for block in blocks(tmp_path, [data("x")], 1_000_000)
            for start in range(0, len(block.lines), 90)
        ]
        parsed[workers] = list(parse_blocks(small, job, workers))
    found = {
        workers: pl.concat([pl.read_parquet(one.piece) for one in outcome if one.piece])
        for workers, outcome in parsed.items()
    }
    assert found[1].equals(found[2])
    assert found[1].height == 398
    bad = [(line.row_no, line.rule) for one in parsed[2] for line in one.bad]
    assert bad == [(8, "LINE_NOT_JSON"), (301, "RECORD_NOT_AN_OBJECT")]


def test_frames_stay_small_where_rows_are_large(tmp_path: Path) -> None:
    rows = [patient(index % 50, row_no=index + 1) for index in range(100)]
    frame(FEED, rows).write_parquet(tmp_path / "x")
    pieces = [Piece(tmp_path / "x", 100, 1)]
    assert frame_rows(pieces, 30) == 30
    assert frame_rows([], 30) == 30
    cut = list(frames(pieces, FEEDS[FEED], 30))
    assert [one.height for one in cut] == [30, 30, 30, 10]
    assert pl.concat(cut)["row_no"].to_list() == list(range(1, 101))


def _fail_half_way(final: Path) -> None:
    with staged_folder(final) as folder:
        (folder / "a").write_bytes(b"1")
        raise RuntimeError("half way")


def test_a_staged_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    final = tmp_path / "deep" / "final"
    with pytest.raises(RuntimeError, match="half way"):
        _fail_half_way(final)
    assert list(final.parent.iterdir()) == []
    with staged_folder(final) as folder:
        (folder / "a").write_bytes(b"1")
        assert not final.exists()
    with staged_folder(final) as folder:
        (folder / "b").write_bytes(b"2")
    assert [path.name for path in final.iterdir()] == ["b"]


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "acks" / "x.json"
    write_atomically(path, b"1")
    write_atomically(path, b"2", 0o644)
    assert path.read_bytes() == b"2"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def _hold(home: Path, seconds: float) -> None:
    with feed_lock(home, FEED):
        (home / "held").touch()
        time.sleep(seconds)


def test_one_process_at_a_time_works_on_a_feed(tmp_path: Path) -> None:
    other = multiprocessing.get_context("spawn").Process(target=_hold, args=(tmp_path, 3))
    other.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.02)
    with pytest.raises(PassingFault, match="pds_patient"), feed_lock(tmp_path, FEED, wait=0.2):
        pass
    with feed_lock(tmp_path, "scr_summary", wait=0.2):
        pass
    with feed_lock(tmp_path, FEED, wait=30):
        pass
    other.join(10)
    assert other.exitcode == 0


def test_every_folder_on_the_way_is_closed_to_others(tmp_path: Path) -> None:
    made = private_folder(tmp_path / "quarantine" / "pds_patient" / "PDS")
    ways = [made, made.parent, made.parent.parent]
    assert {way.stat().st_mode & 0o777 for way in ways} == {0o700}
