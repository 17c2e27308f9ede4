"""Quarantined rows and what people do about them: list, show, release, drop.

Belongs here: the commands as plain functions (``ncrs quarantine …``). Does not belong here: the
files (``quarantined.py``), asking who the caller is.

Listing is masked and for ops. Showing, releasing and dropping need an activity (setting
``quarantine_activity``; B0011 by default, services.md 0.2) and a reason, and are recorded with who,
when and why *before* anything is shown.

A release overrules the rules a row broke, for this row alone, when all of them may be overruled
(``Rule.releasable``; of duplicates, a person may choose the copy). The row is read again from the
landed bytes, judged by every other rule, and comes back as a delta of our own that the next publish
takes in (see ``search_api/ops/ledger.py``). Its version still counts: a released row that is older
than what the replica holds changes nothing. Once a later full of the supplier was taken in, which
says all there is, nothing from before it is released any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from assets.files import feed_lock, private_folder, remove_folder, staged_folder
from assets.stores import Stores
from assets.validated.expectations import run_suite
from assets.validated.landed import Extract, read_row
from assets.validated.quarantined import read_quarantine
from assets.validated.withdrawing import withdrawn_by
from quality.catalogue import DUPLICATE_RULE, rule_of
from quality.judge import control_total, judge
from quality.manifest import read_manifest
from schemas.errors import Refused
from schemas.extract import MANIFEST_NAME
from schemas.feeds import FEEDS
from schemas.identifiers import mask_nhs_number
from search_api.ops.ledger import RELEASED_SUFFIX, Action, ExtractEntry, Ledger, QuarantineDecision
from search_api.settings import Settings


@dataclass(frozen=True)
class Actor:
    """The person at the command: identifier and activities of the selected role."""

    user_id: str
    activities: frozenset[str]


@dataclass(frozen=True)
class RowRef:
    """Which quarantined row: extract and row number."""

    feed: str
    source: str
    sequence: int
    row_no: int

    def __str__(self) -> str:
        return f"{self.feed}/{self.source}/{self.sequence}/{self.row_no}"


@dataclass(frozen=True)
class HeldRow:
    """One quarantined row, masked. ``state`` is open, released or dropped."""

    ref: RowRef
    nhs_number: str
    code: str
    rule: str
    level: str
    state: str
    releasable: bool


@dataclass(frozen=True)
class Desk:
    """Where the commands work."""

    stores: Stores
    ledger: Ledger
    settings: Settings


def held_rows(desk: Desk, feed: str, *, state: str | None = "open", limit: int = 1000) -> list[HeldRow]:
    """Quarantined rows of a feed's committed extracts, masked, newest extract first.

    ``state`` None gives rows of every state.
    """
    found: list[HeldRow] = []
    for held in _held(desk, feed):
        if state is None or held.state == state:
            found.append(held)
        if len(found) >= limit:
            break
    return found


def show_row(desk: Desk, ref: RowRef, actor: Actor, reason: str) -> str:
    """The row as received. Raises Refused without the activity, a reason, or the row."""
    _allow(desk, actor, reason)
    row = _row(desk, ref)
    _record(desk, ref, actor, ("view", reason))
    return str(row["received"])


def drop_row(desk: Desk, ref: RowRef, actor: Actor, reason: str) -> QuarantineDecision:
    """Close a row for good: it stays in the file, and is listed as dropped. Raises Refused."""
    _allow(desk, actor, reason)
    with feed_lock(desk.stores.home, ref.feed):
        _open_row(desk, ref)
        return _record(desk, ref, actor, ("drop", reason))


def release_row(desk: Desk, ref: RowRef, actor: Actor, reason: str) -> ExtractEntry:
    """Overrule the rules a row broke and commit it as a released extract; the ledger's new entry.

    Raises Refused when a rule may not be overruled, another rule is broken, the row was decided
    on before, a later full was taken in, or its landed bytes are gone.
    """
    _allow(desk, actor, reason)
    with feed_lock(desk.stores.home, ref.feed):
        row = _open_row(desk, ref)
        rules = frozenset(str(rule) for rule in row["rules"])
        if not _releasable(ref.feed, rules):
            raise Refused(
                f"Row {ref} breaks a rule that may not be overruled: {', '.join(sorted(rules))}.",
                remedy="Have the source correct the record and send it again.",
            )
        if ref.sequence < _last_full(desk, ref.feed, ref.source):
            raise Refused(
                f"Row {ref} was overtaken by a later full, which says all there is.",
                remedy="Release that one's row if it is held as well; drop this one.",
            )
        return _commit(desk, ref, _judged_again(desk, ref, rules), (actor, reason))


def _judged_again(desk: Desk, ref: RowRef, rules: frozenset[str]) -> pl.DataFrame:
    landed = desk.stores.stage("landing", ref.feed, ref.source, ref.sequence)
    if not (landed / MANIFEST_NAME).exists():
        raise Refused(f"The landed bytes of row {ref} are gone.", remedy="Have the source send the record again.")
    manifest = read_manifest((landed / MANIFEST_NAME).read_bytes())
    extract = Extract(desk.stores, desk.settings, manifest, run_suite)
    work = desk.stores.home / "work" / f"release-{ref.feed}"
    remove_folder(work)
    try:
        frame = read_row(extract, ref.row_no, private_folder(work))
        nobody = pl.Series("row_no", [], dtype=pl.Int64())
        verdict = judge(extract.feed, frame, extract.context, nobody, overruled=rules)
    finally:
        remove_folder(work)
    if verdict.accepted.height != 1:
        raise Refused(f"Row {ref} breaks other rules as well.", remedy="Have the source correct the record.")
    if not all(result.success for result in run_suite(extract.feed, verdict.accepted)):
        raise Refused(f"Row {ref} fails the feed's expectations.", remedy="Have the source correct the record.")
    return verdict.accepted


def _commit(desk: Desk, ref: RowRef, row: pl.DataFrame, why: tuple[Actor, str]) -> ExtractEntry:
    actor, reason = why
    source = f"{ref.source}{RELEASED_SUFFIX}"
    last = desk.ledger.latest(ref.feed, source)
    sequence = 1 if last is None else last.sequence + 1
    with staged_folder(desk.stores.stage("validated", ref.feed, source, sequence)) as folder:
        row.write_parquet(folder / "part-00000.parquet")
    entry = _released_entry(desk, ref, row, (source, sequence))
    decision = _decision(ref, actor, ("release", reason))
    decision.released_sequence = sequence
    withdrawn = withdrawn_by(FEEDS[ref.feed], entry.kind, row.lazy())
    return desk.ledger.commit_release(entry, decision, withdrawn)


def _released_entry(desk: Desk, ref: RowRef, row: pl.DataFrame, place: tuple[str, int]) -> ExtractEntry:
    origin = desk.ledger.standing(ref.feed, ref.source, ref.sequence)
    last = desk.ledger.latest(ref.feed, ref.source)
    now = datetime.now(UTC)
    return ExtractEntry(
        feed=ref.feed,
        source=place[0],
        sequence=place[1],
        fingerprint=str(ref),
        sha256=hashlib.sha256(str(ref).encode()).hexdigest(),
        kind="delta",
        previous_sequence=place[1] - 1 or None,
        origin_sequence=ref.sequence,
        after_sequence=ref.sequence if last is None else last.sequence,
        as_at=origin.as_at if origin is not None else now,
        created_at=now,
        record_count=1,
        control=control_total(row),
        accepted=1,
        outcome="accepted",
        code="FILE_ACCEPTED",
        text=f"Row {ref.row_no} of {ref.source}/{ref.sequence}, released from quarantine.",
        received_at=now,
        landed_at=now,
        validated_at=now,
    )


def _held(desk: Desk, feed: str) -> Iterator[HeldRow]:
    states = _states(desk, feed)
    committed = [entry for entry in desk.ledger.entries(feed) if entry.committed and entry.quarantined]
    for entry in sorted(committed, key=lambda entry: (entry.source, -entry.sequence)):
        folder = desk.stores.stage("quarantine", feed, entry.source, entry.sequence)
        counts = entry.sequence >= _last_full(desk, feed, entry.source)
        for row in read_quarantine(folder).drop("received").iter_rows(named=True):
            ref = RowRef(feed, entry.source, entry.sequence, row["row_no"])
            yield HeldRow(
                ref=ref,
                nhs_number=mask_nhs_number(row["nhs_number"] or ""),
                code=row["code"],
                rule=row["rule"],
                level=row["level"],
                state=states.get(ref, "open"),
                releasable=counts and _releasable(feed, frozenset(row["rules"])),
            )


def _states(desk: Desk, feed: str) -> dict[RowRef, str]:
    words = {"release": "released", "drop": "dropped"}
    return {
        RowRef(feed, decision.source, decision.sequence, decision.row_no): words[decision.action]
        for decision in desk.ledger.decisions(feed)
        if decision.action in words
    }


def _releasable(feed: str, rules: frozenset[str]) -> bool:
    found = [rule_of(feed, name) for name in rules - {DUPLICATE_RULE}]
    return all(rule is not None and rule.releasable for rule in found)


def _last_full(desk: Desk, feed: str, source: str) -> int:
    """Sequence of the supplier's last committed full; 0 when there is none."""
    full = desk.ledger.last_full(feed, source)
    return 0 if full is None else full.sequence


def _row(desk: Desk, ref: RowRef) -> dict[str, Any]:
    standing = desk.ledger.standing(ref.feed, ref.source, ref.sequence)
    folder = desk.stores.stage("quarantine", ref.feed, ref.source, ref.sequence)
    rows = read_quarantine(folder).filter(pl.col("row_no") == ref.row_no)
    if standing is None or not standing.committed or rows.is_empty():
        raise Refused(f"There is no quarantined row {ref}.", remedy="See ncrs quarantine list.")
    return rows.row(0, named=True)


def _open_row(desk: Desk, ref: RowRef) -> dict[str, Any]:
    row = _row(desk, ref)
    state = _states(desk, ref.feed).get(ref)
    if state is not None:
        raise Refused(f"Row {ref} was {state} before.", remedy="Nothing has to be done.")
    return row


def _allow(desk: Desk, actor: Actor, reason: str) -> None:
    needed = desk.settings.quarantine_activity
    if needed not in actor.activities:
        raise Refused(f"Quarantined rows need the activity {needed}.", remedy="Select a role that has it.")
    if not reason.strip():
        raise Refused("A reason is needed; it is recorded with your name.", remedy="Give one with --reason.")


def _record(desk: Desk, ref: RowRef, actor: Actor, what: tuple[Action, str]) -> QuarantineDecision:
    return desk.ledger.decide(_decision(ref, actor, what))


def _decision(ref: RowRef, actor: Actor, what: tuple[Action, str]) -> QuarantineDecision:
    return QuarantineDecision(
        feed=ref.feed,
        source=ref.source,
        sequence=ref.sequence,
        row_no=ref.row_no,
        action=what[0],
        actor=actor.user_id,
        reason=what[1],
        decided_at=datetime.now(UTC),
    )
