"""The tantivy schema and the form of a document in it.

Belongs here: fields, used by writer and reader alike. Does not belong here: words (``words.py``),
queries, files.
"""

from __future__ import annotations

import polars as pl
import tantivy

from search_api.index.words import WORD_SET

# The name of the field tells one set of words from another: a schema is compared whole.
WORDS = f"terms_{WORD_SET}"


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    # To go by in order: whom a number belongs to is asked of the parts (``parts.py``), as is everything else of keys.
    builder.add_integer_field("nhs", fast=True)
    builder.add_integer_field("birth", indexed=True, fast=True)
    builder.add_text_field(WORDS, tokenizer_name="whitespace", index_option="basic")
    # Where the payload is (``payloads.py``): nothing is stored with a document.
    builder.add_integer_field("place", fast=True)
    return builder.build()


SCHEMA = _schema()


def assembled(people: pl.DataFrame, places: range) -> list[str]:
    """Documents as the engine reads them, as JSON: to hand a text over takes less than half the time of putting a document
    together part by part. ``people``: nhs, birth, and the words as one text; ``places``: of their payloads."""
    told = people.with_columns(place=pl.int_range(places.start, places.stop, dtype=pl.Int64, eager=True))
    return told.select(pl.struct("nhs", "birth", WORDS, "place").struct.json_encode()).to_series().to_list()
