"""The words a document is found by: keys and exact terms in one list, each with its kind in front.

Belongs here: prefixes, the mark of restricted people, the parts of a fingerprint; both engines index them
alike. Does not belong here: which keys and terms a patient has (``keying.py``), an engine's fields.
"""

from __future__ import annotations

from search_api.index.provider import SearchDocument

# One field holds keys and exact terms alike, each term with its kind in front: fewer fields index faster.
PREFIXES = {"family": "f:", "word": "w:", "gp": "o:", "postcode": "x:", "death": "d:"}
FIELDS = {prefix: field for field, prefix in PREFIXES.items()}
RESTRICTED = "!restricted"
# Counts up whenever documents get other keys or terms: an index made with others would find too few, and both
# engines refuse it.
WORD_SET = 3
# A fingerprint is kept as three parts of 21 bits: an engine's own sums of them are exact up to four
# billion documents, so a checksum needs no pass through Python.
FINGERPRINT = ("fingerprint_low", "fingerprint_mid", "fingerprint_high")
PART_BITS = 21
# The field of the letters of names (``matching/lettering.py``).
LETTERS = "letters"
PART_MASK = (1 << PART_BITS) - 1


# Terms that the embedded engine keeps among its keys: mostly nobody else's, and never narrowed by a part of one.
LISTED_TERMS = ("postcode",)


def keys_and_terms(document: SearchDocument) -> tuple[list[str], list[str]]:
    """The keys a document is found by with the terms kept among them, and all its other terms."""
    listed, terms = [*document.keys], [] if document.open else [RESTRICTED]
    for field, values in document.terms.items():
        (listed if field in LISTED_TERMS else terms).extend([PREFIXES[field] + value for value in values])
    return listed, terms


def words_of(document: SearchDocument) -> list[str]:
    """Everything a document is found by."""
    words = [*document.keys]
    for field, values in document.terms.items():
        prefix = PREFIXES[field]
        words += [prefix + value for value in values]
    if not document.open:
        words.append(RESTRICTED)
    return words
