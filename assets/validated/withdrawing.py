"""Which numbers an accepted extract withdraws, so that nobody finds them before the next generation is built.

Belongs here: reading them from the accepted rows. Does not belong here: which field says so (``schemas/feeds.py``),
where they are kept (``search_api/ops/withdrawals.py``). Source: pds.md 2.3, architecture section 2.

Of a delta only: a full says of millions what they were before, and is the first of its feed.
"""

from __future__ import annotations

import polars as pl

from schemas.feeds import Feed


def withdrawn_by(feed: Feed, kind: str | None, rows: pl.LazyFrame) -> frozenset[int]:
    """The NHS numbers that these accepted rows withdraw."""
    if feed.withdraws is None or kind != "delta":
        return frozenset()
    field, value = feed.withdraws
    found = rows.filter(pl.col(field) == value, pl.col("action") != "delete").select(
        pl.col("nhs_number").cast(pl.Int64)
    )
    return frozenset(found.collect()["nhs_number"].drop_nulls().to_list())
