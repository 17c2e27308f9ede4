"""The tantivy schema and the form of a document in it.

Belongs here: fields, used by writer and reader alike. Does not belong here: words (``words.py``),
queries, files.
"""

from __future__ import annotations

import polars as pl
import tantivy

from search_api.index.words import FINGERPRINT, LETTERS, PART_BITS, WORD_SET

# The name of the field tells one set of words from another: a schema is compared whole.
WORDS = f"words_{WORD_SET}"


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("nhs", indexed=True, fast=True)
    builder.add_integer_field("birth", indexed=True, fast=True)
    for part in FINGERPRINT:
        builder.add_integer_field(part, fast=True)
    # Of their names, so that most of those found need not be compared (``matching/lettering.py``).
    builder.add_integer_field(LETTERS, fast=True)
    builder.add_text_field(WORDS, tokenizer_name="whitespace", index_option="basic")
    # Where the payload is (``payloads.py``): nothing is stored with a document.
    builder.add_integer_field("place", fast=True)
    return builder.build()


SCHEMA = _schema()


def assembled(people: pl.DataFrame, places: range) -> list[str]:
    """Documents as the engine reads them, as JSON: to hand a text over takes less than half the time of putting a document
    together part by part. ``people``: nhs, birth, fingerprint, letters, and the words as one text; ``places``: of their
    payloads."""
    told = people.with_columns(place=pl.int_range(places.start, places.stop, dtype=pl.Int64, eager=True))
    mark = pl.col("fingerprint")
    parts = [
        (mark // (1 << position * PART_BITS) % (1 << PART_BITS)).alias(field)
        for position, field in enumerate(FINGERPRINT)
    ]
    return (
        told.select(pl.struct("nhs", "birth", *parts, LETTERS, WORDS, "place").struct.json_encode())
        .to_series()
        .to_list()
    )
