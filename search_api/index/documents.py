"""Search documents from the replica's frame, in the form every engine takes.

Belongs here: documents one by one. Does not belong here: what is in them (``columns.py``, ``keying.py``), engines
(``embedded.py``), normalisation.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from search_api.index.columns import Columns, columns
from search_api.index.frequencies import Frequencies
from search_api.index.items import FROM_ROW, items
from search_api.index.keying import keys, terms
from search_api.index.memo import Memos
from search_api.index.provider import SearchDocument
from search_api.index.words import FIELDS

SLICE_ROWS = 50_000
COLUMNS = (
    "nhs_number",
    "security",
    "gender",
    "birth_date",
    "deceased",
    "gp_code",
    "names",
    "addresses",
    "telecoms",
)


def documents(
    frame: pl.DataFrame, frequencies: Frequencies, *, show_very_restricted: bool = False
) -> Iterator[SearchDocument]:
    """One document for each patient who may be found, in the frame's order.

    ``frame`` has the columns of ``COLUMNS`` (nested as in schemas/fields.py), and ``FROM_ROW`` where it comes
    from a replica.
    """
    for made in slices(frame, Memos(frequencies), show_very_restricted=show_very_restricted):
        yield from _documents(made)


def slices(frame: pl.DataFrame, memos: Memos, *, show_very_restricted: bool) -> Iterator[Columns]:
    """The documents of a frame as columns, a bounded number of people at a time."""
    for start in range(0, frame.height, SLICE_ROWS):
        part = frame.slice(start, SLICE_ROWS).select(*COLUMNS, *(name for name in frame.columns if name == FROM_ROW))
        memos.trim()
        yield columns(items(part, show_very_restricted=show_very_restricted), memos)


@contextmanager
def no_collection() -> Iterator[None]:
    """For loops over documents, which hold no cycles: looking for some costs a quarter of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _documents(made: Columns) -> Iterator[SearchDocument]:
    height = len(made.numbers)
    found, exact = keys(made.parts, height), terms(made.parts, height)
    payloads = made.payloads.cast(pl.Binary)
    parts = [each.to_list() for each in (made.numbers, made.is_open, found, exact, made.births, made.deaths, payloads)]
    rest = made.fingerprints, made.letters.to_list()
    for number, is_open, words, marked, birth, death, payload, mark, letters in zip(*parts, *rest, strict=True):
        dates = {"birth": birth, "death": death}
        yield SearchDocument(number, is_open, tuple(sorted(words)), _by_field(marked), dates, payload, mark, letters)


def _by_field(marked: list[str]) -> dict[str, tuple[str, ...]]:
    """Terms with their kind in front as terms by kind."""
    found: dict[str, list[str]] = {"family": [], "word": []}
    for term in sorted(marked):
        found.setdefault(FIELDS[term[:2]], []).append(term[2:])
    return {field: tuple(values) for field, values in found.items()}
