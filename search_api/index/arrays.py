"""Columns of an index as files in numpy's own form: written from front to back, read where they lie.

Belongs here: one file of one column. Does not belong here: which columns there are (``people.py``, ``keytable.py``).

A file is written once and never changed. It is mapped, not read: several processes share its pages, and what a
question needs of it is a few pages.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import GenerationError

SUFFIX = ".npy"
_FORM = (1, 0)

Array = npt.NDArray[Any]


class ArrayWriter:
    """A new file of one column. Its head leaves room for any length, so it is written again at the end."""

    def __init__(self, path: Path, kind: npt.DTypeLike) -> None:
        self._kind = np.dtype(kind)
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
        self.count = 0
        self._head()

    def append(self, values: Array) -> None:
        """Add values at the end; they are of the column's kind."""
        self._file.write(np.ascontiguousarray(values, self._kind).data)
        self.count += len(values)

    def close(self) -> None:
        """Have all of it survive a power cut."""
        self._file.seek(0)
        self._head()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _head(self) -> None:
        described = np.lib.format.dtype_to_descr(self._kind)
        head = {"descr": described, "fortran_order": False, "shape": (self.count,)}
        np.lib.format.write_array_header_1_0(self._file, head)


def write(path: Path, values: Array) -> None:
    """A new file of these values."""
    writer = ArrayWriter(path, values.dtype)
    writer.append(values)
    writer.close()


def read(path: Path) -> Array:
    """The column in a file, mapped; shape (n,).

    Raises:
        GenerationError: the file is missing or not whole.
    """
    try:
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != _FORM:
                raise ValueError("another form")
            (count,), _, kind = np.lib.format.read_array_header_1_0(file)
            start = file.tell()
            held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # Questions fall anywhere: to read ahead would only push out what others need.
        held.madvise(mmap.MADV_RANDOM)
        return np.frombuffer(held, kind, count, start) if count else np.empty(0, kind)
    except (OSError, ValueError) as error:
        raise damaged(path, type(error).__name__) from None


class Portions:
    """A column in a file, read a portion at a time. Raises GenerationError when the file is missing or not whole."""

    def __init__(self, path: Path) -> None:
        whole = read(path)
        self._path, self._kind, self._count = path, whole.dtype, len(whole)
        self._start = path.stat().st_size - whole.nbytes

    def __len__(self) -> int:
        return self._count

    def read(self, start: int, end: int) -> Array:
        """The values from ``start`` on, before ``end``."""
        return np.fromfile(self._path, self._kind, end - start, offset=self._start + start * self._kind.itemsize)


def damaged(path: Path, why: str) -> GenerationError:
    """What to raise of a file that cannot be used."""
    return GenerationError(
        f"The file {path.name} of a search index cannot be read ({why}).",
        remedy="Verify the generation; roll back if it is damaged.",
    )
