"""Where the payload of each document is, by its place in a segment: a small file beside each segment.

Belongs here: the form of that file, writing and reading it. Does not belong here: payloads (``payloads.py``), who is found.

The engine has the place of a payload as a fast field. It packs such a field, of which values rise by one, in blocks of 512,
and reads the heads of all of them each time the field is opened, which is once a question: 55 microseconds a million
documents, three milliseconds at sixty million. But documents of a segment stand in the order in which they were added, so
their places are a few unbroken runs, found by bisection however many documents there are. The field stays, for
the engine moves its values when it puts segments together, and the files are made of it.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from itertools import repeat
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import tantivy

from search_api.index.arrays import damaged

SUFFIX = ".places"
FIELD = "place"
META = "meta.json"
_READ_AT_ONCE = 50_000


class Places(Protocol):
    """Of one segment."""

    def of(self, document: int) -> int:
        """The place of the payload of a document."""
        ...


class Runs:
    """Places of one segment: where each unbroken run starts, and the place of that document."""

    def __init__(self, starts: list[int], places: list[int]) -> None:
        self._starts, self._places = starts, places

    def of(self, document: int) -> int:
        at = bisect_right(self._starts, document) - 1
        return self._places[at] + document - self._starts[at]


class Column:
    """Places of a segment that has no file, for it was written by an earlier release: read from the engine."""

    def __init__(self, searcher: tantivy.Searcher, order: int) -> None:
        self._searcher, self._order = searcher, order

    def of(self, document: int) -> int:
        return _values(self._searcher, self._order, [document])[0]


def write(folder: Path) -> None:
    """Files for the segments of a finished index that have none yet; those of segments that are gone go too."""
    segments = _segments(folder)
    for path in folder.glob(f"*{SUFFIX}"):
        if path.stem not in segments:
            path.unlink()
    if all(_file(folder, name).exists() for name in segments):
        return
    searcher = tantivy.Index.open(str(folder)).searcher()
    for order, (name, documents) in enumerate(segments.items()):
        if not _file(folder, name).exists():
            _runs(searcher, order, documents).tofile(_file(folder, name))


def read(folder: Path, searcher: tantivy.Searcher) -> list[Places]:
    """The places of each segment, in the order in which the searcher numbers them.

    Raises:
        GenerationError: a file cannot be read, or does not belong to its segment.
    """
    found: list[Places] = []
    for order, (name, documents) in enumerate(_segments(folder).items()):
        file = _file(folder, name)
        found.append(_read(file, searcher, order, documents) if file.exists() else Column(searcher, order))
    return found


def _read(file: Path, searcher: tantivy.Searcher, order: int, documents: int) -> Runs:
    try:
        starts, places = np.fromfile(file, np.int64).reshape(2, -1).tolist()
        runs, ends = Runs(starts, places), [0, documents - 1]
        if [runs.of(at) for at in ends] == _values(searcher, order, ends):
            return runs
        why = "of another segment"
    except (OSError, ValueError, IndexError) as error:
        why = type(error).__name__
    raise damaged(file, why)


def _runs(searcher: tantivy.Searcher, order: int, documents: int) -> npt.NDArray[np.int64]:
    """The column of one segment as runs: in the first row where they start, in the second their places."""
    starts: list[npt.NDArray[np.int64]] = []
    places: list[npt.NDArray[np.int64]] = []
    expected = -1
    for first in range(0, documents, _READ_AT_ONCE):
        values = np.array(_values(searcher, order, range(first, min(first + _READ_AT_ONCE, documents))), np.int64)
        broken = np.flatnonzero(np.diff(values, prepend=expected - 1) != 1)
        starts.append(broken + first)
        places.append(values[broken])
        expected = int(values[-1]) + 1
    return np.stack((np.concatenate(starts), np.concatenate(places)))


def _values(searcher: tantivy.Searcher, order: int, documents: range | list[int]) -> list[int]:
    addresses = list(map(tantivy.DocAddress, repeat(order), documents))
    return [int(value or 0) for value in searcher.fast_field_values(FIELD, addresses)]


def _segments(folder: Path) -> dict[str, int]:
    """Segments of an index by the name of their files, with how many documents they were written with."""
    listed = json.loads((folder / META).read_text("utf-8"))["segments"]
    return {each["segment_id"].replace("-", ""): int(each["max_doc"]) for each in listed}


def _file(folder: Path, segment: str) -> Path:
    return folder / f"{segment}{SUFFIX}"
