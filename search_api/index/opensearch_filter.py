"""The OpenSearch queries of a key query and of a plan.

Belongs here: keys and clauses as bodies of requests, the sentinel among them. Does not belong here: which
clauses pay (``narrowing.py``), what a key is worth (``matching/rarity.py``), asking (``opensearch_reader.py``).

Nothing but terms, openings, wildcards and ranges is asked: no expression of Lucene's own syntax. What a
wildcard finds in the dictionary has no limit of its own; the request's time has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from search_api.index.narrowing import AnyOf, Born, Clause, Opening, Word
from search_api.index.opensearch_mapping import sentinel_word, short
from search_api.index.words import RESTRICTED
from search_api.matching.rarity import WeighedKey

Query = dict[str, Any]

BY_NUMBER = [{"nhs": "asc"}]
BY_SCORE = [{"_score": "desc"}, {"nhs": "asc"}]
# More than the sum of all rarities that a question can have, and exact as the engine's 32-bit score.
SENTINEL_BOOST = 1 << 22
# Lucene takes 1,024 clauses in a query; a few are ours.
MOST_CLAUSES = 1_000
# The cluster takes 65,536 (index.max_terms_count).
MOST_TERMS = 60_000
# Where the part of a key begins that does not depend on the birth date (formats: matching/blocking.py). A
# document has one birth date, so of such keys that are equal from there it has one at most.
_DATED = {"a": 9, "b": 9, "c": 9, "e": 5, "m": 5}
_RESTRICTED: Query = {"term": {"keys": RESTRICTED}}


def by_keys(keys: Sequence[WeighedKey], token: str, *, open_only: bool, beside: Sequence[WeighedKey] = ()) -> Query:
    """Documents with any of the keys, scored by the sum of the rarities of those they have and of those ``beside``, which
    find nobody by themselves; and the sentinels."""
    should = _weighed(keys)
    if beside:
        found = {"bool": {"should": should, "minimum_should_match": 1}}
        should = [{"bool": {"must": [found], "should": _weighed(beside)}}]
    query: Query = {"should": [_constant(sentinel(token), SENTINEL_BOOST), *should]}
    if open_only:
        query["must_not"] = [_RESTRICTED]
    return {"bool": query}


def _weighed(keys: Sequence[WeighedKey]) -> list[Query]:
    groups = _groups(keys)
    if len(groups) > MOST_CLAUSES:
        return [_summed(groups)]
    return [_constant(_words(words), rarity) for words, rarity in groups]


def by_clauses(clauses: Iterable[Clause], token: str, *, open_only: bool, above: int) -> Query:
    """Documents that meet every clause, with numbers above one already seen; and the sentinels."""
    met = [_query(clause) for clause in clauses]
    people: Query = {"match_none": {}}
    if met:
        people = {"bool": {"filter": [*met, {"range": {"nhs": {"gt": above}}}]}}
        if open_only:
            people["bool"]["must_not"] = [_RESTRICTED]
    return either(sentinel(token), people)


def by_numbers(numbers: Sequence[int], token: str) -> Query:
    """Documents of these numbers, the restricted ones marked by name; and the sentinels."""
    marked: Query = {"term": {"keys": {"value": RESTRICTED, "_name": RESTRICTED}}}
    people: Query = {"bool": {"filter": [{"terms": {"nhs": list(numbers)}}], "should": [marked]}}
    return either(sentinel(token), people)


def everybody(token: str) -> Query:
    """Every document, the sentinels first by score; those of another index are not among them."""
    return either(_constant(sentinel(token), SENTINEL_BOOST), {"range": {"nhs": {"gt": 0}}})


def exact(key: str) -> Query:
    """Documents with one key."""
    return _words([short(key)])


def sentinel(token: str) -> Query:
    """The sentinels of the index that holds this token."""
    return {"term": {"keys": sentinel_word(token)}}


def either(one: Query, other: Query) -> Query:
    """Documents that meet one of two."""
    return {"bool": {"should": [one, other], "minimum_should_match": 1}}


def _groups(keys: Sequence[WeighedKey]) -> list[tuple[list[str], float]]:
    """Keys of which a document has one at most, and of one rarity, as one clause: a long range of dates has
    thousands of keys, and few such groups."""
    groups: dict[tuple[str, str, float], list[str]] = {}
    for key, rarity in keys:
        start = _DATED.get(key[0], 0)
        groups.setdefault((key[:1], key[start:], rarity), []).append(short(key))
    return [(words, rarity) for (_, _, rarity), words in groups.items()]


def _summed(groups: Sequence[tuple[list[str], float]]) -> Query:
    """The same sum, of any number of groups: each document found is weighed by itself, which takes longer."""
    every = [word for words, _ in groups for word in words]
    parts = [_words(every[start : start + MOST_TERMS]) for start in range(0, len(every), MOST_TERMS)]
    functions = [{"filter": _words(words), "weight": rarity} for words, rarity in groups]
    return {
        "function_score": {
            "query": {"bool": {"should": parts}},
            "functions": functions,
            "score_mode": "sum",
            "boost_mode": "replace",
        }
    }


def _constant(query: Query, boost: float) -> Query:
    return {"constant_score": {"filter": query, "boost": boost}}


def _query(clause: Clause) -> Query:
    if isinstance(clause, Word):
        return _words([short(clause.text)])
    if isinstance(clause, Opening):
        return {"prefix": {"keys": {"value": short(clause.text)}}}
    if isinstance(clause, Born):
        return _born(*clause)
    if isinstance(clause, AnyOf):
        return _any(clause.clauses)
    return {"wildcard": {"keys": {"value": "*".join(map(_plain, clause.pieces))}}}


def _words(words: list[str]) -> Query:
    return {"term": {"keys": words[0]}} if len(words) == 1 else {"terms": {"keys": words}}


def _born(low: int, high: int) -> Query:
    return {"term": {"birth": low}} if low == high else {"range": {"birth": {"gte": low, "lte": high}}}


def _any(clauses: Sequence[Clause]) -> Query:
    """Years of death are many: as one clause of terms they count once."""
    words = [short(clause.text) for clause in clauses if isinstance(clause, Word)]
    should = [_query(clause) for clause in clauses if not isinstance(clause, Word)]
    if words:
        should.append(_words(words))
    return {"bool": {"should": should, "minimum_should_match": 1}} if should else {"match_none": {}}


def _plain(piece: str) -> str:
    """A piece of a wildcard with the engine's own signs taken literally."""
    return piece.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")
