"""What is news: deliveries that changed since the last look, extracts validated and not yet published.

Belongs here: the questions that sensors and the command line ask before they start a job.
Does not belong here: finding deliveries (``assets/landing/deliveries.py``), judging them, starting
anything (``sensors.py``, ``launch.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from assets.landing.deliveries import Delivery, fingerprint
from assets.stores import Stores
from schemas.errors import FileRefused, GenerationError
from schemas.extract import MANIFEST_NAME, ExtractManifest
from schemas.feeds import FEEDS
from schemas.generation import GenerationManifest
from search_api.generation_files import published_folders, read_manifest
from search_api.ops.ledger import Ledger

States = dict[tuple[str, str], int]


def signature(found: Sequence[Delivery]) -> str:
    """Changes when anything of a feed's deliveries does: one value a feed for a sensor's cursor."""
    digest = hashlib.sha256()
    for delivery in found:
        digest.update(f"{delivery.source}/{delivery.sequence}={_seen(delivery)}\n".encode())
    return digest.hexdigest()[:16]


def manifest_of(delivery: Delivery) -> ExtractManifest | None:
    """The manifest, or None when it cannot be read (landing refuses it with its reason)."""
    try:
        return ExtractManifest.model_validate_json((delivery.folder / MANIFEST_NAME).read_bytes())
    except (ValidationError, OSError):
        return None


def validated_states(ledger: Ledger) -> States:
    """(feed, source) to the last committed sequence."""
    states: States = {}
    for feed in FEEDS:
        for entry in ledger.validated(feed):
            key = (feed, entry.source)
            states[key] = max(entry.sequence, states.get(key, 0))
    return states


def built_states(stores: Stores) -> States:
    """(feed, source) to the sequence inside the newest generation, be it current or rolled back from.

    Rolling back must not make the same extracts news again: only a later extract does. A generation
    whose publication was killed half-way does not count, so it is built again.
    """
    manifests = list(_manifests(stores))
    return {(state.feed, state.source): state.sequence for state in manifests[-1].feeds} if manifests else {}


def unpublished(stores: Stores, ledger: Ledger) -> States:
    """What is validated beyond the newest generation: (feed, source) to sequence; empty when nothing is."""
    built = built_states(stores)
    return {key: sequence for key, sequence in validated_states(ledger).items() if sequence > built.get(key, 0)}


def _seen(delivery: Delivery) -> str:
    try:
        return fingerprint(delivery)
    except FileRefused as refusal:
        return refusal.code


def _manifests(stores: Stores) -> Iterator[GenerationManifest]:
    """Lowest number first."""
    for path in published_folders(stores.generations):
        try:
            yield read_manifest(path)
        except GenerationError:
            # Being removed, or of another schema version: it cannot be built upon either.
            continue
