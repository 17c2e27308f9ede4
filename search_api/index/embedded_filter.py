"""A plan as the embedded index answers it: what its keys tell, and the tantivy query of the rest.

Belongs here: clauses as keys and as tantivy queries. Does not belong here: which clauses pay (``narrowing.py``), who
answers (``filtering.py``), paging (``embedded_reader.py``).
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tantivy import FieldType, Occur, Query

from search_api.index.keytable import Ordinals
from search_api.index.narrowing import AnyOf, Born, Clause, Opening, Word, clauses
from search_api.index.schema import SCHEMA, WORDS
from search_api.index.words import LISTED_TERMS, PREFIXES, RESTRICTED
from search_api.matching import filtering
from search_api.matching.lettering import ANY, HALF, bits

CLOSED_TO_RESTRICTED = Query.term_query(SCHEMA, WORDS, RESTRICTED, "basic")
_HALF = (1 << HALF) - 1
_TERMS = tuple(prefix for field, prefix in PREFIXES.items() if field not in LISTED_TERMS)


class Spelling(NamedTuple):
    """Letters that the names of whoever answers have (``matching/lettering.py``): of the family name, of given names."""

    family: int
    given: int

    @classmethod
    def of(cls, plan: filtering.Plan) -> Spelling:
        """Those of the names asked for, wildcards left out."""
        return cls(bits(_sure(plan.family) if plan.family else ""), bits("".join(map(_sure, plan.given))))

    def among(self, held: Ordinals) -> npt.NDArray[np.bool_]:
        """Whether these may be among the letters held, of each of many."""
        family, given = held & _HALF, held >> HALF
        found: npt.NDArray[np.bool_] = _within(self.family, family) & _within(self.given, given)
        return found


class Narrowing(NamedTuple):
    """Documents that may answer: all that do have a key of each of ``keyed`` and are found by ``query``; None finds all."""

    keyed: list[list[str]]
    query: Query | None
    # Whether a clause was left to the letters of names.
    opened: bool = False


def narrowing(plan: filtering.Plan, *, open_only: bool) -> Narrowing:
    """The clauses of a plan, each where it is answered. A plan without any finds nobody."""
    asked = list(clauses(plan))
    keyed = [words for words in map(_keys, asked) if words]
    rest = [(Occur.Must, _query(clause)) for clause in asked if not _keys(clause)]
    if not rest:
        return Narrowing(keyed, None if keyed else Query.empty_query())
    if open_only:
        rest.append((Occur.MustNot, CLOSED_TO_RESTRICTED))
    return Narrowing(keyed, Query.boolean_query(rest), any(isinstance(clause, Opening) for clause in asked))


def _sure(value: filtering.Value) -> str:
    """What a name that answers has for certain. Suffixes as typed (Jr, III) are in the pieces, but in no name held."""
    return "".join(value.pieces) if value.wild else value.joined


def _within(asked: int, held: Ordinals) -> npt.NDArray[np.bool_]:
    within: npt.NDArray[np.bool_] = ((asked & ~held) == 0) | ((held & ANY) != 0)
    return within


def _keys(clause: Clause) -> list[str]:
    """The keys of which a document has one that meets the clause; none where keys do not tell."""
    if isinstance(clause, Word):
        return [] if clause.text.startswith(_TERMS) else [clause.text]
    if isinstance(clause, AnyOf):
        found = [_keys(each) for each in clause.clauses]
        return [key for keys in found for key in keys] if all(found) else []
    return []


def _query(clause: Clause) -> Query:
    if isinstance(clause, Word):
        return Query.term_query(SCHEMA, WORDS, clause.text, "basic")
    if isinstance(clause, Born):
        return _born(*clause)
    if isinstance(clause, AnyOf):
        return Query.boolean_query([(Occur.Should, _query(each)) for each in clause.clauses])
    if isinstance(clause, Opening):
        # The keys of a day whose sound begins so cannot be told from others by their hashes. The day itself is asked
        # for besides, and of the few people born on it those are looked at whose names have the letters.
        return Query.all_query()
    return Query.regex_query(SCHEMA, WORDS, ".*".join(map(re.escape, clause.pieces)))


def _born(low: int, high: int) -> Query:
    if low == high:
        return Query.term_query(SCHEMA, "birth", low, "basic")
    return Query.range_query(SCHEMA, "birth", FieldType.Integer, low, high)
