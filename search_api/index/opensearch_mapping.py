"""The OpenSearch index of patients: its mapping, and the form of a document in it.

Belongs here: fields, lines of bulk requests, the sentinel's key. Does not belong here: words (``words.py``),
what every index of ours says of itself (``opensearch_form.py``), requests.

``_source`` is off: nothing reads it, and it would double the index. The payload and the fingerprint are read
from doc values, the NHS number from the values a search is sorted by.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson

from search_api.index.opensearch_form import Form
from search_api.index.provider import SearchDocument
from search_api.index.words import FINGERPRINT, LETTERS, PART_BITS, PART_MASK, WORD_SET, words_of

# Lucene refuses a term of more than 32,766 bytes; longer words are cut alike when indexed and when asked.
LONGEST_WORD = 8_000
# Most hits of one request: the candidates of a question, and a page of a non-fuzzy search.
WINDOW = 50_000
_PART = {"type": "integer", "index": False}
_MAPPING: dict[str, Any] = {
    "dynamic": "strict",
    "_source": {"enabled": False, "recovery_source_enabled": False},
    "properties": {
        "nhs": {"type": "long"},
        "birth": {"type": "integer"},
        **dict.fromkeys(FINGERPRINT, _PART),
        LETTERS: {"type": "long", "index": False},
        "keys": {"type": "keyword", "doc_values": False, "norms": False, "index_options": "docs"},
        "payload": {"type": "binary", "doc_values": True},
    },
}


def sentinel_word(token: str) -> str:
    """The one key of a sentinel; nobody can have it, for no key of a patient begins so."""
    return f"!sentinel:{token}"


def _sentinel(token: str) -> dict[str, Any]:
    """It has no birth date and no fingerprint, so that no clause meets it and no sum counts it."""
    return {"nhs": 0, "keys": [sentinel_word(token)]}


FORM = Form(f"patients {WORD_SET}", _MAPPING, {"index.max_result_window": WINDOW}, _sentinel)


def document_line(document: SearchDocument) -> bytes:
    """A document as two lines of a bulk request."""
    print_ = document.fingerprint
    low, mid, high = FINGERPRINT
    source = orjson.dumps(
        {
            "nhs": document.nhs_number,
            "birth": document.numbers["birth"],
            low: print_ & PART_MASK,
            mid: print_ >> PART_BITS & PART_MASK,
            high: print_ >> 2 * PART_BITS & PART_MASK,
            LETTERS: document.letters,
            "keys": words_of(document),
            "payload": b64encode(document.payload).decode("ascii"),
        }
    )
    if len(source) > LONGEST_WORD:
        source = _with_short_words(source)
    return b'{"index":{"_id":"%d"}}\n%b\n' % (document.nhs_number, source)


def deletion_line(nhs_number: int) -> bytes:
    """The deletion of a document as a line of a bulk request."""
    return b'{"delete":{"_id":"%d"}}\n' % nhs_number


def short(word: str) -> str:
    """A word as it is indexed and asked for."""
    return word[:LONGEST_WORD]


def _with_short_words(source: bytes) -> bytes:
    fields = orjson.loads(source)
    fields["keys"] = [short(word) for word in fields["keys"]]
    return orjson.dumps(fields)
