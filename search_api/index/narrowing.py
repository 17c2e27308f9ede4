"""Narrowing a non-fuzzy search to few documents: the clauses of a plan, in no engine's language.

Belongs here: which clauses pay, once for every engine. Does not belong here: who answers
(``Plan.admits`` checks every document that is let through), an engine's queries (``embedded_filter.py``,
``opensearch_filter.py``), paging.

A wildcard over the whole dictionary costs as much as all the documents it matches, and looking at a
document costs microseconds. So wildcards narrow only where nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from search_api.index.words import PREFIXES
from search_api.matching import filtering, normalise
from search_api.matching.blocking import years
from search_api.matching.phonetics import first_class


class Word(NamedTuple):
    """Documents with one key or term."""

    text: str


class Opening(NamedTuple):
    """Documents with a key or term that begins so."""

    text: str


class Pieces(NamedTuple):
    """Documents with a term of these pieces in this order, anything or nothing between them."""

    pieces: tuple[str, ...]


class Born(NamedTuple):
    """Birth numbers (yyyymmdd, 00 for unknown) from ``low`` to ``high``, both included."""

    low: int
    high: int


class AnyOf(NamedTuple):
    """Documents that meet any of these; none of them when it is empty."""

    clauses: tuple[Clause, ...]


Clause: TypeAlias = Word | Opening | Pieces | Born | AnyOf


def clauses(plan: filtering.Plan) -> Iterator[Clause]:
    """What every answer meets. No clause at all means that nobody is looked at."""
    span = plan.asked.birth
    if plan.family:
        yield from _family(plan.family, span.day if span else 0)
    for value in plan.given:
        if value.one_word and not value.wild:
            yield Word(PREFIXES["word"] + value.joined)
    if plan.postcode and not plan.postcode.wild:
        yield _place(plan.postcode.joined)
    if plan.asked.gp:
        yield Word(PREFIXES["gp"] + plan.asked.gp)
    for prefix, values in (("t", plan.asked.phones), ("@", plan.asked.emails)):
        for text in values:
            yield Word(prefix + text)
    if plan.asked.death:
        yield AnyOf(tuple(Word(f"{PREFIXES['death']}{year}") for year in years(plan.asked.death)))
    if span:
        yield _born(span.low, span.high, plan.rules.partial_birth_dates)


def _family(value: filtering.Value, day: int) -> Iterator[Clause]:
    """The family name. Of a wildcard with one day of birth, the keys of that day whose sound may begin so."""
    if not value.wild:
        yield Word(PREFIXES["family"] + value.joined)
    elif not day:
        first, *others = value.pieces
        yield Pieces((PREFIXES["family"] + first, *others))
    elif not normalise.placeholder_date(day) and not normalise.may_be_placeholder(value.wild, value.start):
        yield Opening(f"a{day:08d}{first_class(value.start).removesuffix('.')}")


def _place(joined: str) -> Clause:
    """Documents with a key of the postcode, or with the term of one that makes no key (ZZ99, malformed)."""
    return AnyOf((Word(f"l{joined}"), Word(PREFIXES["postcode"] + joined)))


def _born(low: int, high: int, partial: str) -> Clause:
    """Birth numbers in a range; under the rule overlap also partial dates that reach into it from below.

    Under the rule contained a partial date (yyyymm00, yyyy0000) answers only when its first day is asked
    for, so it lies at most just below the range.
    """
    if partial == "overlap":
        below = tuple(Born(number, number) for number in (low // 100 * 100, low // 10000 * 10000) if number)
        return AnyOf((Born(low, high), *below))
    if low == high:
        return Born(low, high)
    first_of_year = 101 if low % 10000 == 101 else 0
    return Born(low - (first_of_year or (1 if low % 100 == 1 else 0)), high)
