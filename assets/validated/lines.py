"""NDJSON lines in blocks of bounded size.

Belongs here: cutting a landed file into blocks of lines, and finding single lines again. Does not
belong here: reading a line as a record (``parsing.py``).

A byte order mark at the start and carriage returns at line ends are harmless and taken off; blank
lines are no records. A line beyond the limit is cut short, so that it is known to be too long
without ever being in memory whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from assets.landing.copying import unpacked
from schemas.extract import DataFile

_BLOCK_LINES = 5_000
_BLOCK_BYTES = 8 << 20
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Block:
    """Lines of an extract; the first has row number ``first_row``."""

    first_row: int
    lines: list[bytes]


def blocks(folder: Path, files: Iterable[DataFile], line_limit: int) -> Iterator[Block]:
    """Blocks of all NDJSON files of an extract in order; rows are numbered from 1 through all of them."""
    row, held, size = 1, list[bytes](), 0
    for file in files:
        for line in lines(folder / file.name, file.format == "ndjson.gz", line_limit):
            held.append(line)
            size += len(line)
            if len(held) >= _BLOCK_LINES or size >= _BLOCK_BYTES:
                yield Block(row, held)
                row, held, size = row + len(held), [], 0
    if held:
        yield Block(row, held)


def lines(path: Path, packed: bool, line_limit: int) -> Iterator[bytes]:
    """Lines that are not blank, without line ends; at most ``line_limit`` + 1 bytes of each."""
    rest, first = b"", True
    for chunk in unpacked(path, packed):
        *ended, tail = chunk.split(b"\n")
        for line in ended:
            whole = (rest + line)[: line_limit + 1]
            rest = b""
            cleaned = _clean(whole, first)
            first = False
            if cleaned:
                yield cleaned
        rest = (rest + tail)[: line_limit + 1]
    cleaned = _clean(rest, first)
    if cleaned:
        yield cleaned


class LineFinder:
    """Finds lines again by row number, in one pass: asked with rising numbers, it only reads on."""

    def __init__(self, folder: Path, files: Iterable[DataFile], line_limit: int) -> None:
        self._rows = (
            (row_no, line)
            for block in blocks(folder, files, line_limit)
            for row_no, line in enumerate(block.lines, block.first_row)
        )

    def find(self, wanted: set[int]) -> dict[int, bytes]:
        """The lines with these row numbers, none of which lies before one asked for earlier."""
        found: dict[int, bytes] = {}
        if not wanted:
            return found
        last = max(wanted)
        for row_no, line in self._rows:
            if row_no in wanted:
                found[row_no] = line
            if row_no >= last:
                break
        return found


def as_text(line: bytes) -> str:
    """The line for the quarantine; bytes that are not UTF-8 are shown as escapes."""
    return line.decode("utf-8", errors="backslashreplace")


def _clean(line: bytes, first: bool) -> bytes:
    if first:
        line = line.removeprefix(_BOM)
    return line.strip()
