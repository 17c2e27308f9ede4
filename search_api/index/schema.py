"""The tantivy schema and the form of a document in it.

Belongs here: fields, used by writer and reader alike. Does not belong here: words (``words.py``),
queries, files.
"""

from __future__ import annotations

import tantivy

from search_api.index.words import FINGERPRINT, PART_BITS, PART_MASK, WORD_SET

# The name of the field tells one set of words from another: a schema is compared whole.
WORDS = f"words_{WORD_SET}"


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("nhs", indexed=True, fast=True)
    builder.add_integer_field("birth", indexed=True, fast=True)
    for part in FINGERPRINT:
        builder.add_integer_field(part, fast=True)
    builder.add_text_field(WORDS, tokenizer_name="whitespace", index_option="basic")
    # Where the payload is (``payloads.py``): nothing is stored with a document.
    builder.add_integer_field("place", fast=True)
    return builder.build()


SCHEMA = _schema()
_PARTS = tuple((field, position * PART_BITS) for position, field in enumerate(FINGERPRINT))


def assembled(nhs_number: int, birth: int, fingerprint: int, words: str, place: int) -> tantivy.Document:
    """The engine's form of a document; adding its parts one by one takes half the time of naming them in one call."""
    made = tantivy.Document()
    made.add_integer("nhs", nhs_number)
    made.add_integer("birth", birth)
    for field, shift in _PARTS:
        made.add_integer(field, fingerprint >> shift & PART_MASK)
    made.add_text(WORDS, words)
    made.add_integer("place", place)
    return made
