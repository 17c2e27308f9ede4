"""Rows that contradict each other: one key more than once in one extract.

Belongs here: which copies of a key lose. Does not belong here: rules on single rows.

The sheet rejects duplicates (services.md 19.4, REC_DUPLICATE_KEY) without saying which copy. Ours:
the copy that the source itself ranks highest is kept (version, else recorded_at: 19.6 point 4).
Copies that tie at the top are one record if their content is equal (the first row is kept); if it
differs nobody can say which is true, and all of them lose. The order of rows in the file never
matters. The ranking is done before the other rules: when the best copy breaks a rule, an older
one does not take its place.

DuckDB does it, since a key may repeat over any distance and national files do not fit in memory.
"""

from __future__ import annotations

import duckdb
import polars as pl

from schemas.feeds import Feed

_LOSERS = """
WITH repeated AS (
  SELECT source_key FROM ({rows}) WHERE source_key IS NOT NULL GROUP BY source_key HAVING count(*) > 1
), copies AS (
  SELECT source_key, row_no, {rank} AS rank, hash({content}) AS content
  FROM ({rows}) SEMI JOIN repeated USING (source_key)
), top AS (
  SELECT source_key, max(rank) AS rank FROM copies GROUP BY source_key
), winners AS (
  SELECT min(copies.row_no) AS row_no
  FROM copies JOIN top ON copies.source_key = top.source_key AND copies.rank IS NOT DISTINCT FROM top.rank
  GROUP BY copies.source_key HAVING count(DISTINCT copies.content) = 1
)
SELECT row_no FROM copies ANTI JOIN winners USING (row_no) ORDER BY row_no
"""
_REPEATS = "SELECT count(*) - count(DISTINCT source_key) FROM ({rows}) WHERE source_key IS NOT NULL"


def duplicate_losers(connection: duckdb.DuckDBPyConnection, rows: str, feed: Feed) -> pl.Series:
    """Row numbers (Int64, sorted) of the copies that lose.

    ``rows`` is SQL that selects the extract's rows with the feed's columns.
    """
    # Reading keys alone is cheap; most extracts end here.
    [repeats] = connection.execute(_REPEATS.format(rows=rows)).fetchone() or (0,)
    if not repeats:
        return pl.Series("row_no", [], dtype=pl.Int64())
    content = ", ".join(f'"{name}"' for name in feed.polars_schema if name != "row_no")
    query = _LOSERS.format(rows=rows, rank=feed.version_field or "recorded_at", content=content)
    found = connection.execute(query).fetchall()
    return pl.Series("row_no", [row_no for (row_no,) in found], dtype=pl.Int64())
