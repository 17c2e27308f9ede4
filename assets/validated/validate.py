"""Validation: landed extracts are judged in order, and the ledger says which count.

Belongs here: the order, the commit, the answer to the supplier. Does not belong here: judging one
extract (``extract.py``).

The parts are written first, then the ledger's entry is committed, then the supplier is answered. A
kill in between leaves parts no entry speaks of, which the next run writes anew, or an answer that
the next run makes up for.
"""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import polars as pl

from assets.files import feed_lock, remove_folder
from assets.landing.acknowledge import acknowledge
from assets.stores import Stores
from assets.validated.expectations import run_suite
from assets.validated.extract import REPORT_NAME, judge_extract
from assets.validated.landed import Auditor, Extract
from assets.validated.withdrawing import withdrawn_by
from quality.chain import Position, check_chain, check_shrink
from quality.manifest import read_manifest
from quality.reasons import FILE_RULES, outcome_of
from quality.verdict import Tally
from schemas.errors import FileRefused
from schemas.extract import MANIFEST_NAME, ExtractManifest
from schemas.feeds import FEEDS
from search_api.ops.ledger import ExtractEntry, Ledger
from search_api.settings import Settings


def validate(
    stores: Stores, ledger: Ledger, settings: Settings, feed: str, *, auditor: Auditor = run_suite
) -> list[ExtractEntry]:
    """Judge every landed extract of a feed; the entries this run settled, in order.

    Outcomes are accepted, partial, refused, or deferred when the predecessor was refused meanwhile.
    Raises PermanentFault when our own rules and the expectations disagree: nothing of that extract
    is committed, and it is judged again next time.
    """
    with feed_lock(stores.home, feed):
        return [_settle(stores, ledger, settings, entry, auditor) for entry in ledger.landed(feed)]


def report_of(stores: Stores, entry: ExtractEntry) -> dict[str, object]:
    """The counts written beside the validated parts of a committed extract."""
    folder = stores.stage("validated", entry.feed, entry.source, entry.sequence)
    document: dict[str, object] = orjson.loads((folder / REPORT_NAME).read_bytes())
    return document


def _settle(stores: Stores, ledger: Ledger, settings: Settings, entry: ExtractEntry, auditor: Auditor) -> ExtractEntry:
    landed = stores.stage("landing", entry.feed, entry.source, entry.sequence)
    manifest = read_manifest((landed / MANIFEST_NAME).read_bytes())
    entry.validated_at = datetime.now(UTC)
    try:
        _check_order(ledger, entry, manifest)
        report = judge_extract(Extract(stores, settings, manifest, auditor))
        _check_shrink(ledger, entry, report.tally)
    except FileRefused as error:
        entry.outcome, entry.code, entry.rule = outcome_of(error.code), error.code, error.rule
        entry.text = f"{error.message} {error.remedy}"
        settled = ledger.record(entry)
        # The supplier's bytes are still in the drop folder; what was refused does not stay landed.
        for stage in ("landing", "validated", "quarantine"):
            remove_folder(stores.stage(stage, entry.feed, entry.source, entry.sequence))
    else:
        settled = ledger.record(_accept(entry, report.tally), _withdrawn(stores, entry))
    acknowledge(stores, settled)
    return settled


def _accept(entry: ExtractEntry, tally: Tally) -> ExtractEntry:
    entry.outcome, entry.code, entry.rule = outcome_of(tally.code), tally.code, ""
    entry.accepted, entry.quarantined, entry.warnings = tally.accepted, tally.quarantined, tally.warnings
    entry.text = f"{tally.accepted} records loaded, {tally.quarantined} rejected, {tally.warnings} warnings."
    return entry


def _withdrawn(stores: Stores, entry: ExtractEntry) -> frozenset[int]:
    folder = stores.stage("validated", entry.feed, entry.source, entry.sequence)
    parts = sorted(folder.glob("part-*.parquet"))
    return withdrawn_by(FEEDS[entry.feed], entry.kind, pl.scan_parquet(parts)) if parts else frozenset()


def _check_order(ledger: Ledger, entry: ExtractEntry, manifest: ExtractManifest) -> None:
    """Landing looked at what had landed; here only what is committed counts."""
    last = ledger.latest(entry.feed, entry.source)
    check_chain(manifest, Position(last.sequence, last.as_at) if last is not None and last.as_at is not None else None)


def _check_shrink(ledger: Ledger, entry: ExtractEntry, tally: Tally) -> None:
    """Rows that were rejected are missing from a full as surely as rows that were never sent."""
    if entry.kind != "full" or FILE_RULES["SHRUNK"].code in ledger.approved(
        entry.feed, entry.source, entry.sequence, entry.sha256
    ):
        return
    last = ledger.last_full(entry.feed, entry.source)
    check_shrink(tally.accepted, None if last is None else last.accepted, FEEDS[entry.feed].shrink_limit)
