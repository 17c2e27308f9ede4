"""Our answers to suppliers: the receipt when an extract has landed, the result when it was judged.

Belongs here: writing acknowledgement files from what the ledger holds. Does not belong here:
deciding anything. Source: reference/services.md 19.5.

An answer is written only after the ledger's commit, and again whenever it is missing: a kill
between the two costs nothing. It holds row numbers and codes, no names, no numbers of people.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from assets.files import write_atomically
from assets.stores import Stores
from quality.reasons import outcome_of
from schemas.extract import Acknowledgement
from search_api.ops.ledger import RELEASED_SUFFIX, ExtractEntry

# Suppliers read these files, so they are not closed to others as the home is.
_ACK_MODE = 0o644
# The answer's own fields come before its results, of which there may be many.
_HEAD = 4096
QUARANTINE_FILES = "quarantine-*.parquet"


def receipt_path(stores: Stores, entry: ExtractEntry) -> Path:
    """Where the receipt of an extract lies: beside its result."""
    result = stores.ack(entry.feed, entry.source, entry.sequence)
    return result.with_name(f"{entry.sequence:08d}.receipt.json")


def result_path(stores: Stores, entry: ExtractEntry) -> Path:
    """Where the result lies; the answer to a wrong duplicate stands beside it and replaces nothing."""
    result = stores.ack(entry.feed, entry.source, entry.sequence)
    if entry.rule == "OTHER_BYTES":
        return result.with_name(f"{entry.sequence:08d}.duplicate-{entry.sha256[:8]}.json")
    return result


def acknowledge(stores: Stores, entry: ExtractEntry, *, again: bool = False) -> None:
    """Write the answer an entry's state calls for; an answer that lies there already is left alone.

    ``again`` writes it in any case (the supplier delivered again). Our own released rows get none,
    nor do outcomes nobody has to act on.
    """
    if entry.source.endswith(RELEASED_SUFFIX) or entry.quiet:
        return
    if entry.outcome == "landed":
        _write(receipt_path(stores, entry), _answer(entry, "receipt", []), again=again)
        return
    path = result_path(stores, entry)
    if again or not _answers(path, entry):
        _write(path, _answer(entry, "result", _results(stores, entry)), again=True)


def _answer(entry: ExtractEntry, stage: str, results: list[dict[str, Any]]) -> bytes:
    code = "FILE_RECEIVED" if stage == "receipt" else entry.code
    head = Acknowledgement(
        stage="receipt" if stage == "receipt" else "result",
        source=entry.source,
        feed=entry.feed,
        sequence=entry.sequence,
        sha256=entry.sha256,
        outcome=outcome_of(code),
        code=code,
        text=entry.text,
        record_count=entry.record_count,
        accepted=entry.accepted,
        quarantined=entry.quarantined,
        warnings=entry.warnings,
        received_at=entry.received_at,
        finished_at=_finished(entry),
    )
    # Results may be many: they join as plain values, not one model each.
    document = head.model_dump(mode="json")
    document["results"] = results
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _finished(entry: ExtractEntry) -> datetime:
    return entry.validated_at or entry.landed_at or entry.received_at


def _results(stores: Stores, entry: ExtractEntry) -> list[dict[str, Any]]:
    folder = stores.stage("quarantine", entry.feed, entry.source, entry.sequence)
    if not entry.committed or not any(folder.glob(QUARANTINE_FILES)):
        return []
    rows = pl.scan_parquet(folder / QUARANTINE_FILES).select("row_no", "code", "rule", "level")
    return rows.collect().sort("row_no").to_dicts()


def _answers(path: Path, entry: ExtractEntry) -> bool:
    """Whether the file answers this very entry: same manifest bytes, same code, in its first lines."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD).decode(errors="replace")
    except FileNotFoundError:
        return False
    return f'"sha256": "{entry.sha256}"' in head and f'"code": "{entry.code}"' in head


def _write(path: Path, content: bytes, *, again: bool) -> None:
    if again or not path.exists():
        write_atomically(path, content, _ACK_MODE)
