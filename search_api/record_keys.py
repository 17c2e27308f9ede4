"""Where the record of a number is: two sorted columns in a file, searched where they lie.

Belongs here: the form of the file, writing it from rows in order, finding a number. Does not belong here: which
number has which record (``assets/replica/keying.py``), reading a record (``record_files.py``).

Twelve bytes a number, against the forty of an index of the database, and nothing of it has to be in memory to be
made or to be asked (docs/decisions/0022). The last digit of a number goes with the place, so that its first nine
fit four bytes; whether it is the right check digit does not matter here.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from search_api.record_files import FOLDER, DamagedRecord

Column = npt.NDArray[np.int64]

# The kinds of record that are found by number.
PATIENTS, RELATED, SUMMARIES = "patients", "related", "summaries"
_MAGIC = b"NCRSKEY1"
_HEAD = 16
_STEM, _PLACE = np.dtype("<u4"), np.dtype("<i8")
_DIGIT_BITS = 4


def keys_path(folder: Path, name: str) -> Path:
    """The file of one kind of record in a generation's folder."""
    return folder / FOLDER / f"{name}.keys"


class KeyFile:
    """An opened file. Several threads may ask it.

    Raises DamagedRecord on opening when it is missing or has another size than it says.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise DamagedRecord(f"the file {path.name} cannot be opened ({type(error).__name__})") from None
        count = int.from_bytes(held[len(_MAGIC) : _HEAD], "little")
        if held[: len(_MAGIC)] != _MAGIC or len(held) != _places_at(count) + count * _PLACE.itemsize:
            raise DamagedRecord(f"the file {path.name} is not whole")
        # Of plain numbers, as the machine has them: taking one from an array costs several times as much.
        self._stems = memoryview(held)[_HEAD : _HEAD + count * _STEM.itemsize].cast("I")
        self._places = memoryview(held)[_places_at(count) :].cast("q")

    def __len__(self) -> int:
        return len(self._stems)

    def find(self, number: int) -> int | None:
        """The place of this number's record, or None."""
        stem, digit = divmod(number, 10)
        at = bisect_left(self._stems, stem)
        while at < len(self._stems) and self._stems[at] == stem:
            place = self._places[at]
            if place & ((1 << _DIGIT_BITS) - 1) == digit:
                return place >> _DIGIT_BITS
            at += 1
        return None


def write_keys(path: Path, count: int, rows: Iterable[tuple[Column, Column]]) -> None:
    """Write a file of ``count`` numbers; ``rows`` gives them in ascending order with their places, piece by piece.

    Raises ValueError when there are more or fewer, or a number has more than ten digits.
    """
    with path.open("wb") as stems, path.open("r+b") as places:
        stems.write(_MAGIC + count.to_bytes(_HEAD - len(_MAGIC), "little"))
        places.seek(_places_at(count))
        written = 0
        for numbers, found in rows:
            first, digits = np.divmod(numbers, 10)
            if len(first) and not 0 <= first[0] <= first[-1] <= np.iinfo(_STEM).max:
                raise ValueError("A number has more than ten digits.")
            stems.write(first.astype(_STEM).tobytes())
            places.write((found << _DIGIT_BITS | digits).astype(_PLACE).tobytes())
            written += len(numbers)
        if written != count:
            raise ValueError(f"{written} keys came where {count} were to come.")


def _places_at(count: int) -> int:
    """Where the second column starts: at a multiple of its width."""
    stems = count * _STEM.itemsize
    return _HEAD + stems + stems % _PLACE.itemsize
