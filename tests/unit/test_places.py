"""Places of payloads beside the segments: runs found again, after deletes and branches too; damage is refused.

Belongs here: the files and their reader. Does not belong here: payloads, searching.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from schemas.errors import GenerationError
from search_api.index import places
from search_api.index.documents import documents
from search_api.index.embedded import EmbeddedEngine
from search_api.index.frequencies import Frequencies
from search_api.matching.person import unpack
from tests.lib.index import at, frame, name, nhs_number, person

GIVENS = ("Ann", "Bob", "Cat", "Dan", "Eve")


def _people(serials: Sequence[int], family: str) -> list[dict[str, object]]:
    return [person(nhs_number(each), name(family, GIVENS[each % 5]), born="1980-03-07") for each in serials]


def _write(folder: Path, serials: Sequence[int], family: str, base: Path | None = None) -> None:
    """An index of these people; on a base they replace those of the same numbers."""
    engine, rows = EmbeddedEngine(), frame(_people(serials, family))
    writer = engine.branch(at(base), at(folder)) if base else engine.create(at(folder))
    writer.delete([nhs_number(each) for each in serials])
    writer.add(documents(rows, Frequencies.build([rows])))
    writer.commit()


def _families(folder: Path, serials: Sequence[int]) -> set[str]:
    """Family names found for these people; the given name of each must be their own."""
    reader = EmbeddedEngine().open(at(folder))
    found = reader.find([nhs_number(each) for each in serials])
    held = {each: unpack(nhs_number(each), found[nhs_number(each)].payload).names[0] for each in serials}
    reader.close()
    assert all(held[each].given == (GIVENS[each % 5].upper(),) for each in serials)
    return {each.family for each in held.values()}


def test_each_segment_has_a_file_and_everybody_their_own_payload(tmp_path: Path) -> None:
    base, branch = tmp_path / "one", tmp_path / "two"
    _write(base, range(300), "Smith")
    _write(branch, range(100, 150), "Jones", base)
    assert _families(base, range(300)) == {"SMITH"}
    assert _families(branch, range(100, 150)) == {"JONES"}
    assert _families(branch, [*range(100), *range(150, 300)]) == {"SMITH"}
    for folder in (base, branch):
        segments = {path.stem for path in folder.glob("*.term")}
        assert {path.stem for path in folder.glob(f"*{places.SUFFIX}")} == segments


def test_files_of_segments_that_are_gone_go(tmp_path: Path) -> None:
    _write(tmp_path / "one", range(20), "Smith")
    gone = tmp_path / "one" / f"gone{places.SUFFIX}"
    gone.write_bytes(b"")
    places.write(tmp_path / "one")
    assert not gone.exists()


def test_an_index_of_an_earlier_release_has_no_files_and_is_read(tmp_path: Path) -> None:
    _write(tmp_path / "one", range(60), "Smith")
    for file in (tmp_path / "one").glob(f"*{places.SUFFIX}"):
        file.unlink()
    assert _families(tmp_path / "one", range(60)) == {"SMITH"}


def test_runs_that_are_broken_are_found() -> None:
    runs = places.Runs([0, 3, 5], [100, 40, 103])
    assert [runs.of(document) for document in range(7)] == [100, 101, 102, 40, 41, 103, 104]


@pytest.mark.parametrize(
    "content", [b"", b"abc", np.array([0, 7], np.int64).tobytes(), np.zeros(3, np.int64).tobytes()]
)
def test_a_file_that_does_not_fit_its_segment_is_refused(tmp_path: Path, content: bytes) -> None:
    _write(tmp_path / "one", range(20), "Smith")
    for file in (tmp_path / "one").glob(f"*{places.SUFFIX}"):
        file.write_bytes(content)
    with pytest.raises(GenerationError, match="of a search index cannot be read"):
        EmbeddedEngine().open(at(tmp_path / "one"))
