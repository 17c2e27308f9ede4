"""Files of packed records: many to a block, a block read alone, a record found by its place.

Belongs here: the form of a file, writing one, reading a record. Does not belong here: which record belongs to which
number (``record_keys.py``, the tables of ``assets/replica``), the SQL functions (``packed.py``).

Records that came one after another are packed together, because they say the same things: alone a record shrinks to
an eighth, sixteen together to an eleventh, and unpacking sixteen costs less than asking the database for one
(docs/decisions/0022). A file is written once and never changed: it starts with the dictionary that its blocks were
packed with, and generations built on one another share it by hard links. A text holds no line feed: JSON has none.

A place is one number: of the file, of the byte where the block starts, of the record in it.
"""

from __future__ import annotations

import os
import threading
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

from search_api.packing import Packing

FOLDER = "records"
SUFFIX = ".records"
SLOT_BITS, OFFSET_BITS, FILE_BITS = 4, 43, 12
BLOCK_RECORDS = 1 << SLOT_BITS
# Large records go in smaller company, or reading one would cost what reading all of them does.
BLOCK_BYTES = 32_768
# Level 3 saves a hundredth more and costs twice as much; 5 saves a twelfth and costs five times as much.
LEVEL = 1
_MAGIC = b"NCRSREC1"
_LENGTH = 4
_GUESS = 4_096
_MODE = 0o600


class DamagedRecord(Exception):
    """There is no record at a place: the file is missing, cut short or damaged. The text quotes no value."""


def file_path(folder: Path, feed: str, number: int) -> Path:
    """One of the files of a feed in a generation's folder."""
    return folder / FOLDER / f"{feed}-{number:04d}{SUFFIX}"


def file_numbers(folder: Path, feed: str) -> list[int]:
    """Which files a feed has in a generation's folder, oldest first."""
    found = (folder / FOLDER).glob(f"{feed}-*{SUFFIX}")
    return sorted(int(path.name.removeprefix(f"{feed}-").removesuffix(SUFFIX)) for path in found)


def file_of(place: int) -> int:
    """The number of the file that a place lies in."""
    return place >> (SLOT_BITS + OFFSET_BITS)


def first_place(number: int) -> int:
    """No place of this file or a later one is lower."""
    return number << (SLOT_BITS + OFFSET_BITS)


def dictionary_of(path: Path) -> bytes:
    """The dictionary of a file; empty when it has none. Raises DamagedRecord."""
    with _opened(path) as file:
        head = os.pread(file.descriptor, len(_MAGIC) + _LENGTH, 0)
        if not head.startswith(_MAGIC):
            raise DamagedRecord("not a file of records")
        size = int.from_bytes(head[len(_MAGIC) :], "little")
        found = os.pread(file.descriptor, size, len(head))
    if len(found) != size:
        raise DamagedRecord("a file of records is cut short")
    return found


@dataclass(frozen=True)
class Texts:
    """Texts one after another in one piece of memory, each with a line end behind it, so that those of a block need not
    be put together; ``ends`` says where the first begins and where each one's line ends."""

    data: memoryview
    ends: list[int]

    def joined(self, start: int, end: int) -> memoryview:
        """Some of them, a line each, without the last line's end."""
        return self.data[self.ends[start] : self.ends[end] - 1]


class RecordWriter:
    """A new file of a feed, made when the first record comes. Several threads may add to it."""

    def __init__(self, folder: Path, feed: str, dictionary: bytes) -> None:
        self.number = max(file_numbers(folder, feed), default=0) + 1
        if self.number >> FILE_BITS:
            raise ValueError(f"The feed {feed} has {self.number - 1} files of records, as many as there may be.")
        self._path = file_path(folder, feed, self.number)
        self._dictionary = dictionary
        self._packing = Packing(dictionary, LEVEL)
        self._descriptor: int | None = None
        self._end = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Make the file, if that is not done; otherwise it is made when the first record comes."""
        if self._descriptor is not None:
            return
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        self._write(_MAGIC + len(self._dictionary).to_bytes(_LENGTH, "little") + self._dictionary)

    def packer(self) -> Callable[[memoryview], bytes]:
        """What packs one block for this file, for one thread."""
        with self._lock:
            return self._packing.packer()

    def add(self, texts: Texts, pack: Callable[[memoryview], bytes]) -> list[int]:
        """Append these texts; the place of each."""
        cuts = list(_cuts(texts.ends))
        frames = [pack(texts.joined(start, end)) for start, end in cuts]
        at = self._append(
            b"".join(part for frame in frames for part in (len(frame).to_bytes(_LENGTH, "little"), frame))
        )
        places: list[int] = []
        for (start, end), frame in zip(cuts, frames, strict=True):
            first = first_place(self.number) | at << SLOT_BITS
            places.extend(range(first, first + end - start))
            at += _LENGTH + len(frame)
        return places

    def sync(self) -> None:
        """Make what was added survive a power cut: before the database says that it is there."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Nothing more is added."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, content: bytes) -> int:
        """Write at the end; where that was."""
        with self._lock:
            self.begin()
            start = self._end
            self._write(content)
            return start

    def _write(self, content: bytes) -> None:
        left = memoryview(content)
        while left and self._descriptor is not None:
            left = left[os.write(self._descriptor, left) :]
        self._end += len(content)


class RecordFiles:
    """The files of one feed in a generation's folder, each opened when it is first asked for. For several threads."""

    def __init__(self, folder: Path, feed: str) -> None:
        self._folder, self._feed = folder, feed
        self._files: dict[int, _File] = {}
        self._packings: dict[int, Packing] = {}
        self._lock = threading.Lock()

    def reader(self) -> RecordReader:
        """What reads records, for one thread."""
        return RecordReader(self)

    def opened(self, number: int) -> tuple[_File, Packing]:
        """One file and how it is packed. Raises DamagedRecord."""
        with self._lock:
            if number not in self._files:
                path = file_path(self._folder, self._feed, number)
                self._packings[number] = Packing(dictionary_of(path), LEVEL)
                self._files[number] = _opened(path)
            return self._files[number], self._packings[number]

    def close(self) -> None:
        """Let go of the files. One that a thread is reading is closed when that reader goes: its descriptor must not
        be given to another file meanwhile."""
        with self._lock:
            self._files.clear()


class RecordReader:
    """Reads records of one feed for one thread. Raises DamagedRecord for what is not there or damaged."""

    def __init__(self, files: RecordFiles) -> None:
        self._files = files
        self._unpackers: dict[int, tuple[_File, Callable[[bytes], bytes]]] = {}

    def text(self, place: int) -> bytes:
        """The record at this place."""
        slot = place & (BLOCK_RECORDS - 1)
        found = self._block(place >> SLOT_BITS).split(b"\n", slot + 1)
        if slot >= len(found):
            raise DamagedRecord("no record at this place of a block")
        return found[slot]

    def texts(self, places: Sequence[int]) -> list[bytes]:
        """The records at these places; neighbours are unpacked once."""
        blocks: dict[int, list[bytes]] = {}
        found: list[bytes] = []
        for place in places:
            at = place >> SLOT_BITS
            block = blocks.get(at)
            if block is None:
                block = blocks[at] = self._block(at).split(b"\n")
            try:
                found.append(block[place & (BLOCK_RECORDS - 1)])
            except IndexError:
                raise DamagedRecord("no record at this place of a block") from None
        return found

    def _block(self, at: int) -> bytes:
        number, offset = at >> OFFSET_BITS, at & ((1 << OFFSET_BITS) - 1)
        known = self._unpackers.get(number)
        if known is None:
            opened, packing = self._files.opened(number)
            known = self._unpackers[number] = opened, packing.unpacker()
        file, unpack = known
        try:
            read = os.pread(file.descriptor, _GUESS, offset)
            size = _LENGTH + int.from_bytes(read[:_LENGTH], "little")
            if size > len(read):
                read = os.pread(file.descriptor, size, offset)
            return unpack(read[_LENGTH:size])
        except (OSError, zstandard.ZstdError) as error:
            raise DamagedRecord(f"a block of records cannot be read ({type(error).__name__})") from None


class _File:
    """An open file, closed with its last user at the latest."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.close = weakref.finalize(self, os.close, descriptor)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _opened(path: Path) -> _File:
    try:
        return _File(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise DamagedRecord(f"the file {path.name} cannot be opened ({type(error).__name__})") from None


def _cuts(ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where blocks begin and end: so many records, and not too many bytes."""
    start, count = 0, len(ends) - 1
    while start < count:
        fitting = bisect_right(ends, ends[start] + BLOCK_BYTES, start, min(start + BLOCK_RECORDS, count) + 1) - 1
        end = max(start + 1, fitting)
        yield start, end
        start = end
