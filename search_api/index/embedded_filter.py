"""The tantivy query of a plan.

Belongs here: clauses as tantivy queries. Does not belong here: which clauses pay (``narrowing.py``), who
answers (``filtering.py``), paging (``embedded_reader.py``).
"""

from __future__ import annotations

import re

from tantivy import FieldType, Occur, Query

from search_api.index.narrowing import AnyOf, Born, Clause, Opening, Word, clauses
from search_api.index.schema import SCHEMA, WORDS
from search_api.index.words import RESTRICTED
from search_api.matching import filtering

CLOSED_TO_RESTRICTED = Query.term_query(SCHEMA, WORDS, RESTRICTED, "basic")


def narrowing(plan: filtering.Plan, *, open_only: bool) -> Query:
    """Documents that may answer: all that do are among them."""
    parts = [(Occur.Must, _query(clause)) for clause in clauses(plan)]
    if open_only:
        parts.append((Occur.MustNot, CLOSED_TO_RESTRICTED))
    return Query.boolean_query(parts)


def exact(word: str) -> Query:
    """Documents with one key or term."""
    return Query.term_query(SCHEMA, WORDS, word, "basic")


def _query(clause: Clause) -> Query:
    if isinstance(clause, Word):
        return exact(clause.text)
    if isinstance(clause, Born):
        return _born(*clause)
    if isinstance(clause, AnyOf):
        return Query.boolean_query([(Occur.Should, _query(each)) for each in clause.clauses])
    pieces = (clause.text, "") if isinstance(clause, Opening) else clause.pieces
    return Query.regex_query(SCHEMA, WORDS, ".*".join(map(re.escape, pieces)))


def _born(low: int, high: int) -> Query:
    if low == high:
        return Query.term_query(SCHEMA, "birth", low, "basic")
    return Query.range_query(SCHEMA, "birth", FieldType.Integer, low, high)
