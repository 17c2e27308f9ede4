"""The small type algebra of the field catalogue and its translations.

Belongs here: the kinds a field can have, and one function per store that translates them.
Does not belong here: the fields themselves (``schemas/fields.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import polars as pl


class Scalar(Enum):
    """Kinds without parts. DATE_TEXT keeps a partial date (yyyy, yyyy-mm, yyyy-mm-dd) as sent."""

    TEXT = "text"
    DATE_TEXT = "date text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp, UTC, microseconds"


@dataclass(frozen=True)
class ListOf:
    """An ordered list of one kind."""

    item: Kind


@dataclass(frozen=True)
class Struct:
    """Named parts, in order."""

    parts: tuple[tuple[str, Kind], ...]


Kind: TypeAlias = Scalar | ListOf | Struct

_POLARS: dict[Scalar, pl.DataType] = {
    Scalar.TEXT: pl.String(),
    Scalar.DATE_TEXT: pl.String(),
    Scalar.INTEGER: pl.Int64(),
    Scalar.BOOLEAN: pl.Boolean(),
    Scalar.TIMESTAMP: pl.Datetime("us", "UTC"),
}
_DUCKDB = {
    Scalar.TEXT: "VARCHAR",
    Scalar.DATE_TEXT: "VARCHAR",
    Scalar.INTEGER: "BIGINT",
    Scalar.BOOLEAN: "BOOLEAN",
    Scalar.TIMESTAMP: "TIMESTAMPTZ",
}


def polars_type(kind: Kind) -> pl.DataType:
    """The polars dtype of a kind; parquet written from it has the catalogue's columns."""
    if isinstance(kind, Scalar):
        return _POLARS[kind]
    if isinstance(kind, ListOf):
        return pl.List(polars_type(kind.item))
    return pl.Struct([pl.Field(name, polars_type(part)) for name, part in kind.parts])


def duckdb_type(kind: Kind) -> str:
    """The DuckDB type of a kind, as SQL text."""
    if isinstance(kind, Scalar):
        return _DUCKDB[kind]
    if isinstance(kind, ListOf):
        return f"{duckdb_type(kind.item)}[]"
    return "STRUCT(" + ", ".join(f'"{name}" {duckdb_type(part)}' for name, part in kind.parts) + ")"


def describe(kind: Kind) -> str:
    """A kind in words, for the data dictionary."""
    if isinstance(kind, Scalar):
        return kind.value
    if isinstance(kind, ListOf):
        return f"list of {describe(kind.item)}"
    return "{" + ", ".join(f"{name}: {describe(part)}" for name, part in kind.parts) + "}"
