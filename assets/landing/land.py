"""Landing: deliveries are checked as bytes and copied, before a row of them is parsed.

Belongs here: the order in which deliveries of a feed are taken, and what becomes of each. Does not
belong here: the checks (``quality/manifest.py``, ``quality/chain.py``, ``copying.py``), parsing.
Source: architecture.md 4.3; reference/services.md 19.2, 19.6.

Per source, deliveries are taken in order of sequence. After one that is refused or held, the deltas
behind it are held too (their predecessor is missing); only a later full closes the gap. What was
refused is not tried again until its bytes change or someone approves it; what is held is tried
every time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from assets.files import feed_lock, staged_folder, write_atomically
from assets.landing.acknowledge import acknowledge
from assets.landing.copying import land_file, unchanged
from assets.landing.deliveries import Delivery, deliveries, fingerprint, read_plain
from assets.stores import Stores
from quality.chain import Position, check_chain, check_shrink
from quality.manifest import MANIFEST_LIMIT, check_manifest, check_place, read_manifest
from quality.reasons import FILE_RULES, outcome_of, refused
from schemas.errors import FileRefused
from schemas.extract import MANIFEST_NAME, ExtractManifest
from schemas.feeds import FEEDS, Feed
from search_api.ops.ledger import ExtractEntry, Ledger
from search_api.settings import Settings


@dataclass(frozen=True)
class Landing:
    """What landing works with; ``now`` is the moment of this run."""

    stores: Stores
    ledger: Ledger
    settings: Settings
    feed: Feed
    now: datetime


def land(
    stores: Stores, ledger: Ledger, settings: Settings, feed: str, *, now: datetime | None = None
) -> list[ExtractEntry]:
    """Take in every new delivery of a feed; the entries written or changed by this run, in order.

    An entry's outcome is ``landed``, ``refused`` or ``deferred``. Idempotent: with nothing new in
    the drop folder nothing is written and the list is empty. Raises PassingFault while another
    process works on the feed.
    """
    landing = Landing(stores, ledger, settings, FEEDS[feed], now or datetime.now(UTC))
    with feed_lock(stores.home, feed):
        found = deliveries(stores, feed)
        by_source = groupby(found, key=lambda delivery: delivery.source)
        return [entry for _, group in by_source for entry in _take_source(landing, list(group))]


def pending(stores: Stores, ledger: Ledger, feed: str) -> list[Delivery]:
    """Deliveries that were not seen before, or are held: what a sensor asks. Reads manifests only."""
    return [delivery for delivery in deliveries(stores, feed) if not _settled(ledger, delivery)]


def _settled(ledger: Ledger, delivery: Delivery) -> bool:
    known = ledger.attempt(delivery.feed, delivery.source, delivery.sequence, _seen(delivery))
    return known is not None and known.outcome != "deferred" and not _newly_approved(ledger, known)


def _seen(delivery: Delivery) -> str:
    try:
        return fingerprint(delivery)
    except FileRefused as error:
        # A manifest that is no plain file has no bytes; its rule stands for it.
        return error.rule


def _newly_approved(ledger: Ledger, entry: ExtractEntry) -> bool:
    if entry.outcome != "refused":
        return False
    return entry.code in ledger.approved(entry.feed, entry.source, entry.sequence, entry.sha256)


def _take_source(landing: Landing, waiting: Sequence[Delivery]) -> list[ExtractEntry]:
    changed: list[ExtractEntry] = []
    for delivery in waiting:
        if _settled(landing.ledger, delivery):
            _answer_if_missing(landing, delivery)
            continue
        entry = _take(landing, delivery)
        if _changed(landing, entry):
            changed.append(landing.ledger.record(entry))
        acknowledge(landing.stores, entry)
    return changed


def _changed(landing: Landing, entry: ExtractEntry) -> bool:
    known = landing.ledger.attempt(entry.feed, entry.source, entry.sequence, entry.fingerprint)
    return known is None or (known.outcome, known.rule) != (entry.outcome, entry.rule)


def _answer_if_missing(landing: Landing, delivery: Delivery) -> None:
    known = landing.ledger.attempt(delivery.feed, delivery.source, delivery.sequence, _seen(delivery))
    if known is not None and not known.quiet:
        acknowledge(landing.stores, known)


def _take(landing: Landing, delivery: Delivery) -> ExtractEntry:
    """Judge one delivery and, if nothing is wrong with it, copy it into the landing stage."""
    entry = _blank(landing, delivery)
    try:
        raw = read_plain(delivery.folder / MANIFEST_NAME, MANIFEST_LIMIT)
        entry.sha256 = hashlib.sha256(raw).hexdigest()
        manifest = read_manifest(raw)
        check_place(manifest, delivery.feed, delivery.source, delivery.sequence)
        _describe(entry, manifest)
        _check_standing(landing, delivery, entry, manifest)
        check_manifest(manifest, landing.feed, landing.now, timedelta(hours=landing.settings.clock_leeway_hours))
        _check_order(landing, entry, manifest)
        _copy(landing, delivery, manifest, raw)
    except FileRefused as error:
        return _refuse(entry, error)
    entry.outcome, entry.code, entry.text = "landed", "FILE_RECEIVED", ""
    entry.landed_at = landing.now
    return entry


def _blank(landing: Landing, delivery: Delivery) -> ExtractEntry:
    return ExtractEntry(
        feed=delivery.feed,
        source=delivery.source,
        sequence=delivery.sequence,
        fingerprint=_seen(delivery),
        sha256="",
        received_at=landing.now,
    )


def _describe(entry: ExtractEntry, manifest: ExtractManifest) -> None:
    entry.kind = manifest.kind
    entry.previous_sequence = manifest.previous_sequence
    entry.as_at = manifest.window_to
    entry.created_at = manifest.created_at
    entry.record_count = manifest.record_count
    entry.control = manifest.control


def _refuse(entry: ExtractEntry, error: FileRefused) -> ExtractEntry:
    entry.outcome = outcome_of(error.code)
    entry.code, entry.rule = error.code, error.rule
    entry.text = f"{error.message} {error.remedy}"
    entry.quiet = error.rule in ("SAME_AGAIN", "OVERTAKEN")
    return entry


def _check_standing(landing: Landing, delivery: Delivery, entry: ExtractEntry, manifest: ExtractManifest) -> None:
    """The same sequence again: the same bytes are a no-op and are answered again, others are refused."""
    standing = landing.ledger.standing(delivery.feed, delivery.source, delivery.sequence)
    if standing is None:
        return
    if standing.sha256 != entry.sha256 or not all(unchanged(file, delivery.folder) for file in manifest.files):
        raise refused("OTHER_BYTES")
    acknowledge(landing.stores, standing, again=True)
    raise refused("SAME_AGAIN")


def _check_order(landing: Landing, entry: ExtractEntry, manifest: ExtractManifest) -> None:
    head = landing.ledger.head(entry.feed, entry.source)
    position = Position(head.sequence, head.as_at) if head is not None and head.as_at is not None else None
    try:
        check_chain(manifest, position)
    except FileRefused as error:
        raise _as_overtaken(landing, entry, error) from None
    if manifest.kind == "full":
        _check_shrink(landing, entry, manifest.record_count)


def _as_overtaken(landing: Landing, entry: ExtractEntry, error: FileRefused) -> FileRefused:
    """What was held and is now older was overtaken by a full; nobody has to act on it."""
    known = landing.ledger.attempt(entry.feed, entry.source, entry.sequence, entry.fingerprint)
    if error.rule == "OLDER" and known is not None and known.outcome == "deferred":
        return refused("OVERTAKEN")
    return error


def _check_shrink(landing: Landing, entry: ExtractEntry, records: int) -> None:
    approved = landing.ledger.approved(entry.feed, entry.source, entry.sequence, entry.sha256)
    if FILE_RULES["SHRUNK"].code in approved:
        return
    last = landing.ledger.last_full(entry.feed, entry.source)
    check_shrink(records, None if last is None else last.record_count, landing.feed.shrink_limit)


def _copy(landing: Landing, delivery: Delivery, manifest: ExtractManifest, raw: bytes) -> None:
    final = landing.stores.stage("landing", delivery.feed, delivery.source, delivery.sequence)
    with staged_folder(final) as folder:
        for file in manifest.files:
            land_file(file, delivery.folder, folder, landing.feed, landing.settings.expansion_limit)
        write_atomically(folder / MANIFEST_NAME, raw)
