"""Whether texts that should hold JSON objects do.

Belongs here: the test and its vectorised forms. Does not belong here: what the objects mean.
polars has no such test that distinguishes broken JSON, so each text is parsed once by orjson.

It is never parsed within an expression. A Python function there is called by one of polars' own threads, which needs the
interpreter's lock; a thread that holds the lock while it waits for those threads (``to_pandas``, ``to_arrow`` of polars
2.1) then waits for ever. So a rule names a column that ``with_verdicts`` puts beside the others first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson
import polars as pl

_TEXT, _LIST = " is no object", " holds no object"
# How many texts are looked at to see whether they repeat.
_LOOK = 1_000


def is_object(text: str) -> bool:
    """True for the JSON text of an object."""
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def not_json(column: str) -> pl.Expr:
    """True for a text that is not a JSON object; null stays null. For a frame ``with_verdicts``."""
    return pl.col(column + _TEXT)


def any_not_json(column: str) -> pl.Expr:
    """True for a list with a text that is not a JSON object (or is null). For a frame ``with_verdicts``."""
    return pl.col(column + _LIST)


def with_verdicts(frame: pl.DataFrame, tests: Sequence[pl.Expr]) -> pl.DataFrame:
    """The frame and, beside its own columns, those that these tests ask for."""
    asked = {name for test in tests for name in test.meta.root_names()}
    texts = {name: name.removesuffix(_TEXT) for name in asked if name.endswith(_TEXT)}
    lists = {name: name.removesuffix(_LIST) for name in asked if name.endswith(_LIST)}
    return frame.with_columns(
        *(_not_objects(frame[column]).alias(name) for name, column in sorted(texts.items())),
        *(_any_not_object(frame[column]).alias(name) for name, column in sorted(lists.items())),
    )


def _not_objects(column: pl.Series) -> pl.Series:
    texts = column.drop_nulls()
    # Where texts repeat (summaries without a document of their own) each is parsed once.
    if texts.len() > _LOOK and texts.head(_LOOK).n_unique() < _LOOK // 2:
        texts = texts.unique()
    if _all_objects(texts):
        return column.is_null().replace_strict({True: None, False: False}, return_dtype=pl.Boolean())
    return pl.Series([None if text is None else not is_object(text) for text in column], dtype=pl.Boolean())


def _any_not_object(column: pl.Series) -> pl.Series:
    flat = column.explode(empty_as_null=False)
    if flat.null_count() == column.null_count() and _all_objects(flat.drop_nulls()):
        return column.is_null().replace_strict({True: None, False: False}, return_dtype=pl.Boolean())
    broken = [None if texts is None else any(text is None or not is_object(text) for text in texts) for texts in column]
    return pl.Series(broken, dtype=pl.Boolean())


def _all_objects(texts: Iterable[str]) -> bool:
    """Whether every text is a JSON object: the usual case, met without a verdict for each."""
    loads = orjson.loads
    try:
        return all(type(loads(text)) is dict for text in texts)
    except orjson.JSONDecodeError:
        return False
