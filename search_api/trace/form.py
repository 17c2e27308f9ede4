"""What every kind of trace file can do, and which kind a file is.

Belongs here: the interface, the choice by the first bytes, what is refused of any file. Does not belong here: one
kind (``csv_form.py``, ``parquet_form.py``), rows' rules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from schemas.errors import FileRefused, Refused
from search_api.trace.columns import ANSWER, REFERENCE, REQUEST, USED, canonical

CODE = "TRACE_FILE"
PARQUET_MAGIC = b"PAR1"
ADVICE = "See docs/batch-trace.md for the form of a file."
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file in the form's own shape; ``index`` counts chunks from 0."""

    index: int
    rows: Any
    count: int


class Form(Protocol):
    """One kind of file. Plain values only, so that it can be handed to other processes."""

    @property
    def media_type(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def rows(self) -> int: ...

    def chunks(self, path: Path, size: int) -> Iterator[Chunk]:
        """All rows in order, ``size`` at a time. Raises FileRefused."""
        ...

    def fields(self, chunk: Chunk) -> list[tuple[str, ...] | None]:
        """The used fields of each row in the order of ``USED``; None for a row with too few or too many."""
        ...

    def surplus(self, chunk: Chunk, row: int) -> bool:
        """Whether a row without fields has too many of them."""
        ...

    def written(self, chunk: Chunk, answers: Sequence[Sequence[str]]) -> bytes:
        """The chunk's rows with the added columns, as its part of the answer."""
        ...

    def join(self, parts: Sequence[Path], target: Path) -> None:
        """The answer's file from the parts of its chunks, durable."""
        ...


def refused(rule: str, text: str) -> FileRefused:
    """The fault of a whole file; ``text`` names lines and columns, never a value."""
    return FileRefused(text, code=CODE, rule=rule, remedy=ADVICE)


def inspect(path: Path) -> Form:
    """The form of a file, after all of it was read once. Raises FileRefused naming line and rule."""
    from search_api.trace.csv_form import inspect_csv
    from search_api.trace.parquet_form import inspect_parquet

    with path.open("rb") as file:
        start = file.read(len(PARQUET_MAGIC))
    return inspect_parquet(path) if start == PARQUET_MAGIC else inspect_csv(path)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    made = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            made.update(block)
    return made.hexdigest()


def places(names: Sequence[str]) -> tuple[int, ...]:
    """Where each used column stands among a header's names, -1 where it is missing. Raises FileRefused."""
    found: dict[str, int] = {}
    known = {column.name for column in REQUEST}
    for place, name in enumerate(map(canonical, names)):
        if name in ANSWER:
            raise refused("answered_already", f"The file has the column {name}, which is one of the answer's.")
        if name in known and name in found:
            raise refused("column_twice", f"The file has the column {name} twice.")
        if name in known:
            found[name] = place
    if REFERENCE not in found:
        raise refused("no_reference_column", "The file has no column UNIQUE REFERENCE.")
    return tuple(found.get(column.name, -1) for column in USED)


def check_target(form: Form, target: Path) -> None:
    """An answer has the form of what was asked. Raises Refused."""
    other = {".csv": ".parquet", ".parquet": ".csv"}[form.suffix]
    if target.suffix.lower() == other:
        raise Refused(
            f"The file asked is no {other[1:]}, but the answer is to be one.", remedy=f"Name a {form.suffix} file."
        )
