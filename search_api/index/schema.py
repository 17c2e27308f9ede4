"""The tantivy schema and the form of a document in it.

Belongs here: fields and term prefixes, used by writer and reader alike. Does not belong here:
queries, files.
"""

from __future__ import annotations

import tantivy

from search_api.index.provider import SearchDocument

# One field holds every exact term, each with its kind in front: fewer fields index faster.
PREFIXES = {"family": "f:", "given": "g:", "word": "w:", "postcode": "p:", "gp": "o:"}


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("nhs", indexed=True, fast=True)
    builder.add_integer_field("birth", indexed=True, fast=True)
    builder.add_integer_field("death", fast=True)
    builder.add_integer_field("fingerprint", fast=True)
    builder.add_integer_field("open", indexed=True, fast=True)
    builder.add_text_field("keys", tokenizer_name="whitespace", index_option="basic")
    builder.add_text_field("terms", tokenizer_name="whitespace", index_option="basic")
    builder.add_bytes_field("payload", stored=True)
    return builder.build()


SCHEMA = _schema()


def to_tantivy(document: SearchDocument) -> tantivy.Document:
    """The engine's form of a document."""
    terms = [PREFIXES[field] + term for field, values in document.terms.items() for term in values]
    return tantivy.Document(
        nhs=document.nhs_number,
        birth=document.numbers["birth"],
        death=document.numbers["death"],
        fingerprint=document.fingerprint,
        open=int(document.open),
        keys=" ".join(document.keys),
        terms=" ".join(terms),
        payload=document.payload,
    )
