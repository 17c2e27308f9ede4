"""Files of packed records and of keys: what goes in comes out, and what is not there or damaged is said to be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from search_api.record_files import (
    BLOCK_BYTES,
    BLOCK_RECORDS,
    DamagedRecord,
    RecordFiles,
    RecordWriter,
    Texts,
    dictionary_of,
    file_numbers,
    file_of,
    file_path,
)
from search_api.record_keys import KeyFile, keys_path, write_keys

FEED = "pds_patient"


def texts(values: list[bytes]) -> Texts:
    ends = [0]
    for value in values:
        ends.append(ends[-1] + len(value) + 1)
    return Texts(memoryview(b"".join(value + b"\n" for value in values)), ends)


def written(folder: Path, values: list[bytes]) -> list[int]:
    """The places of these in a new file."""
    writer = RecordWriter(folder, FEED, b"")
    places = writer.add(texts(values), writer.packer())
    writer.sync()
    writer.close()
    return places


@pytest.mark.parametrize(
    "sizes", [[], [0], [5] * BLOCK_RECORDS, [5] * (2 * BLOCK_RECORDS + 1), [3, BLOCK_BYTES * 2, 3, BLOCK_BYTES - 2, 9]]
)
def test_every_record_comes_back_alone_and_with_others(tmp_path: Path, sizes: list[int]) -> None:
    values = [bytes([97 + at % 26]) * size for at, size in enumerate(sizes)]
    places = written(tmp_path, values)
    reader = RecordFiles(tmp_path, FEED).reader()
    assert [reader.text(place) for place in places] == values
    assert reader.texts(places[::-1]) == values[::-1]


def test_a_large_record_shares_its_block_with_none_that_came_before(tmp_path: Path) -> None:
    small, large, after = written(tmp_path, [b"a", b"b" * BLOCK_BYTES, b"c"])
    assert small >> 4 != large >> 4
    assert large >> 4 != after >> 4


def test_threads_add_to_one_file_at_once(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path, FEED, b"")

    def add(thread: int) -> list[tuple[bytes, int]]:
        pack, found = writer.packer(), []
        for piece in range(20):
            values = [f"{thread}-{piece}-{at}".encode() for at in range(40)]
            found += zip(values, writer.add(texts(values), pack), strict=True)
        return found

    with ThreadPoolExecutor(4) as pool:
        found = [pair for each in pool.map(add, range(4)) for pair in each]
    writer.close()
    reader = RecordFiles(tmp_path, FEED).reader()
    assert all(reader.text(place) == value for value, place in found)


def test_a_new_file_has_a_number_of_its_own_and_none_is_made_for_nothing(tmp_path: Path) -> None:
    first, second = written(tmp_path, [b"one"]), written(tmp_path, [b"two"])
    assert (file_of(first[0]), file_of(second[0])) == (1, 2)
    RecordWriter(tmp_path, FEED, b"").close()
    assert file_numbers(tmp_path, FEED) == [1, 2]
    assert dictionary_of(file_path(tmp_path, FEED, 1)) == b""


def test_what_is_damaged_or_missing_is_never_another_record(tmp_path: Path) -> None:
    place = written(tmp_path, [b"somebody " * 20, b"somebody else"])[0]
    path = file_path(tmp_path, FEED, 1)
    content = path.read_bytes()
    beyond = place + 2
    with pytest.raises(DamagedRecord, match="no record at this place"):
        RecordFiles(tmp_path, FEED).reader().text(beyond)
    with pytest.raises(DamagedRecord, match="no record at this place"):
        RecordFiles(tmp_path, FEED).reader().texts([beyond])
    for at in range(len(content) - 12, len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(DamagedRecord, match="cannot be read"):
            RecordFiles(tmp_path, FEED).reader().text(place)
    path.write_bytes(content[:-3])
    with pytest.raises(DamagedRecord, match="cannot be read"):
        RecordFiles(tmp_path, FEED).reader().text(place)
    path.unlink()
    with pytest.raises(DamagedRecord, match="cannot be opened"):
        RecordFiles(tmp_path, FEED).reader().text(place)


def test_a_file_that_is_let_go_of_stays_with_who_reads_it(tmp_path: Path) -> None:
    """A descriptor given away would show another file's record."""
    place = written(tmp_path, [b"mine"])[0]
    files = RecordFiles(tmp_path, FEED)
    reader = files.reader()
    reader.text(place)
    files.close()
    other = tmp_path / "other"
    other.mkdir()
    written(other, [b"not mine"])
    RecordFiles(other, FEED).reader().text(place)
    assert reader.text(place) == b"mine"


NUMBERS = [12, 9_000_000_009, 9_000_000_017, 9_000_000_018, 9_999_999_999]


def keys(folder: Path, numbers: list[int], piece: int = 2) -> Path:
    path = keys_path(folder, "people")
    path.parent.mkdir(exist_ok=True)
    found = np.array(numbers, np.int64)
    pieces = ((found[at : at + piece], found[at : at + piece] * 7) for at in range(0, len(numbers), piece))
    write_keys(path, len(numbers), pieces)
    return path


@pytest.mark.parametrize("numbers", [[], NUMBERS[:1], NUMBERS[:4], NUMBERS])
def test_each_number_is_found_and_no_other(tmp_path: Path, numbers: list[int]) -> None:
    file = KeyFile(keys(tmp_path, numbers))
    assert len(file) == len(numbers)
    assert [file.find(number) for number in numbers] == [number * 7 for number in numbers]
    for number in (-1, 0, 11, 13, 9_000_000_010, 9_000_000_016, 9_999_999_998, 10**12):
        assert file.find(number) is None


def test_keys_that_are_not_whole_are_not_opened(tmp_path: Path) -> None:
    path = keys(tmp_path, NUMBERS)
    content = path.read_bytes()
    for spoilt in (b"", content[:-1], b"x" + content[1:]):
        path.write_bytes(spoilt)
        with pytest.raises(DamagedRecord):
            KeyFile(path)
    path.unlink()
    with pytest.raises(DamagedRecord, match="cannot be opened"):
        KeyFile(path)


def test_more_or_fewer_keys_than_were_counted_are_refused(tmp_path: Path) -> None:
    numbers = np.array([1, 2], np.int64)
    for count in (1, 3):
        with pytest.raises(ValueError, match="2 keys came"):
            write_keys(tmp_path / "x.keys", count, [(numbers, numbers)])
    with pytest.raises(ValueError, match="more than ten digits"):
        write_keys(tmp_path / "x.keys", 1, [(np.array([10**12], np.int64), np.array([1], np.int64))])
