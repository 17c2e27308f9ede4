"""Records as the replica keeps them: JSON texts, packed into files beside it; the tables hold their places.

Belongs here: the SQL functions that pack a column of texts, and unpack a column of places. Does not belong here: the
files (``record_files.py``), what a record is and says (``assets/replica``), which texts a dictionary is made from
(``assets/replica/dictionary.py``).

The text comes back byte for byte. A record packed before there was a dictionary is in a file without one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic, TypeVar

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from duckdb.func import PythonUDFType

from search_api import db
from search_api.record_files import (
    RecordFiles,
    RecordWriter,
    Texts,
    dictionary_of,
    file_numbers,
    file_path,
)

_T = TypeVar("_T")


def install(connection: db.Connection, feed: str) -> None:
    """Give a connection the SQL function ``unpack_<feed>``."""
    _create(connection, unpack_name(feed), _unpacker(RecordFiles(folder_of(connection), feed)), ("BIGINT", "VARCHAR"))


@contextmanager
def storing(connection: db.Connection, feed: str, dictionary: bytes) -> Iterator[RecordWriter]:
    """A block in which ``pack_<feed>`` adds texts to a new file and gives their places. The caller has the writer
    synced before it commits; what was added and not committed is never read."""
    writer = RecordWriter(folder_of(connection), feed, dictionary)
    _create(connection, pack_name(feed), _packer(writer), ("VARCHAR", "BIGINT"), side_effects=True)
    try:
        yield writer
    finally:
        _forget(connection, pack_name(feed))
        writer.close()


def folder_of(connection: db.Connection) -> Path:
    """The folder of the database that is open: records lie beside it."""
    found = db.row(connection, "SELECT path FROM duckdb_databases() WHERE database_name = current_database()")
    return Path(found[0] if found and found[0] else ".").parent


def last_dictionary(folder: Path, feed: str) -> bytes:
    """The dictionary of the newest file of a feed that has one; empty when none has."""
    found = (dictionary_of(file_path(folder, feed, number)) for number in reversed(file_numbers(folder, feed)))
    return next((dictionary for dictionary in found if dictionary), b"")


def pack_name(feed: str) -> str:
    """The SQL function that packs a text of this feed."""
    return f"pack_{feed}"


def unpack_name(feed: str) -> str:
    """The SQL function that unpacks a record of this feed."""
    return f"unpack_{feed}"


class _Shared(Generic[_T]):
    """Things for one thread each, for whichever thread of the database asks next."""

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make = make
        self._free: deque[_T] = deque()

    @contextmanager
    def one(self) -> Iterator[_T]:
        """One that nobody else has meanwhile."""
        try:
            taken = self._free.pop()
        except IndexError:
            taken = self._make()
        yield taken
        self._free.append(taken)


def _packer(writer: RecordWriter) -> Callable[[pa.ChunkedArray], pa.Array]:
    shared = _Shared(writer.packer)

    def pack(column: pa.ChunkedArray) -> pa.Array:
        array = _whole(column)
        texts = texts_of(pc.binary_join_element_wise(array.drop_null(), "", "\n"))
        with shared.one() as packer:
            places = writer.add(texts, packer)
        if len(places) == len(array):
            return pa.array(places, pa.int64())
        found = iter(places)
        return pa.array([next(found) if there else None for there in array.is_valid().to_pylist()], pa.int64())

    return pack


def _unpacker(files: RecordFiles) -> Callable[[pa.ChunkedArray], pa.Array]:
    shared = _Shared(files.reader)

    def unpack(column: pa.ChunkedArray) -> pa.Array:
        array = _whole(column)
        with shared.one() as reader:
            texts = iter(reader.texts(array.drop_null().to_pylist()))
        found = (
            list(texts)
            if not array.null_count
            else [next(texts) if at else None for at in array.is_valid().to_pylist()]
        )
        return pa.array(found, pa.binary()).cast(pa.string())

    return unpack


def texts_of(array: pa.Array) -> Texts:
    """The values of a column of lines (texts, each with a line end) without NULLs, where they lie."""
    _, ends, data = array.buffers()
    if data is None:
        return Texts(memoryview(b""), [0] * (len(array) + 1))
    width = np.int64 if pa.types.is_large_binary(array.type) or pa.types.is_large_string(array.type) else np.int32
    return Texts(memoryview(data), np.frombuffer(ends, width)[array.offset : array.offset + len(array) + 1].tolist())


def _whole(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return array.chunk(0) if isinstance(array, pa.ChunkedArray) else array


def _create(
    connection: db.Connection,
    name: str,
    made: Callable[[pa.ChunkedArray], pa.Array],
    types: tuple[str, str],
    *,
    side_effects: bool = False,
) -> None:
    _forget(connection, name)
    takes, gives = types
    connection.create_function(name, made, [takes], gives, type=PythonUDFType.ARROW, side_effects=side_effects)


def _forget(connection: db.Connection, name: str) -> None:
    # Tried, not asked for: the list of all functions takes the database a third of the time of a small build.
    with suppress(duckdb.InvalidInputException):
        connection.remove_function(name)
