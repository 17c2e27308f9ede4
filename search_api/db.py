"""All use of DuckDB starts here: how a file is opened, with which limits, and how one value is read.

Belongs here: connections and their safe settings, small reading helpers, and the translation of a
file that cannot be opened. Does not belong here: any table (``assets/replica``, ``replica.py``).

Extensions are never fetched or loaded, readers cannot touch any other file, and every connection has
explicit limits of memory, threads and temporary space (promises.md S4, S5). One process cannot open
one file for writing and reading at once, and a file is never replaced in place (S6, S7).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from schemas.errors import GenerationError

Connection = duckdb.DuckDBPyConnection
DatabaseError = duckdb.Error

# Built into the wheel; everything else stays out.
_NO_EXTENSIONS = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
# Given when connecting, not by SET: one file opened twice in one process must be given equal settings.
# A reader never spills: it may use no temporary space.
_LOCKED = {"max_temp_directory_size": "0KB", "enable_external_access": "false", "lock_configuration": "true"}


# What a read of one row by its number gains from: the plan of such a query costs more than its answer.
_POINT_READS = frozenset({"filter_pushdown", "unused_columns"})


@dataclass(frozen=True)
class Limits:
    """What a building connection may use. ``temporary`` is a folder for spilling, made when needed."""

    memory_gb: float
    threads: int
    temporary: Path
    temporary_gb: float = 200.0


def open_reader(path: Path, memory_gb: float, *, points: bool = False) -> Connection:
    """A finished file, read only, alone: no other file, no extension, no change of settings.

    One thread per query: a point read is faster without hand-over, and requests run side by side. ``points``: only
    reads of one row by its number are made. Of the optimiser there is then what they gain from: the rest of it takes
    half the time of one (docs/decisions/0021), but a join or a list of numbers would read the whole table.
    Raises GenerationError when the file is missing, damaged or of an unknown version.
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        **_NO_EXTENSIONS,
        **_LOCKED,
        "memory_limit": f"{memory_gb}GB",
        "threads": 1,
    }
    if points:
        settings["disabled_optimizers"] = _disabled()
    try:
        return duckdb.connect(str(path), read_only=True, config=settings)
    except DatabaseError as error:
        raise _unreadable(path, error) from None


def open_scan(path: Path, memory_gb: float, threads: int) -> Connection:
    """A finished file, read only, for whoever reads all of it or joins: the whole optimiser, several threads.

    Raises GenerationError when the file is missing, damaged or of an unknown version.
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        **_NO_EXTENSIONS,
        **_LOCKED,
        "memory_limit": f"{memory_gb}GB",
        "threads": threads,
    }
    try:
        return duckdb.connect(str(path), read_only=True, config=settings)
    except DatabaseError as error:
        raise _unreadable(path, error) from None


@cache
def _disabled() -> str:
    with duckdb.connect() as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM duckdb_optimizers()").fetchall()]
    return ",".join(sorted(set(names) - _POINT_READS))


class Queries:
    """The queries of one cursor, each parsed once. For one thread; ``cursor`` is closed by who made it."""

    def __init__(self, cursor: Connection) -> None:
        self._cursor = cursor
        self._parsed: dict[str, duckdb.Statement] = {}

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Every row of one statement; ``sql`` is one of few, for each is kept."""
        statement = self._parsed.get(sql)
        if statement is None:
            statement = self._parsed[sql] = self._cursor.extract_statements(sql)[0]
        return list(self._cursor.execute(statement, list(values)).fetchall())


@contextmanager
def builder(path: Path, limits: Limits) -> Iterator[Connection]:
    """A file under construction. On leaving, the write-ahead log is folded in and the file closed.

    Raises GenerationError when the file cannot be opened.
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        **_NO_EXTENSIONS,
        "memory_limit": f"{limits.memory_gb}GB",
        "threads": limits.threads,
        "temp_directory": str(limits.temporary),
        "max_temp_directory_size": f"{limits.temporary_gb}GB",
    }
    try:
        connection = duckdb.connect(str(path), config=settings)
    except DatabaseError as error:
        raise _unreadable(path, error) from None
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
        connection.execute("CHECKPOINT")
    finally:
        connection.close()


@contextmanager
def transaction(connection: Connection) -> Iterator[Connection]:
    """One transaction: committed at the end, rolled back on any exception."""
    connection.execute("BEGIN TRANSACTION")
    try:
        yield connection
    except BaseException:
        _rolled_back(connection)
        raise
    connection.execute("COMMIT")


def row(connection: Connection, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
    """The first row of a short result, or None. Read to its end: an unread one blocks the connection."""
    found = rows(connection, sql, values)
    return found[0] if found else None


def rows(connection: Connection, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Every row."""
    return list(connection.execute(sql, list(values)).fetchall())


def number(connection: Connection, sql: str, values: Sequence[Any] = ()) -> int:
    """The one integer of a query that always gives a row; NULL counts as 0."""
    found = row(connection, sql, values)
    return int(found[0] or 0) if found else 0


def literal(text: str) -> str:
    """A text as an SQL literal, for statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def _rolled_back(connection: Connection) -> None:
    try:
        connection.execute("ROLLBACK")
    except DatabaseError:
        return  # a fatal error has ended the transaction already; the error itself goes on its way


def _unreadable(path: Path, error: duckdb.Error) -> GenerationError:
    return GenerationError(
        f"The database {path.parent.name}/{path.name} cannot be opened ({type(error).__name__}).",
        remedy="Verify the generation with ncrs verify; roll back if it is damaged.",
    )
