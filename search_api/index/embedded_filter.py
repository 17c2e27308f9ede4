"""Narrowing a non-fuzzy search to few documents: the tantivy query of a plan.

Belongs here: which clauses pay. Does not belong here: who answers (``Plan.admits`` checks every document
that is let through), paging (``embedded_reader.py``).

Looking at a document costs five microseconds; a wildcard over the whole dictionary costs as much as all the
documents it matches. So wildcards narrow only where nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tantivy import FieldType, Occur, Query

from search_api.index.schema import PREFIXES, RESTRICTED, SCHEMA
from search_api.matching import filtering, normalise
from search_api.matching.blocking import years
from search_api.matching.phonetics import first_class

CLOSED_TO_RESTRICTED = Query.term_query(SCHEMA, "keys", RESTRICTED, "basic")


def narrowing(plan: filtering.Plan, *, open_only: bool) -> Query:
    """Documents that may answer: all that do are among them."""
    clauses = [(Occur.Must, query) for query in _clauses(plan)]
    if open_only:
        clauses.append((Occur.MustNot, CLOSED_TO_RESTRICTED))
    return Query.boolean_query(clauses)


def _clauses(plan: filtering.Plan) -> Iterator[Query]:
    """Terms that every answer has."""
    span = plan.asked.birth
    if plan.family:
        yield from _family(plan.family, span.day if span else 0)
    for value in plan.given:
        if value.one_word and not value.wild:
            yield exact(PREFIXES["word"] + value.joined)
    if plan.postcode and not plan.postcode.wild:
        yield _place(plan.postcode.joined)
    if plan.asked.gp:
        yield exact(PREFIXES["gp"] + plan.asked.gp)
    for prefix, values in (("t", plan.asked.phones), ("@", plan.asked.emails)):
        for text in values:
            yield exact(prefix + text)
    if plan.asked.death:
        yield _any([exact(f"{PREFIXES['death']}{year}") for year in years(plan.asked.death)])
    if span:
        yield _born(span.low, span.high, plan.rules.partial_birth_dates)


def _family(value: filtering.Value, day: int) -> Iterator[Query]:
    """The family name. Of a wildcard with one day of birth, the keys of that day whose sound may begin so."""
    if not value.wild:
        yield exact(PREFIXES["family"] + value.joined)
    elif not day:
        yield _regex(PREFIXES["family"] + value.wild.pattern)
    elif not normalise.placeholder_date(day) and not normalise.may_be_placeholder(value.wild, value.start):
        yield _regex(f"a{day:08d}{first_class(value.start)}.*")


def _place(joined: str) -> Query:
    """Documents with a key of the postcode, or with the term of one that makes no key (ZZ99, malformed)."""
    return _any((_regex(f"p{joined}.*"), exact(PREFIXES["postcode"] + joined)))


def _born(low: int, high: int, partial: str) -> Query:
    """Birth numbers in a range; under the rule overlap also partial dates that reach into it from below.

    Under the rule contained a partial date (yyyymm00, yyyy0000) answers only when its first day is asked
    for, so it lies at most just below the range.
    """
    if partial == "overlap":
        below = [_number(number) for number in (low // 100 * 100, low // 10000 * 10000) if number]
        return _any((_inside(low, high), *below))
    if low == high:
        return _number(low)
    first_of_year = 101 if low % 10000 == 101 else 0
    return _inside(low - (first_of_year or (1 if low % 100 == 1 else 0)), high)


def _inside(low: int, high: int) -> Query:
    return _number(low) if low == high else Query.range_query(SCHEMA, "birth", FieldType.Integer, low, high)


def _number(birth: int) -> Query:
    return Query.term_query(SCHEMA, "birth", birth, "basic")


def exact(word: str) -> Query:
    """Documents with one key or term."""
    return Query.term_query(SCHEMA, "keys", word, "basic")


def _regex(expression: str) -> Query:
    return Query.regex_query(SCHEMA, "keys", expression)


def _any(queries: Sequence[Query]) -> Query:
    return Query.boolean_query([(Occur.Should, query) for query in queries])
