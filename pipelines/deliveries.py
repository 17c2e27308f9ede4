"""What lies in the drop folder and what of it is news; what is validated and not yet published.

Belongs here: the two questions that sensors and the command line ask before they start a job.
Does not belong here: judging a delivery (``quality``), starting anything (``sensors.py``, ``launch.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from assets.stores import Stores
from schemas.extract import MANIFEST_NAME, ExtractManifest
from schemas.feeds import FEEDS
from schemas.generation import GENERATION_MANIFEST_NAME, GenerationManifest
from search_api.ops.ledger import Ledger

# Deferred deliveries are tried again when something else of their feed arrives.
_SETTLED = frozenset({"accepted", "partial", "refused", "landed"})


@dataclass(frozen=True)
class Delivery:
    """One complete delivery: its manifest exists."""

    feed: str
    manifest: Path

    def sha256(self) -> str:
        """Of the manifest's bytes, in hex: the identity of a delivery in the ledger."""
        return hashlib.sha256(self.manifest.read_bytes()).hexdigest()

    def read(self) -> ExtractManifest | None:
        """The manifest, or None when it is malformed (landing refuses it with its reason)."""
        try:
            return ExtractManifest.model_validate_json(self.manifest.read_bytes())
        except (ValidationError, OSError):
            return None


def delivered(stores: Stores, feed: str) -> list[Delivery]:
    """Complete deliveries of a feed in the drop folder, by source and sequence."""
    return [Delivery(feed, manifest) for manifest in sorted((stores.drop / feed).glob(f"*/*/{MANIFEST_NAME}"))]


def signature(deliveries: list[Delivery]) -> str:
    """Changes when a manifest is added, replaced or taken away. Reads no file."""
    digest = hashlib.sha256()
    for delivery in deliveries:
        state = delivery.manifest.stat()
        digest.update(f"{delivery.manifest}|{state.st_size}|{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def news(deliveries: list[Delivery], ledger: Ledger, feed: str) -> list[Delivery]:
    """Those that the ledger does not know as settled."""
    known = {entry.sha256 for entry in ledger.entries(feed) if entry.outcome in _SETTLED}
    return [delivery for delivery in deliveries if delivery.sha256() not in known]


def validated_states(ledger: Ledger) -> dict[tuple[str, str], int]:
    """(feed, source) to the last committed sequence."""
    states: dict[tuple[str, str], int] = {}
    for feed in FEEDS:
        for entry in ledger.validated(feed):
            key = (feed, entry.source)
            states[key] = max(entry.sequence, states.get(key, 0))
    return states


def built_states(stores: Stores) -> dict[tuple[str, str], int]:
    """(feed, source) to the sequence inside the newest generation, be it current or rolled back from.

    Rolling back must not make the same extracts news again: only a later extract does.
    """
    manifests = sorted(_manifests(stores), key=lambda manifest: manifest.number)
    return {(state.feed, state.source): state.sequence for state in manifests[-1].feeds} if manifests else {}


def unpublished(stores: Stores, ledger: Ledger) -> dict[tuple[str, str], int]:
    """What is validated beyond the newest generation: (feed, source) to sequence; empty when nothing is."""
    built = built_states(stores)
    return {key: seq for key, seq in validated_states(ledger).items() if seq > built.get(key, 0)}


def _manifests(stores: Stores) -> Iterator[GenerationManifest]:
    for path in stores.generations.glob(f"*/{GENERATION_MANIFEST_NAME}"):
        try:
            yield GenerationManifest.model_validate_json(path.read_bytes())
        except (ValidationError, OSError):
            # Being removed, or of another schema version: it cannot be built upon either.
            continue
