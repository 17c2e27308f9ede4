"""The byte-faithful copy: hash, size, packing and rows checked in the one pass that copies.

Belongs here: copying one data file out of the drop folder and checking it against the manifest.
Does not belong here: what its rows say.

The copy is read from the same stream that is hashed, so a supplier who changes a file while we
read it gets a hash mismatch, not a mixture. A hard link would let them change what we validated.
"""

from __future__ import annotations

import hashlib
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assets.landing.deliveries import open_plain
from quality.contract import check_columns
from quality.reasons import refused
from schemas.extract import DataFile
from schemas.feeds import Feed

_CHUNK = 1 << 20
# Below this size a high ratio harms nobody: a few equal rows pack very well.
_HARMLESS = 1 << 20
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def land_file(file: DataFile, source: Path, target: Path, feed: Feed, expansion: int) -> None:
    """Copy one data file and check bytes, hash, format, packing and rows. Raises FileRefused.

    ``expansion`` is the largest ratio of unpacked to packed size.
    """
    _copy(file, source / file.name, target / file.name)
    landed = target / file.name
    if file.format == "parquet":
        _check_parquet(file, landed, feed, expansion)
    else:
        _check_ndjson(file, landed, expansion)


def unchanged(file: DataFile, source: Path) -> bool:
    """Whether a delivered file still has the bytes its manifest names; one that was cleared away has.

    Raises FileRefused when it is not a plain file.
    """
    if not os.path.lexists(source / file.name):
        return True
    digest = hashlib.sha256()
    with os.fdopen(open_plain(source / file.name), "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == file.sha256


def unpacked(path: Path, packed: bool) -> Iterator[bytes]:
    """The content of an NDJSON file in chunks of bounded size; gzip members one after another.

    Raises FileRefused (FILE_UNPACK) for a truncated or corrupt file.
    """
    with path.open("rb") as stream:
        if not packed:
            while chunk := stream.read(_CHUNK):
                yield chunk
            return
        try:
            yield from _gunzip(stream)
        except (zlib.error, EOFError):
            raise refused("FILE_UNPACK", path.name) from None


def _copy(file: DataFile, source: Path, target: Path) -> None:
    digest, size = hashlib.sha256(), 0
    with os.fdopen(open_plain(source), "rb") as stream, target.open("wb") as copy:
        if os.fstat(stream.fileno()).st_size != file.bytes:
            raise refused("FILE_SIZE", file.name)
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > file.bytes:
                raise refused("FILE_SIZE", file.name)
            digest.update(chunk)
            copy.write(chunk)
    if size != file.bytes:
        raise refused("FILE_SIZE", file.name)
    if digest.hexdigest() != file.sha256:
        raise refused("FILE_HASH", file.name)


def _gunzip(stream: io.BufferedReader) -> Iterator[bytes]:
    decoder = zlib.decompressobj(wbits=31)
    waiting = stream.read(_CHUNK)
    while waiting:
        # max_length bounds what one call may give: a bomb is met in small pieces.
        piece = decoder.decompress(waiting, _CHUNK)
        if piece:
            yield piece
        waiting = decoder.unconsumed_tail
        if decoder.eof:
            # Another member may follow; padding with zeros is allowed (RFC 1952 readers take it).
            waiting = (decoder.unused_data or stream.read(_CHUNK)).lstrip(b"\0")
            decoder = zlib.decompressobj(wbits=31) if waiting else decoder
        elif not waiting:
            waiting = stream.read(_CHUNK)
    if not decoder.eof:
        raise EOFError


def _check_ndjson(file: DataFile, path: Path, expansion: int) -> None:
    packed = file.format == "ndjson.gz"
    with path.open("rb") as stream:
        start = stream.read(2)
    if packed != start.startswith(_GZIP) or start in _UTF16:
        raise refused("FILE_FORMAT", file.name)
    most = max(expansion * file.bytes, _HARMLESS)
    counter = LineCounter()
    for chunk in unpacked(path, packed):
        counter.add(chunk)
        if counter.size > most:
            raise refused("FILE_EXPANSION", file.name)
    if counter.lines != file.rows:
        raise refused("FILE_ROWS", f"{file.name}: {counter.lines} lines, {file.rows} promised")


class LineCounter:
    """Counts lines that are not blank, from chunks cut anywhere."""

    def __init__(self) -> None:
        self.size = 0
        self._lines = 0
        self._open = False

    @property
    def lines(self) -> int:
        """Lines so far, the last one without a line end included."""
        return self._lines + self._open

    def add(self, chunk: bytes) -> None:
        """Take the next chunk."""
        self.size += len(chunk)
        *ended, rest = chunk.split(b"\n")
        for line in ended:
            self._lines += self._open or bool(line.strip())
            self._open = False
        self._open = self._open or bool(rest.strip())


def _check_parquet(file: DataFile, path: Path, feed: Feed, expansion: int) -> None:
    with path.open("rb") as stream:
        start = stream.read(4)
        stream.seek(max(0, file.bytes - 4))
        end = stream.read(4)
    if start != _PARQUET or end != _PARQUET:
        raise refused("FILE_FORMAT", file.name)
    try:
        columns = dict(pl.read_parquet_schema(path))
        footer = pq.read_metadata(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException, OSError):
        raise refused("FILE_FORMAT", file.name) from None
    check_columns(feed, columns)
    if footer.num_rows != file.rows:
        raise refused("FILE_ROWS", f"{file.name}: {footer.num_rows} rows, {file.rows} promised")
    unpacked_size = sum(footer.row_group(group).total_byte_size for group in range(footer.num_row_groups))
    if unpacked_size > max(expansion * file.bytes, _HARMLESS):
        raise refused("FILE_EXPANSION", file.name)
