"""Verdicts: what judging an extract comes to, and the sums that must come out.

Belongs here: counts of one extract, their reconciliation, the file-level outcome they lead to.
Does not belong here: the rules. Source: architecture.md 2 (in = accepted + quarantined).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from quality.reasons import refused
from schemas.errors import ReconcileError


@dataclass
class Tally:
    """Running counts of one extract. ``control`` is the exclusive or of the numbers received.

    ``unreadable`` rows hold no known number, so with any of them the control total is undecided.
    """

    received: int = 0
    accepted: int = 0
    quarantined: int = 0
    unreadable: int = 0
    warnings: int = 0
    control: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    completeness: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Add the counts of another part of the same extract."""
        for name in ("received", "accepted", "quarantined", "unreadable", "warnings"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.control ^= other.control
        self.rules += other.rules
        self.completeness += other.completeness

    @property
    def reconciles(self) -> bool:
        """In = accepted + quarantined."""
        return self.received == self.accepted + self.quarantined

    def check(self, *, record_count: int, control: int) -> None:
        """Counts and control total against the manifest.

        Raises FileRefused when the extract is not what its manifest says, ReconcileError when we
        lost or invented a row.
        """
        if not self.reconciles:
            raise ReconcileError("Rows received are not rows accepted plus rows quarantined.")
        if self.received != record_count:
            raise refused("FILE_ROWS", f"{self.received} read, {record_count} promised")
        if self.unreadable == 0 and self.control != control:
            raise refused("FILE_CONTROL")
        if self.received > 0 and self.accepted == 0:
            raise refused("NONE_LOADED")

    @property
    def code(self) -> str:
        """File-level code of an extract that was not refused."""
        return "FILE_PARTIAL" if self.quarantined else "FILE_ACCEPTED"
