"""The nested frame of the replica as long frames: one row an item, hidden values left out.

Belongs here: names, addresses and telecoms of a slice, each with the row of its patient.
Does not belong here: what becomes of them (``columns.py``), normalisation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from schemas.fields import HIDDEN, HISTORIC

_PEOPLE = ("nhs_number", "open", "gender", "birth_date", "deceased", "gp_code")
# The hash of the replica's row that a document is made of; not in frames from elsewhere.
FROM_ROW = "fingerprint"


class Items(NamedTuple):
    """A slice: patients by row, and what they hold in the order of rows; of one patient current values come first.

    ``people``: nhs_number, open, gender, birth_date, deceased, gp_code, and ``FROM_ROW`` if it came. The others: row, historic, and family and
    given; or postcode and line; or email (whether it is one) and value.
    """

    people: pl.DataFrame
    names: pl.DataFrame
    places: pl.DataFrame
    contacts: pl.DataFrame


def items(frame: pl.DataFrame, *, show_very_restricted: bool) -> Items:
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
    line = pl.col("lines").list.join(" ", ignore_nulls=True).alias("line")
    is_email = pl.col("system").fill_null("").eq("email").alias("email")
    return Items(
        kept.select(*_PEOPLE, *(name for name in kept.columns if name == FROM_ROW)),
        _long(kept, "names", (pl.col("family"), pl.col("given"))),
        _long(kept, "addresses", (pl.col("postcode"), line)),
        _long(kept, "telecoms", (is_email, pl.col("value"))).filter(pl.col("value").is_not_null()),
    )


def _long(kept: pl.DataFrame, column: str, parts: tuple[pl.Expr, pl.Expr]) -> pl.DataFrame:
    """The visible items of a nested column. Of equal values the current one is to be named, so it comes first."""
    long = kept.select("row", column).explode(column, keep_nulls=False, empty_as_null=False)
    long = long.filter(pl.col(column).is_not_null()).unnest(column)
    state = pl.col("state").fill_null("")
    long = long.filter(state.ne(HIDDEN)).select("row", state.eq(HISTORIC).alias("historic"), *parts)
    return long.sort("row", "historic", maintain_order=True)


def listed(rows: pl.Series, values: pl.Series, height: int) -> pl.Series:
    """For each of ``height`` rows the list of its values, which are in the order of the rows; ``rows`` may be in any. A
    grouping that also knows of rows without any."""
    starts = np.zeros(height + 1, np.int64)
    np.cumsum(np.bincount(rows.to_numpy(), minlength=height), out=starts[1:])
    return pl.Series(values=pa.LargeListArray.from_arrays(pa.array(starts), values.to_arrow()))
