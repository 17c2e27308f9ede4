"""The tantivy schema and the form of a document in it.

Belongs here: fields, used by writer and reader alike. Does not belong here: words (``words.py``),
queries, files.
"""

from __future__ import annotations

import tantivy

from search_api.index.provider import SearchDocument
from search_api.index.words import FINGERPRINT, PART_BITS, PART_MASK, WORD_SET, words_of

# The name of the field tells one set of words from another: a schema is compared whole.
WORDS = f"words_{WORD_SET}"


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("nhs", indexed=True, fast=True)
    builder.add_integer_field("birth", indexed=True, fast=True)
    for part in FINGERPRINT:
        builder.add_integer_field(part, fast=True)
    builder.add_text_field(WORDS, tokenizer_name="whitespace", index_option="basic")
    builder.add_bytes_field("payload", stored=True)
    return builder.build()


SCHEMA = _schema()
_PARTS = tuple((field, position * PART_BITS) for position, field in enumerate(FINGERPRINT))


def to_tantivy(document: SearchDocument) -> tantivy.Document:
    """The engine's form of a document."""
    words = " ".join(words_of(document))
    return assembled(document.nhs_number, document.numbers["birth"], document.fingerprint, words, document.payload)


def assembled(nhs_number: int, birth: int, fingerprint: int, words: str, payload: bytes) -> tantivy.Document:
    """The same of its parts; adding them one by one takes half the time of naming them in one call."""
    made = tantivy.Document()
    made.add_integer("nhs", nhs_number)
    made.add_integer("birth", birth)
    for field, shift in _PARTS:
        made.add_integer(field, fingerprint >> shift & PART_MASK)
    made.add_text(WORDS, words)
    made.add_bytes("payload", payload)
    return made
