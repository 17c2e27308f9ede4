"""Trace files of separated values: what they are like, their rows, the same rows with columns added.

Belongs here: encodings, delimiters, headers, quotes. Does not belong here: rules of rows, parquet.

A record is what a strict CSV reader says: a blank line is a record too, and is answered. Where quotes are broken,
nobody can tell where a record ends, so the whole file is refused with the line. Sources: RFC 4180; pds.md 1.11.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from search_api.trace.columns import ANSWER, REFERENCE, REQUEST, canonical
from search_api.trace.form import Chunk, places, refused

DELIMITERS = (",", "|", "\t", ";")
# The file of the predecessor service begins with a record about the file; its columns have no names.
OLD_HEADER = "MPTREQ_"
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_FALLBACK = "cp1252"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Dialect:
    """How the text is written. ``header`` is the number of records before the first row, 0 or 1; ``named`` whether
    that record names the columns."""

    encoding: str
    bom: bytes
    delimiter: str
    ending: str
    header: int
    named: bool


@dataclass(frozen=True)
class CsvForm:
    """A file of separated values. ``width`` is how many fields a row has, ``at`` where the used ones stand."""

    dialect: Dialect
    head: tuple[str, ...]
    width: int
    at: tuple[int, ...]
    rows: int
    media_type: str = "text/csv"
    suffix: str = ".csv"

    def chunks(self, path: Path, size: int) -> Iterator[Chunk]:
        """Rows as lists of fields."""
        records = _records(path, self.dialect)
        next(islice(records, self.dialect.header, self.dialect.header), None)
        index = 0
        while rows := list(islice(records, size)):
            yield Chunk(index, rows, len(rows))
            index += 1

    def fields(self, chunk: Chunk) -> list[tuple[str, ...] | None]:
        """A column that the file lacks is empty."""
        width, at = self.width, self.at
        return [
            tuple([row[place] if place >= 0 else "" for place in at]) if len(row) == width else None
            for row in chunk.rows
        ]

    def surplus(self, chunk: Chunk, row: int) -> bool:
        """More fields than the header."""
        return len(chunk.rows[row]) > self.width

    def written(self, chunk: Chunk, answers: Sequence[Sequence[str]]) -> bytes:
        """Fields as they were. A short row is filled up, and the surplus of a long one stays in its last field, so
        that the added columns stand where their names do."""
        rows = [[*self._aligned(row), *added] for row, added in zip(chunk.rows, answers, strict=True)]
        return self._encoded(rows)

    def _aligned(self, row: list[str]) -> list[str]:
        if len(row) <= self.width:
            return row + [""] * (self.width - len(row))
        last = self.width - 1
        return [*row[:last], self.dialect.delimiter.join(row[last:])]

    def _encoded(self, rows: Sequence[Sequence[str]]) -> bytes:
        """CR LF quotes whatever any reader might take for the end of a record; then the file's own ending is put."""
        lines: list[str] = []
        sink: Any = _Sink(lines)
        csv.writer(sink, delimiter=self.dialect.delimiter, lineterminator="\r\n").writerows(rows)
        ending = self.dialect.ending
        text = "".join(lines) if ending == "\r\n" else "".join([line[:-2] + ending for line in lines])
        return text.encode(self.dialect.encoding)

    def join(self, parts: Sequence[Path], target: Path) -> None:
        """The header, its added names, and the parts one after the other."""
        with target.open("wb") as out:
            out.write(self.dialect.bom)
            if self.dialect.header:
                out.write(self._encoded([[*self.head, *ANSWER] if self.dialect.named else self.head]))
            for part in parts:
                with part.open("rb") as file:
                    while block := file.read(_BLOCK):
                        out.write(block)
            out.flush()
            os.fsync(out.fileno())


class _Sink:
    """Takes one written record at a time."""

    def __init__(self, lines: list[str]) -> None:
        self.write = lines.append


def inspect_csv(path: Path) -> CsvForm:
    """Read a file once from end to end. Raises FileRefused for what no reader can part into records."""
    with path.open("rb") as file:
        start = file.read(_BLOCK)
    if not start:
        raise refused("empty", "The file is empty.")
    bom, encoding = next(((bom, name) for bom, name in _BOMS if start.startswith(bom)), (b"", ""))
    if not encoding:
        encoding = "utf-8" if _is_utf8(path) else _FALLBACK
    dialect, head, width = _headed(start, bom, encoding)
    at = places(head) if dialect.named else places([column.name for column in REQUEST])
    rows = _count(path, dialect)
    if not rows:
        raise refused("no_rows", "The file has no row after its header.")
    return CsvForm(dialect, head, width, at, rows)


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _headed(start: bytes, bom: bytes, encoding: str) -> tuple[Dialect, tuple[str, ...], int]:
    """The dialect by its first record: names, the record of the predecessor service, or already a row."""
    line = start[len(bom) :].decode(encoding, "replace")
    ending = _ending(line)
    for delimiter in DELIMITERS:
        dialect = Dialect(encoding, bom, delimiter, ending, 1, named=True)
        head = _first(line, delimiter)
        if REFERENCE in map(canonical, head):
            return dialect, head, len(head)
        if head and head[0].startswith(OLD_HEADER):
            return Dialect(encoding, bom, delimiter, ending, 1, named=False), head, len(REQUEST)
        if len(head) == len(REQUEST):
            return Dialect(encoding, bom, delimiter, ending, 0, named=False), (), len(REQUEST)
    raise refused(
        "header",
        f"Line 1 neither names the column UNIQUE REFERENCE nor has the {len(REQUEST)} fields of a file without names.",
    )


def _ending(text: str) -> str:
    """How the first record ends; CR LF where the text has one record only."""
    ends = [(place, ending) for ending in ("\r\n", "\n", "\r") if (place := text.find(ending)) >= 0]
    return min(ends, key=lambda end: (end[0], -len(end[1])))[1] if ends else "\r\n"


def _first(text: str, delimiter: str) -> tuple[str, ...]:
    try:
        return tuple(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), ()))
    except csv.Error:
        return ()


def _count(path: Path, dialect: Dialect) -> int:
    return sum(1 for _ in _records(path, dialect)) - dialect.header


def _records(path: Path, dialect: Dialect) -> Iterator[list[str]]:
    """Every record. Raises FileRefused with the line where reading ends."""
    with path.open("rb") as file:
        file.seek(len(dialect.bom))
        with io.TextIOWrapper(file, encoding=dialect.encoding, errors="strict", newline="") as text:
            yield from _parted(text, dialect)


def _parted(text: io.TextIOWrapper, dialect: Dialect) -> Iterator[list[str]]:
    reader = csv.reader(text, delimiter=dialect.delimiter, strict=True)
    try:
        yield from reader
    except UnicodeDecodeError:
        line = f"After line {reader.line_num}"
        raise refused("encoding", f"{line} a byte is no {dialect.encoding}. Write the file as UTF-8.") from None
    except csv.Error:
        raise refused(
            "quotes",
            f"Line {reader.line_num}: a quote is not closed, stands in a field without, or a field is too long.",
        ) from None
