"""Whether texts that should hold JSON objects do.

Belongs here: the test and its vectorised forms. Does not belong here: what the objects mean.
polars has no such test that distinguishes broken JSON, so each text is parsed once by orjson.
"""

from __future__ import annotations

import orjson
import polars as pl


def is_object(text: str) -> bool:
    """True for the JSON text of an object."""
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def not_json(text: pl.Expr) -> pl.Expr:
    """True for a text that is not a JSON object; null stays null."""
    return text.map_batches(_not_objects, return_dtype=pl.Boolean())


def any_not_json(texts: pl.Expr) -> pl.Expr:
    """True for a list with a text that is not a JSON object (or is null)."""
    return texts.map_batches(_any_not_object, return_dtype=pl.Boolean())


def _not_objects(column: pl.Series) -> pl.Series:
    return pl.Series([None if text is None else not is_object(text) for text in column], dtype=pl.Boolean())


def _any_not_object(column: pl.Series) -> pl.Series:
    broken = [None if texts is None else any(text is None or not is_object(text) for text in texts) for texts in column]
    return pl.Series(broken, dtype=pl.Boolean())
