"""The nested frame of the replica as flat Python columns, hidden values left out.

Belongs here: reading names, addresses and telecoms of a slice with column operations.
Does not belong here: what becomes of them (``documents.py``), normalisation.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from operator import itemgetter
from typing import Any

import polars as pl

from schemas.fields import HIDDEN, HISTORIC

NameItem = tuple[bool, str | None, list[str | None] | None]
PlaceItem = tuple[bool, str | None, str | None]
ContactItem = tuple[bool, bool, str]


# One patient: NHS number, open, gender, birth, death, practice, names, addresses, telecoms. Items start
# with whether they are historic; a telecom then says whether it is an e-mail.
Row = tuple[
    int,
    bool,
    str | None,
    str | None,
    str | None,
    str | None,
    list[NameItem],
    list[PlaceItem],
    list[ContactItem],
]


def rows(frame: pl.DataFrame, *, show_very_restricted: bool) -> Iterator[Row]:
    """Patients who may be found, in the frame's order; location is gone from whoever is not open.

    Unless U (or not labelled) a patient counts as restricted: an unknown label hides, never shows.
    """
    security = pl.col("security").fill_null("U")
    shown = security.ne("REDACTED") & (security.ne("V") | pl.lit(show_very_restricted))
    kept = frame.filter(shown).with_columns(security.eq("U").alias("open"))
    # Telephone and e-mail of an R patient may be asked for (pds.md 1.9 bars postcode and practice only).
    contacted = pl.col("open") | security.eq("R")
    closed = [pl.when("open").then(pl.col(name)).otherwise(None).alias(name) for name in ("gp_code", "addresses")]
    closed.append(pl.when(contacted).then(pl.col("telecoms")).otherwise(None).alias("telecoms"))
    kept = kept.with_columns(*closed).with_row_index("row")
    plain = [kept[column].to_list() for column in ("nhs_number", "open", "gender", "birth_date", "deceased", "gp_code")]
    names = _grouped(kept, "names", ("family", "given"))
    places = _grouped(kept, "addresses", ("postcode", "lines"))
    contacts = _grouped(kept, "telecoms", ("email", "value"))
    return zip(*plain, names, places, contacts, strict=True)


def _grouped(kept: pl.DataFrame, column: str, parts: tuple[str, str]) -> list[list[tuple[bool, Any, Any]]]:
    """For each row the visible items of a nested column: historic flag and two parts."""
    long = kept.select("row", column).explode(column, keep_nulls=False, empty_as_null=False)
    long = long.filter(pl.col(column).is_not_null()).unnest(column)
    if column == "telecoms":
        long = long.with_columns(pl.col("system").fill_null("").eq("email").alias("email"))
        long = long.filter(pl.col("value").is_not_null())
    if column == "addresses":
        long = long.with_columns(pl.col("lines").list.join(" ", ignore_nulls=True))
    state = pl.col("state").fill_null("")
    long = long.filter(state.ne(HIDDEN)).select("row", state.eq(HISTORIC).alias("historic"), *parts)
    ends = long["row"].search_sorted(pl.Series(range(kept.height + 1), dtype=pl.UInt32), side="left").to_list()
    items = list(zip(long["historic"].to_list(), long[parts[0]].to_list(), long[parts[1]].to_list(), strict=True))
    return [_current_first(items[start:end]) for start, end in pairwise(ends)]


def _current_first(items: list[tuple[bool, Any, Any]]) -> list[tuple[bool, Any, Any]]:
    """Of equal values the current one is to be named, so it comes first."""
    return sorted(items, key=itemgetter(0)) if len(items) > 1 else items
