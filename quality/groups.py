"""Rows that contradict each other: one key more than once in one extract.

Belongs here: which copies of a key lose. Does not belong here: rules on single rows.

The sheet rejects duplicates (services.md 19.4, REC_DUPLICATE_KEY) without saying which copy. Ours:
the copy that the source itself ranks highest is kept (version, else recorded_at: 19.6 point 4).
Copies that tie at the top are one record if their content is equal (the first row is kept); if it
differs nobody can say which is true, and all of them lose. The order of rows in the file never
matters. The ranking is done before the other rules: when the best copy breaks a rule, an older
one does not take its place.

DuckDB ranks, since a key may repeat over any distance and national files do not fit in memory. Which keys repeat is
found by sorting 8 bytes a row here: DuckDB's distinct counts and groups of 63 million keys did not fit 1.5 GB.
"""

from __future__ import annotations

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from schemas.feeds import Feed

_BATCH_ROWS = 250_000
_SPAN_ROWS = 2_000_000
_HASHES = "SELECT hash(source_key) AS hash FROM ({rows}) WHERE source_key IS NOT NULL"
# Two keys of one hash do no harm: whoever is the only copy of its key wins.
_COPIES = """
CREATE OR REPLACE TEMP TABLE copies AS
SELECT source_key, row_no, {rank} AS rank
FROM ({rows}) AS sent SEMI JOIN repeated ON hash(sent.source_key) = repeated.hash
WHERE source_key IS NOT NULL
"""
_SPANS = f"SELECT DISTINCT row_no // {_SPAN_ROWS} FROM copies ORDER BY 1"  # noqa: S608 - a number of ours
_CONTENT = """
SELECT row_no, hash({content}) AS content FROM ({rows}) SEMI JOIN copies USING (row_no)
WHERE row_no BETWEEN {first} AND {last}
"""
_LOSERS = """
WITH top AS (
  SELECT source_key, max(rank) AS rank FROM copies GROUP BY source_key
), winners AS (
  SELECT min(copies.row_no) AS row_no
  FROM copies JOIN contents USING (row_no)
  JOIN top ON copies.source_key = top.source_key AND copies.rank IS NOT DISTINCT FROM top.rank
  GROUP BY copies.source_key HAVING count(DISTINCT contents.content) = 1
)
SELECT row_no FROM copies ANTI JOIN winners USING (row_no) ORDER BY row_no
"""


def duplicate_losers(connection: duckdb.DuckDBPyConnection, rows: str, feed: Feed) -> pl.Series:
    """Row numbers (Int64, sorted) of the copies that lose.

    ``rows`` is SQL that selects the extract's rows with the feed's columns.
    """
    # Reading keys alone is cheap; most extracts end here.
    repeated = _repeated(connection, rows)
    if not len(repeated):
        return pl.Series("row_no", [], dtype=pl.Int64())
    connection.register("repeated", pa.table({"hash": repeated}))
    connection.execute(_COPIES.format(rows=rows, rank=feed.version_field or "recorded_at"))
    _add_contents(connection, rows, feed)
    found = connection.execute(_LOSERS).fetchall()
    return pl.Series("row_no", [row_no for (row_no,) in found], dtype=pl.Int64())


def _add_contents(connection: duckdb.DuckDBPyConnection, rows: str, feed: Feed) -> None:
    """Fill ``contents``: what the copies hold, as a hash.

    A span of rows at a time, as whole rows of 63 million did not fit 1.5 GB; spans without copies are not read.
    """
    content = ", ".join(f'"{name}"' for name in feed.polars_schema if name != "row_no")
    connection.execute("CREATE OR REPLACE TEMP TABLE contents (row_no BIGINT, content UBIGINT)")
    spans = connection.execute(_SPANS).fetchall()
    for (span,) in spans:
        first = span * _SPAN_ROWS
        query = _CONTENT.format(content=content, rows=rows, first=first, last=first + _SPAN_ROWS - 1)
        connection.execute(f"INSERT INTO contents {query}")


def _repeated(connection: duckdb.DuckDBPyConnection, rows: str) -> npt.NDArray[np.uint64]:
    """Hashes of keys that come more than once."""
    [(most,)] = connection.execute(f"SELECT count(*) FROM ({rows})").fetchall()  # noqa: S608 - SQL of ours
    hashes, held = np.empty(most, dtype=np.uint64), 0
    for batch in connection.sql(_HASHES.format(rows=rows)).to_arrow_reader(_BATCH_ROWS):
        hashes[held : held + len(batch)] = batch.column(0).to_numpy()
        held += len(batch)
    hashes = hashes[:held]
    hashes.sort()
    return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
