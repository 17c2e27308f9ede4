"""Files of payloads: what was added is read back from its place, and damage is said, never read."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import GenerationError
from search_api.index import payloads
from search_api.index.payloads import (
    BLOCK,
    LEAST_SAMPLES,
    Payloads,
    PayloadWriter,
    file_path,
    last_dictionary,
    next_number,
)


def people(count: int, start: int = 0) -> list[bytes]:
    return [
        f"1970{at % 12 + 1:02d}01\x1dF\x1d0\x1dSMITH{at}\x1fANN\x1f\x1dLS{at % 9}1AA".encode()
        for at in range(start, start + count)
    ]


def written(folder: Path, number: int, batches: list[list[bytes]], dictionary: bytes = b"") -> list[int]:
    writer = PayloadWriter(folder, number, dictionary)
    places = [place for batch in batches for place in writer.add(batch)]
    writer.close()
    return places


@pytest.mark.parametrize(
    "sizes", [(1,), (BLOCK,), (BLOCK + 1,), (3, 1, BLOCK, 2), (LEAST_SAMPLES - 1, 5, 1), (LEAST_SAMPLES, 3)]
)
def test_every_payload_is_read_from_its_place(sizes: tuple[int, ...], tmp_path: Path) -> None:
    batches, start = [], 0
    for size in sizes:
        batches.append(people(size, start))
        start += size
    places = written(tmp_path, 3, batches)
    reader = Payloads(tmp_path)
    assert [reader.read(place) for place in places] == people(start)
    reader.close()


def test_many_payloads_make_a_dictionary_that_a_later_file_takes_over(tmp_path: Path) -> None:
    assert last_dictionary(tmp_path) == b""
    first = written(tmp_path, 0, [people(LEAST_SAMPLES)])
    made = last_dictionary(tmp_path)
    assert made
    assert next_number(tmp_path) == 1
    few = written(tmp_path, 1, [people(2, 90_000)], made)
    alone = tmp_path / "alone"
    alone.mkdir()
    written(alone, 1, [people(2, 90_000)])
    assert last_dictionary(tmp_path) == made
    assert file_path(tmp_path, 1).stat().st_size - len(made) < file_path(alone, 1).stat().st_size
    reader = Payloads(tmp_path)
    assert [reader.read(place) for place in (first[-1], *few)] == [*people(LEAST_SAMPLES)[-1:], *people(2, 90_000)]


def test_nothing_added_makes_no_file(tmp_path: Path) -> None:
    assert written(tmp_path, 0, []) == []
    assert not list(tmp_path.iterdir())


def test_a_writer_never_writes_over_a_file(tmp_path: Path) -> None:
    written(tmp_path, 0, [people(1)])
    with pytest.raises(FileExistsError):
        written(tmp_path, 0, [people(1)])


def test_a_place_that_is_not_there_is_said(tmp_path: Path) -> None:
    place = written(tmp_path, 0, [people(1)])[0]
    reader = Payloads(tmp_path)
    for wrong in (place + 1, place + BLOCK, place + (1 << payloads.ORDINAL_BITS)):
        with pytest.raises(GenerationError, match="cannot be read"):
            reader.read(wrong)


@pytest.mark.parametrize("kept", [0, 5, 40, -1])
def test_a_file_cut_short_is_not_read(kept: int, tmp_path: Path) -> None:
    places = written(tmp_path, 0, [people(BLOCK * 4)])
    path = file_path(tmp_path, 0)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(GenerationError):
        Payloads(tmp_path).read(places[0])


def test_a_changed_byte_of_a_block_is_noticed(tmp_path: Path) -> None:
    places = written(tmp_path, 0, [people(BLOCK)])
    path = file_path(tmp_path, 0)
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(GenerationError):
        Payloads(tmp_path).read(places[0])
