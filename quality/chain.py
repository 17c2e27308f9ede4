"""Whether an extract follows what was accepted before it from the same source.

Belongs here: sequence, gap, age and shrink rules, from plain values. Does not belong here: where
those values are kept (the ledger), what to do with a held or refused extract (``assets/landing``).
Source: reference/services.md 19.6 points 1, 2, 6 and 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from quality.reasons import refused
from schemas.extract import ExtractManifest


@dataclass(frozen=True)
class Position:
    """The end of a source's chain: its last extract, and the as-at time reached."""

    sequence: int
    as_at: datetime


def check_chain(manifest: ExtractManifest, head: Position | None) -> None:
    """Order and gaps. Raises FileRefused: OLDER, SEQUENCE_STEP, or GAP (which defers).

    A full needs no predecessor and so closes a gap; a delta must follow by exactly one.
    """
    previous = manifest.previous_sequence
    if previous is not None and previous >= manifest.sequence:
        raise refused("SEQUENCE_STEP", "previous_sequence")
    if head is not None and manifest.sequence <= head.sequence:
        raise refused("OLDER", f"sequence {head.sequence} was accepted")
    if head is not None and manifest.window_to < head.as_at:
        raise refused("OLDER", f"window_to lies before that of sequence {head.sequence}")
    if manifest.kind == "delta":
        _check_predecessor(manifest, head)


def _check_predecessor(manifest: ExtractManifest, head: Position | None) -> None:
    last = None if head is None else head.sequence
    if manifest.previous_sequence != last:
        waited = manifest.previous_sequence if manifest.previous_sequence is not None else "none"
        raise refused("GAP", f"it follows {waited}, the last accepted is {last if last is not None else 'none'}")
    if last is not None and manifest.sequence != last + 1:
        raise refused("SEQUENCE_STEP", f"the last accepted is {last}")


def check_shrink(records: int, last_full: int | None, limit: float) -> None:
    """A full must not be smaller than the last one by more than ``limit`` (a share, 0.02 is 2 %).

    Raises FileRefused with rule SHRUNK.
    """
    if last_full is None:
        return
    least = last_full * (1 - limit)
    if records < least:
        raise refused("SHRUNK", f"{records} records, the last full had {last_full}")
