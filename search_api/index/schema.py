"""The tantivy schema and the form of a document in it.

Belongs here: fields and term prefixes, used by writer and reader alike. Does not belong here:
queries, files.
"""

from __future__ import annotations

import tantivy

from search_api.index.provider import SearchDocument

# One field holds keys and exact terms alike, each term with its kind in front: fewer fields index faster.
PREFIXES = {"family": "f:", "word": "w:", "gp": "o:", "postcode": "x:"}
RESTRICTED = "!restricted"


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("nhs", indexed=True, fast=True)
    builder.add_integer_field("birth", indexed=True, fast=True)
    builder.add_integer_field("fingerprint", fast=True)
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
    made.add_integer("fingerprint", document.fingerprint)
    made.add_text("keys", " ".join(words))
    made.add_bytes("payload", document.payload)
    return made
