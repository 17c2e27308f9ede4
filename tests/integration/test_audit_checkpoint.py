"""The audit log's journal is emptied beside its commits, and by them where that fails.

Belongs here: what is in the tables and in the journal. Does not belong here: events (``tests/unit/test_audit.py``).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from search_api import logging
from search_api.access import audit_checkpoint
from search_api.access.audit import AuditLog
from search_api.access.audit_checkpoint import Checkpoints
from search_api.access.audit_report import verify
from tests.lib.audit import a_log, an_event

PAGE = 4096
# How much of the journal is in the tables, as SQLite keeps it for all processes (its "wal-index": nBackfill).
BACKFILLED, FRAMES = 96, 16


def index_of(folder: Path) -> tuple[int, int]:
    """Pages in the journal, and how many of them are in the tables."""
    held = (folder / "audit.db-shm").read_bytes()
    return struct.unpack_from("=I", held, FRAMES)[0], struct.unpack_from("=I", held, BACKFILLED)[0]


def until(seen: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not seen() and time.monotonic() < end:
        time.sleep(0.02)
    return seen()


def write(log: AuditLog, count: int, first: int = 1) -> None:
    for number in range(first, first + count):
        log.record_now(an_event(number, 9000000009 + number))


def test_what_is_in_the_journal_comes_to_the_tables_without_another_commit(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    write(log, 20)
    pages, _ = index_of(tmp_path)
    assert pages >= 20
    assert until(lambda: index_of(tmp_path)[1] == index_of(tmp_path)[0])
    write(log, 1, 100)
    assert index_of(tmp_path)[0] < pages, "the journal begins anew"
    log.close()


def test_a_commit_does_not_move_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own rule would have, after a thousand pages."""
    monkeypatch.setattr(Checkpoints, "written", lambda _: None)
    log = a_log(tmp_path)
    write(log, 400)
    pages, moved = index_of(tmp_path)
    assert (pages > 1_500, moved) == (True, 0)
    log.close()


def test_the_journal_is_emptied_by_a_commit_where_the_thread_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(logging, "event", lambda code, *_, **__: said.append(code))
    monkeypatch.setattr(audit_checkpoint, "_MOVE", "SELECT nothing FROM nowhere")
    monkeypatch.setattr(audit_checkpoint, "EVERY_S", 0.01)
    monkeypatch.setattr("search_api.access.audit_store.MOST_PAGES", 50)
    log = a_log(tmp_path)
    write(log, 100)
    assert (tmp_path / "audit.db-wal").stat().st_size < 100 * PAGE
    assert until(lambda: "API024" in said)
    assert verify(log.engine).events == 100
    log.close()
