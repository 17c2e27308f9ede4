"""Payloads of the embedded index, packed in files beside its segments; a document holds the place of its own.

Belongs here: the form of a file, writing one, reading one payload. Does not belong here: what a payload says
(``matching/person.py``), segments, who is found.

The engine's own store packs each document's bytes with eleven of overhead, and unpacks sixteen thousand to read one.
Here eight people who came one after another are packed together with a dictionary made from people like them: a third
less on disk, and half the time to read. A file is written once by one writer and never changed; a branch of an index
links it and writes one of its own. A payload holds no line feed: normalised text has none.

A file: magic, dictionary, blocks, then where each block starts, and last how many payloads there are. A place: the
number of the file, and the payload's own in it; places of one file rise by one, which a fast field keeps for nothing.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
import threading
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar, overload

import zstandard

from schemas.errors import GenerationError
from search_api.index.arrays import damaged
from search_api.packing import Packing

SUFFIX = ".payloads"
FILE_BITS, ORDINAL_BITS = 20, 40
_ORDINALS = (1 << ORDINAL_BITS) - 1
BLOCK = 8
LEVEL = 5
DICTIONARY_BYTES = 112_640
# Fewer payloads than this are no good to make a dictionary from; more blocks than that only take longer.
LEAST_SAMPLES, MOST_BLOCKS = 4_000, 3_000
# How long a passage of the dictionary is, and what in it is counted: left to find them the library takes three times as
# long, for the same.
_PASSAGE, _COUNTED = 200, 8
_MAGIC = b"NCRSPAY1"
_HEAD, _TAIL, _OFFSETS = struct.Struct("<8sI"), struct.Struct("<Q"), struct.Struct("<QQ")
_NAME = re.compile(rf"([0-9]{{5}}){re.escape(SUFFIX)}")
# The payloads of a block, by its number in a file.
Unpack = Callable[[int], bytes]


def file_path(folder: Path, number: int) -> Path:
    """One of the files of an index."""
    return folder / f"{number:05d}{SUFFIX}"


def next_number(folder: Path) -> int:
    """The number of the next file of an index."""
    return max((number for number, _ in _files(folder)), default=-1) + 1


def last_dictionary(folder: Path) -> bytes:
    """The dictionary of the newest file that has one; empty when none has."""
    for _, path in sorted(_files(folder), reverse=True):
        with path.open("rb") as file:
            _, size = _HEAD.unpack(file.read(_HEAD.size))
            if size:
                return file.read(size)
    return b""


class PayloadWriter:
    """A new file, made when the first block is written. Used by one thread.

    ``dictionary``: that of files like it; without one it is made from what comes first.
    """

    def __init__(self, folder: Path, number: int, dictionary: bytes = b"") -> None:
        self._path, self._number = file_path(folder, number), number
        self._dictionary = dictionary
        self._waiting: list[bytes] = []
        self._starts = array("Q")
        self._count = self._end = 0
        self._descriptor: int | None = None
        self._pack: Callable[[bytes], bytes] | None = None

    def add(self, payloads: Sequence[bytes]) -> range:
        """Take payloads; their places."""
        first = self._number << ORDINAL_BITS | self._count
        self._count += len(payloads)
        self._waiting.extend(payloads)
        if self._pack is not None or self._dictionary or len(self._waiting) >= LEAST_SAMPLES:
            self._write_blocks(len(self._waiting) // BLOCK * BLOCK)
        return range(first, first + len(payloads))

    def close(self) -> None:
        """Write what is left, and have all of it survive a power cut. Nothing is made where nothing was added."""
        if not self._count:
            return
        self._write_blocks(len(self._waiting))
        self._starts.append(self._end)
        self._append(self._starts.tobytes() + _TAIL.pack(self._count))
        if self._descriptor is not None:
            os.fsync(self._descriptor)
            os.close(self._descriptor)
        self._descriptor = None

    def _write_blocks(self, count: int) -> None:
        pack = self._pack or self._begin()
        parts = []
        for start in range(0, count, BLOCK):
            self._starts.append(self._end)
            parts.append(pack(b"\n".join(self._waiting[start : min(start + BLOCK, count)])))
            self._end += len(parts[-1])
        del self._waiting[:count]
        self._append(b"".join(parts), counted=True)

    def _begin(self) -> Callable[[bytes], bytes]:
        if not self._dictionary and len(self._waiting) >= LEAST_SAMPLES:
            self._dictionary = _dictionary_of(self._waiting)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._append(_HEAD.pack(_MAGIC, len(self._dictionary)) + self._dictionary)
        self._pack = Packing(self._dictionary, LEVEL).packer()
        return self._pack

    def _append(self, content: bytes, *, counted: bool = False) -> None:
        if not counted:
            self._end += len(content)
        left = memoryview(content)
        while left and self._descriptor is not None:
            left = left[os.write(self._descriptor, left) :]


def _dictionary_of(payloads: list[bytes]) -> bytes:
    """A dictionary made from blocks, as they are what is packed with it: three hundredths less than one made from payloads."""
    starts = range(0, len(payloads), BLOCK)
    starts = starts[:: -(-len(starts) // MOST_BLOCKS)]
    blocks: list[bytes | bytearray | memoryview] = [b"\n".join(payloads[start : start + BLOCK]) for start in starts]
    return zstandard.train_dictionary(DICTIONARY_BYTES, blocks, k=_PASSAGE, d=_COUNTED).as_bytes()


class Payloads:
    """The files of a finished index, open for reading by several threads until ``close``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = {number: _File(path) for number, path in _files(folder)}
        self._local = threading.local()

    def read(self, place: int) -> bytes:
        """The payload at a place. Raises GenerationError when it is not there or damaged."""
        try:
            unpack = self._unpackers()[place >> ORDINAL_BITS]
            block, at = divmod(place & _ORDINALS, BLOCK)
            return unpack(block).split(b"\n", BLOCK)[at]
        except (KeyError, IndexError, struct.error, ValueError, zstandard.ZstdError) as error:
            raise GenerationError(
                f"A payload of the search index {self._folder.name} cannot be read ({type(error).__name__}).",
                remedy="Verify the generation; roll back if it is damaged.",
            ) from None

    def close(self) -> None:
        """Let go of the files; nothing may be read afterwards."""
        for file in self._files.values():
            file.close()
        self._files = {}

    def _unpackers(self) -> dict[int, Unpack]:
        """What unpacks blocks of each file, for this thread alone."""
        found: dict[int, Unpack] | None = getattr(self._local, "unpackers", None)
        if found is None:
            found = self._local.unpackers = {number: file.reader() for number, file in self._files.items()}
        return found


Place = TypeVar("Place")


class Placed(Sequence[bytes], Generic[Place]):
    """Payloads of found documents, each fetched when it is read: most are never compared."""

    def __init__(self, read: Callable[[Place], bytes], places: list[Place]) -> None:
        self._read = read
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[bytes, ...]: ...
    def __getitem__(self, at: int | slice) -> bytes | tuple[bytes, ...]:
        if isinstance(at, slice):
            return tuple([self._read(place) for place in self._places[at]])
        return self._read(self._places[at])

    def __iter__(self) -> Iterator[bytes]:
        return map(self._read, self._places)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]


class _File:
    """One file, mapped."""

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            magic, size = _HEAD.unpack_from(self._held)
            (count,) = _TAIL.unpack_from(self._held, len(self._held) - _TAIL.size)
        except (OSError, ValueError, struct.error) as error:
            raise damaged(path, type(error).__name__) from None
        self._blocks = -(-count // BLOCK)
        self._table = len(self._held) - _TAIL.size - 8 * (self._blocks + 1)
        if magic != _MAGIC or self._table < _HEAD.size + size:
            raise damaged(path, "not whole")
        self._packing = Packing(self._held[_HEAD.size : _HEAD.size + size], LEVEL)

    def reader(self) -> Unpack:
        """What unpacks blocks, for one thread."""
        held, table, blocks = self._held, self._table, self._blocks
        offsets, unpack = _OFFSETS.unpack_from, self._packing.unpacker()

        def read(at: int) -> bytes:
            if at >= blocks:
                raise IndexError(at)
            start, end = offsets(held, table + 8 * at)
            return unpack(held[start:end])

        return read

    def close(self) -> None:
        """Let go of the file."""
        self._held.close()


def _files(folder: Path) -> list[tuple[int, Path]]:
    named = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir()) if folder.is_dir() else ()
    return [(int(found[1]), path) for found, path in named if found]
