"""The tantivy schema and the form of a document in it.

Belongs here: fields and term prefixes, used by writer and reader alike. Does not belong here:
queries, files.
"""

from __future__ import annotations

import tantivy

from search_api.index.provider import SearchDocument

# One field holds keys and exact terms alike, each term with its kind in front: fewer fields index faster.
PREFIXES = {"family": "f:", "word": "w:", "gp": "o:", "postcode": "x:", "death": "d:"}
RESTRICTED = "!restricted"
# A fingerprint is kept as three parts of 21 bits: the engine's own sums of them are exact up to four
# billion documents, so a checksum needs no pass through Python.
FINGERPRINT = ("fingerprint_low", "fingerprint_mid", "fingerprint_high")
PART_BITS = 21
PART_MASK = (1 << PART_BITS) - 1


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("nhs", indexed=True, fast=True)
    builder.add_integer_field("birth", indexed=True, fast=True)
    for part in FINGERPRINT:
        builder.add_integer_field(part, fast=True)
    builder.add_text_field("keys", tokenizer_name="whitespace", index_option="basic")
    builder.add_bytes_field("payload", stored=True)
    return builder.build()


SCHEMA = _schema()


def to_tantivy(document: SearchDocument) -> tantivy.Document:
    """The engine's form of a document."""
    words = [*document.keys]
    for field, values in document.terms.items():
        prefix = PREFIXES[field]
        words += [prefix + value for value in values]
    if not document.open:
        words.append(RESTRICTED)
    made = tantivy.Document()
    made.add_integer("nhs", document.nhs_number)
    made.add_integer("birth", document.numbers["birth"])
    for position, part in enumerate(FINGERPRINT):
        made.add_integer(part, document.fingerprint >> position * PART_BITS & PART_MASK)
    made.add_text("keys", " ".join(words))
    made.add_bytes("payload", document.payload)
    return made
