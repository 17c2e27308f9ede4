"""Files held in memory, whatever else wants it.

Belongs here: locking files' pages and letting go of them. Does not belong here: which generation
is served (``generations.py``).

A search needs some hundred places of an index of many gigabytes. What nobody has asked for lately is what a
system that is short of memory takes first, and fetching one place again takes as long as a tenth of a search. The pages are shared:
processes that hold the same files hold them once.

Whoever searches has mapped the files too, and the kernel asks for a moment at the first touch of each page there, in
memory or not. It is told at once of all of them, where it can be (Linux 5.14).
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from schemas.generation import GenerationManifest
from search_api import logging
from search_api.generation_files import index_files
from search_api.settings import Settings

_LIBRARY = ctypes.CDLL(None, use_errno=True)
_MAPPINGS = Path("/proc/self/maps")
_POPULATE_READ = 22


class _Mapping(NamedTuple):
    """Addresses at which this process has a file, and which file that is: device and number."""

    start: int
    end: int
    file: tuple[str, str]


class Held:
    """Files whose pages are in memory until ``close``. Used by one thread; others run on while it waits for the disk."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Raises OSError where a file is not there, or this process may not lock so much."""
        self._maps: list[mmap.mmap] = []
        self.bytes = 0
        try:
            addresses = {self._hold(path) for path in paths}
            _touch(addresses)
        except OSError:
            self.close()
            raise

    def _hold(self, path: Path) -> int:
        """Lock a file's pages; the address that it is mapped at for this."""
        with path.open("rb") as file:
            held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._maps.append(held)
        address = np.frombuffer(held, np.uint8).ctypes.data
        if _LIBRARY.mlock(ctypes.c_void_p(address), ctypes.c_size_t(len(held))):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self.bytes += len(held)
        return int(address)

    def close(self) -> None:
        """Let go of them."""
        while self._maps:
            self._maps.pop().close()
        self.bytes = 0


def _touch(addresses: set[int]) -> None:
    """Have the kernel know every page of these files wherever else this process has mapped them. It is faster, no more:
    a kernel that cannot do it is not asked again and nothing is said."""
    mappings = list(_mappings())
    files = {each.file for each in mappings if each.start in addresses}
    for each in mappings:
        if each.file in files and each.start not in addresses:
            size = ctypes.c_size_t(each.end - each.start)
            if _LIBRARY.madvise(ctypes.c_void_p(each.start), size, _POPULATE_READ):
                return


def _mappings() -> Iterator[_Mapping]:
    for line in _MAPPINGS.read_text().splitlines():
        addresses, _, _, device, inode, *_ = line.split(maxsplit=5)
        start, end = (int(address, 16) for address in addresses.split("-"))
        yield _Mapping(start, end, (device, inode))


class HeldIndex:
    """The index of the generation that is served, held where the settings say so. Used by one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.generations_folder if settings.hold_index else None
        self._held: Held | None = None

    def turn_to(self, manifest: GenerationManifest) -> None:
        """Hold this one. That of before is let go of first, for there may be no room for both; where it cannot be held it
        is served all the same, and the log says so."""
        self.close()
        if self._folder is None:
            return
        folder = self._folder / manifest.generation
        try:
            self._held = Held([folder / state.path for state in index_files(manifest) if state.bytes])
        except OSError as error:
            logging.event("GEN007", "error", error=error.strerror)

    def close(self) -> None:
        """Hold nothing."""
        held, self._held = self._held, None
        if held is not None:
            held.close()
