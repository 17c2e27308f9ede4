"""What the documents of a slice are found by: blocking keys and exact terms.

Belongs here: which keys and terms a patient has; formats of keys as in ``matching/blocking.py``, which a test
compares. Does not belong here: normalisation, the payload (``columns.py``), the questions' side.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from search_api.index.columns import Columns, Parts
from search_api.index.items import listed
from search_api.index.words import LISTED_TERMS, PREFIXES, RESTRICTED

# A given name that is not known, in the key of the day, the sex and the initial.
NO_INITIAL = "_"


class Worded(NamedTuple):
    """What the documents of a slice are found by. ``words``: keys, ``keys`` of them, then the terms kept among them; ``rows``:
    of the patient each belongs to. ``texts``: for each patient all other terms as one text."""

    words: pl.Series
    rows: pl.Series
    keys: int
    texts: pl.Series


def keys(parts: Parts, height: int) -> pl.Series:
    """For each patient the list of its keys, each once."""
    return _lists(list(_keys(parts)), height)


def terms(parts: Parts, height: int) -> pl.Series:
    """For each patient the exact terms that narrow a non-fuzzy search, each with its kind in front.

    What they let through is checked on the payload. Of the dead the year of death. Postcodes only where no key holds
    them whole: pseudo and malformed ones, and long foreign codes.
    """
    return _lists([frame for _, frame in _named_terms(parts)], height)


def worded(made: Columns) -> Worded:
    """Everything that the documents of a slice are found by."""
    found = list(_keys(made.parts))
    terms = dict(_named_terms(made.parts))
    words = pl.concat([*found, *(terms.pop(field) for field in LISTED_TERMS)], rechunk=True)
    closed = pl.DataFrame({"row": (~made.is_open).arg_true()}).with_columns(word=pl.lit(RESTRICTED))
    texts = _lists([*terms.values(), closed], len(made.numbers)).list.join(" ")
    return Worded(words["word"], words["row"], sum(map(len, found)), texts)


def all_keys(made: Columns) -> pl.Series:
    """The keys of a slice alone, as ``Worded`` has them."""
    return pl.concat([each["word"] for each in _keys(made.parts)])


def _lists(found: list[pl.DataFrame], height: int) -> pl.Series:
    """Frames of row and word as one list for each row, in the order of the frames."""
    rows = pl.concat([each["row"] for each in found])
    # Rows of a slice fit in 16 bits, which are sorted by counting: a tenth of the time.
    order = pl.Series(values=np.argsort(rows.to_numpy().astype(np.min_scalar_type(height)), kind="stable"))
    # In one piece: gathering from many takes ten times as long.
    texts = pl.concat([each["word"] for each in found], rechunk=True).gather(order)
    return listed(rows, texts, height)


def _keys(parts: Parts) -> Iterator[pl.DataFrame]:
    """Keys by kind; a key with a missing part is skipped. A partial date makes only those of its year."""
    family = parts.families.select("row", "name", pl.col("codes").alias("code"))
    family = family.explode("code", keep_nulls=False, empty_as_null=False)
    given = parts.givens.select("row", "name", "first", pl.col("codes").alias("code"))
    given = given.explode("code", keep_nulls=False, empty_as_null=False)
    first = given.filter("first").select("row", "name", "code")
    keyed = pl.concat([family.select("row", "code"), first.select("row", "code")]).unique()
    pairs = _pairs(family, first)
    for kind, column in (("t", pl.col("email").not_()), ("@", pl.col("email"))):
        yield _words(parts.contacts.filter(column).unique(("row", "value")), kind, "value")
    yield from _dated(parts, keyed, pairs)
    places = parts.places.filter(pl.col("whole").ne(""))
    yield _words(places.select("row", "whole").unique(), "l", "whole")
    lived = places.filter(~pl.col("historic")).select("row", "whole").unique()
    yield _words(lived.join(keyed, "row"), "p", "whole", "code")
    yield _words(pairs, "n", "pair")


def _pairs(family: pl.DataFrame, first: pl.DataFrame) -> pl.DataFrame:
    """Codes of family name and first given name of one name, sorted."""
    one, two = pl.col("code"), pl.col("code_right")
    both = family.join(first, "name")
    ordered = pl.when(one < two).then(pl.concat_str(one, two)).otherwise(pl.concat_str(two, one))
    return both.select("row", ordered.alias("pair")).unique()


def _dated(parts: Parts, keyed: pl.DataFrame, pairs: pl.DataFrame) -> Iterator[pl.DataFrame]:
    people = parts.people
    areas = parts.places.filter(~pl.col("historic") & pl.col("area").ne("")).select("row", "area").unique()
    initials = parts.givens.filter(pl.col("first") & pl.col("initial").ne("")).select("row", "initial").unique()
    born = pl.DataFrame({"row": pl.Series(values=range(people.height), dtype=pl.UInt32)})
    born = born.join(initials, "row", "left").with_columns(pl.col("initial").fill_null(NO_INITIAL))
    sexed = people["sex"].replace({"O": "U", "": "U"})
    yield _words(_with(keyed, people["day"], "day"), "a", "day", "code")
    yield _words(_with(areas, people["day"], "day"), "b", "day", "area")
    yield _words(_with(_with(born, sexed, "sex"), people["day"], "day"), "c", "day", "sex", "initial")
    yield _words(_with(pairs, people["year"], "year"), "e", "year", "pair")


def _named_terms(parts: Parts) -> Iterator[tuple[str, pl.DataFrame]]:
    """Exact terms by their field."""
    people = parts.people.with_row_index("row")
    yield "family", _term(parts.families.filter(pl.col("joined").ne("")).unique(("row", "joined")), "family", "joined")
    words = parts.givens.select("row", "words").explode("words", keep_nulls=False, empty_as_null=False)
    joined = parts.givens.select("row", pl.col("joined").alias("words"))
    yield "word", _term(pl.concat([words, joined]).filter(pl.col("words").ne("")).unique(), "word", "words")
    odd = parts.places.filter(pl.col("whole").ne(pl.col("text")))
    yield "postcode", _term(odd.unique(("row", "text")), "postcode", "text")
    yield "gp", _term(people.filter(pl.col("practice").ne("")), "gp", "practice")
    yield (
        "death",
        _term(people.filter(pl.col("death").ne(0)).with_columns(year=pl.col("death") // 10000), "death", "year"),
    )


def _with(frame: pl.DataFrame, values: pl.Series, name: str) -> pl.DataFrame:
    """With the value of each row's patient; rows of patients without one are left out."""
    return frame.with_columns(values.gather(frame["row"]).alias(name)).filter(pl.col(name).ne(""))


def _words(frame: pl.DataFrame, kind: str, *parts: str) -> pl.DataFrame:
    return frame.select("row", pl.concat_str(pl.lit(kind), *parts).alias("word"))


def _term(frame: pl.DataFrame, field: str, part: str) -> pl.DataFrame:
    return _words(frame, PREFIXES[field], part)
