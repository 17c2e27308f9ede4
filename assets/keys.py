"""Asset keys, spelt in one place: ``{stage}__{table}`` is key, file stem, table and doc page.

Belongs here: names. Does not belong here: anything that runs.
"""

from __future__ import annotations

from schemas.feeds import FEEDS

STAGES = ("source", "landing", "validated", "quarantine", "replica", "index", "published", "report", "weights")

INDEX = "index__patient"
PUBLISHED = "published__generation"
REPORT_FRESHNESS = "report__freshness"
WEIGHTS_PROPOSED = "weights__proposed"


def source(feed: str) -> str:
    """The supplier's delivery (external asset)."""
    return f"source__{feed}"


def landing(feed: str) -> str:
    """Byte-faithful copy and receipt."""
    return f"landing__{feed}"


def validated(feed: str) -> str:
    """Rows that meet the contract."""
    return f"validated__{feed}"


def quarantine(feed: str) -> str:
    """Rows that do not."""
    return f"quarantine__{feed}"


def replica(feed: str) -> str:
    """The latest true state; also the table's name in ``replica.duckdb``."""
    return f"replica__{feed}"


def all_keys() -> tuple[str, ...]:
    """Every asset key, in the data's order."""
    per_feed = (source, landing, validated, quarantine, replica)
    keys = [make(feed) for make in per_feed for feed in FEEDS]
    return (*keys, INDEX, PUBLISHED, REPORT_FRESHNESS, WEIGHTS_PROPOSED)
