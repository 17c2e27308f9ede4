"""What makes a change of files survive a power cut, for building and serving alike.

Belongs here: syncing a folder, replacing a small file, a journal of lines. Does not belong here: files and folders of
the stages (``assets/files.py``).

A line of a journal is written in one piece between two ends of line, so a kill leaves whole lines and at most one
torn one, which counts for nothing and spoils none that follows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

OWNER_ONLY = 0o600


def replace_file(path: Path, content: bytes) -> None:
    """The old content or the new, its bytes durable, its owner's alone. The new name is when its folder is synced."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)


def append_line(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line of JSON values to a journal; durable when it returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
    try:
        os.write(descriptor, as_line(line))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def as_line(line: Mapping[str, Any]) -> bytes:
    """A line as it is written."""
    return b"\n" + orjson.dumps(line) + b"\n"


def journal_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a journal, none where it is not there."""
    try:
        raw = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [line for line in map(_parsed, raw) if line is not None]


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        line = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return line if isinstance(line, dict) else None


def sync_folder(folder: Path) -> None:
    """Make renames and new names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
