"""Search documents from the replica's frame: vectorised, a slice of rows at a time.

Belongs here: what is indexed of a patient, and what never is. Does not belong here: engines
(``embedded.py``), the questions' side of the keys (``matching/blocking.py``), normalisation itself.

Rules: hidden values are never indexed. Restricted patients (R, and V where shown at all) have no
location term, key or payload value: postcode, address, telecom, practice (pds.md 1.9). V is not
indexed unless asked for; REDACTED never. Historic birth dates never (pds.md 1.4). Placeholders
make no key, but stay findable by a non-fuzzy search, as in PDS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import polars as pl

from search_api.index import columns as build
from search_api.index.frequencies import Frequencies
from search_api.index.provider import SearchDocument
from search_api.matching.person import GROUP

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
TERM_FIELDS = ("family", "given", "word", "postcode", "gp")


@dataclass(frozen=True)
class PreparedSlice:
    """Documents of one slice as columns, one row a patient; lists are space-separated text."""

    frame: pl.DataFrame


def documents(
    frame: pl.DataFrame, frequencies: Frequencies, *, show_very_restricted: bool = False
) -> Iterator[SearchDocument]:
    """One document for each patient who may be found, in the frame's order.

    ``frame`` has the columns of ``COLUMNS`` (nested as in schemas/fields.py).
    """
    for start in range(0, frame.height, SLICE_ROWS):
        prepared = prepare(frame.slice(start, SLICE_ROWS), frequencies, show_very_restricted=show_very_restricted)
        yield from _emit(prepared.frame)


def prepare(frame: pl.DataFrame, frequencies: Frequencies, *, show_very_restricted: bool = False) -> PreparedSlice:
    """The documents of a slice as columns: nhs_number, open, birth, death, keys, terms, payload, steps."""
    base = build.base(frame.select(COLUMNS), show_very_restricted=show_very_restricted)
    names = build.names(base, frequencies)
    places = build.addresses(base)
    contacts = build.telecoms(base)
    columns = (
        build.payload(base, names, places, contacts),
        build.keys(base, names, places, contacts),
        build.terms(base, names, places),
    )
    result = base.select("row", "nhs_number", "open", "birth", "death")
    for column in columns:
        result = result.join(column, on="row", how="left", maintain_order="left")
    texts = pl.col("payload", "steps", "keys", *TERM_FIELDS).fill_null("")
    return PreparedSlice(result.with_columns(texts).sort("row"))


def fingerprint(payload: str, *, is_open: bool) -> int:
    """63-bit hash of a document's content, frequencies left out; stable between builds and machines."""
    digest = blake2b(payload.encode(), digest_size=8, person=b"open" if is_open else b"restricted").digest()
    return int.from_bytes(digest, "big") >> 1


def _emit(frame: pl.DataFrame) -> Iterator[SearchDocument]:
    for number, is_open, birth, death, content, steps, keys, *terms in frame.select(
        "nhs_number", "open", "birth", "death", "payload", "steps", "keys", *TERM_FIELDS
    ).iter_rows():
        yield SearchDocument(
            nhs_number=number,
            open=is_open,
            keys=tuple(keys.split()),
            terms={name: tuple(text.split()) for name, text in zip(TERM_FIELDS, terms, strict=True) if text},
            numbers={"birth": birth, "death": death},
            payload=f"{content}{GROUP}{steps}".encode(),
            fingerprint=fingerprint(f"{number}{GROUP}{content}", is_open=is_open),
        )
