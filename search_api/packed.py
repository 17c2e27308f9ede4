"""Records as the replica keeps them: their JSON text, packed with a dictionary made from records like them.

Belongs here: packing and unpacking one text or a column of them, the SQL functions that do it, and
the table that holds the dictionaries. Does not belong here: what a record is (``assets/replica``),
which rows a dictionary is made from (``assets/replica/dictionary.py``).

A record is read alone, so it is packed alone; without a dictionary it would shrink to a third, with
one to an eighth (docs/decisions/0022). A record packed before there was a dictionary is read with any.
The text comes back byte for byte. A dictionary holds pieces of records: it stays in the replica.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa
import zstandard
from duckdb.func import PythonUDFType

from search_api import db

DICTIONARY_TABLE = "replica__dictionary"
CREATE = f'CREATE TABLE IF NOT EXISTS "{DICTIONARY_TABLE}" (feed VARCHAR, content BLOB)'
# Level 5 saves a tenth more and costs four times as much.
LEVEL = 3
PackingError = zstandard.ZstdError
# Neither the four bytes that say "Zstandard" nor the dictionary's number: every record would repeat them.
_FORMAT = zstandard.FORMAT_ZSTD1_MAGICLESS
_PARAMETERS = zstandard.ZstdCompressionParameters.from_level(
    LEVEL, format=_FORMAT, write_content_size=True, write_checksum=False, write_dict_id=False
)


class Packing:
    """How the records of one feed are packed. Its readers and writers are for one thread each."""

    def __init__(self, dictionary: bytes = b"") -> None:
        self._dictionary = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
        if self._dictionary is not None:
            self._dictionary.precompute_compress(compression_params=_PARAMETERS)

    def packer(self) -> Callable[[bytes | memoryview], bytes]:
        """What packs one text."""
        made = zstandard.ZstdCompressor(dict_data=self._dictionary, compression_params=_PARAMETERS)
        return made.compress

    def unpacker(self) -> Callable[[bytes | memoryview], bytes]:
        """What unpacks one record; it raises PackingError for damaged bytes."""
        made = zstandard.ZstdDecompressor(dict_data=self._dictionary, format=_FORMAT)
        return made.decompress


def packing_of(connection: db.Connection, feed: str) -> Packing:
    """How the records of a feed are packed in this replica."""
    found = db.row(connection, f'SELECT content FROM "{DICTIONARY_TABLE}" WHERE feed = ?', [feed])  # noqa: S608
    return Packing(bytes(found[0])) if found else Packing()


def install(connection: db.Connection, feed: str) -> None:
    """Give a connection the SQL functions ``pack_<feed>`` and ``unpack_<feed>``, of the dictionary it has now."""
    packing = packing_of(connection, feed)
    for name, made in ((pack_name(feed), _column_packer(packing)), (unpack_name(feed), _column_unpacker(packing))):
        _forget(connection, name)
        takes, gives = ("VARCHAR", "BLOB") if name == pack_name(feed) else ("BLOB", "VARCHAR")
        connection.create_function(name, made, [takes], gives, type=PythonUDFType.ARROW)


def pack_name(feed: str) -> str:
    """The SQL function that packs a text of this feed."""
    return f"pack_{feed}"


def unpack_name(feed: str) -> str:
    """The SQL function that unpacks a record of this feed."""
    return f"unpack_{feed}"


class _Shared:
    """Packers for whichever thread of the database asks next."""

    def __init__(self, make: Callable[[], Callable[[bytes | memoryview], bytes]]) -> None:
        self._make = make
        self._free: deque[Callable[[bytes | memoryview], bytes]] = deque()

    def apply(self, column: pa.ChunkedArray) -> list[bytes | None]:
        """Each value packed or unpacked; NULL stays."""
        try:
            one = self._free.pop()
        except IndexError:
            one = self._make()
        array = column.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = array.chunk(0)
        made = _each(array, one)
        self._free.append(one)
        return made


def _each(array: pa.Array, one: Callable[[bytes | memoryview], bytes]) -> list[bytes | None]:
    """Without NULLs the values are read where they lie."""
    if array.null_count:
        values = array.cast(pa.binary()).to_pylist()
        return [None if value is None else one(value) for value in values]
    _, ends, data = array.buffers()
    if data is None:
        return [one(b"") for _ in range(len(array))]
    offsets = np.frombuffer(ends, np.int32)[array.offset : array.offset + len(array) + 1].tolist()
    view = memoryview(data)
    return [one(view[start:end]) for start, end in pairwise(offsets)]


def _column_packer(packing: Packing) -> Callable[[pa.ChunkedArray], pa.Array]:
    shared = _Shared(packing.packer)
    return lambda column: pa.array(shared.apply(column), pa.binary())


def _column_unpacker(packing: Packing) -> Callable[[pa.ChunkedArray], pa.Array]:
    shared = _Shared(packing.unpacker)
    return lambda column: pa.array(shared.apply(column), pa.binary()).cast(pa.string())


def _forget(connection: db.Connection, name: str) -> None:
    # Tried, not asked for: the list of all functions takes the database a third of the time of a small build.
    with suppress(duckdb.InvalidInputException):
        connection.remove_function(name)
