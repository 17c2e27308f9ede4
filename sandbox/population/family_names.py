"""Family names: how often each is borne, by community and sex.

Belongs here: the frequency tables and the draw. Does not belong here: who takes whose name
(``people.py``), the minted spellings (``minted.py``).

The head is faker's en_GB list with its percentages (500 names, 39.5 % of people; Smith 1.15 %,
and with the other communities' Smiths about 1.2 % in all). The middle and the tail follow a
Zipf-Mandelbrot law, p(r) proportional to (r + 2)^-a, with ``a`` fitted so that the masses add up.
Source: reference/anchors.md 7.3 and 7.4.
"""

from __future__ import annotations

import csv
import json
from functools import lru_cache
from importlib import resources
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import polars as pl

from sandbox.population.communities import BRITISH, COMMUNITIES, NAMES
from sandbox.population.minted import SPELLINGS, minted, minted_list
from sandbox.population.randomness import F64, I32, I64, Draws, choice_table

_HEAD_SCALE = 1.0
_BRITISH_HEAD_SHARE = 0.81  # British households plus the part of other communities that bears such names
_MIDDLE = 9_000
_TAIL_MASS = 0.165  # of British draws; about 13 % of all people
_TAIL_EXPONENT = 1.3
_OFFSET = 2.0

_FIRST_BITS, _BODY_BITS = 16, 20
_BODY_DRAW = -1  # in a community's table: draw from the British body instead

# Share of a community's people whose name is in our list; the rest come from faker's list of a
# country (second), or from the British body (None). Assumptions.
_COVERAGE: dict[str, tuple[float, str | None]] = {
    "irish": (0.55, None),
    "scottish": (0.30, None),
    "welsh": (0.45, None),
    "muslim": (0.80, "en_PK"),
    "hindu": (0.85, "en_IN"),
    "sikh": (0.90, "en_IN"),
    "chinese": (0.97, None),
    "african": (0.80, None),
    "eastern": (0.30, "pl_PL"),
    "caribbean": (0.50, None),
    "arabic": (0.85, "en_PK"),
    "southern": (0.70, "es_ES"),
}


def faker_list(locale: str, attribute: str) -> dict[str, float]:
    """A weighted or plain name list of faker as name -> weight."""
    module = __import__(f"faker.providers.person.{locale}", fromlist=["Provider"])
    names: Any = getattr(module.Provider, attribute)
    weighted = dict(names) if hasattr(names, "items") else dict.fromkeys(names, 1.0)
    return {" ".join(str(name).split()): float(weight) for name, weight in weighted.items()}


def mimesis_person() -> dict[str, Any]:
    """The en-gb person data of mimesis (given names by sex, surnames)."""
    text = (resources.files("mimesis") / "datasets" / "en-gb" / "person.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def _community_lists() -> dict[tuple[str, str], dict[str, float]]:
    """Our own weighted lists as (community, sex) -> name -> weight; sex is F, M or *."""
    text = (resources.files("sandbox.population") / "family_names.csv").read_text(encoding="utf-8")
    lists = {}
    for row in csv.DictReader(text.splitlines()):
        pairs = (entry.split(":") for entry in row["names"].split(";"))
        lists[row["community"], row["sex"]] = {name: float(weight) for name, weight in pairs}
    return lists


def _zipf(first: int, count: int, exponent: float) -> F64:
    ranks: F64 = np.arange(first, first + count, dtype=np.float64) + _OFFSET
    return ranks**-exponent


def _fitted_middle(first: int, start: float, mass: float) -> F64:
    """Zipf-Mandelbrot weights from rank ``first`` that begin at ``start`` and sum to ``mass``."""
    low, high = 0.5, 6.0
    for _ in range(60):
        exponent = (low + high) / 2
        weights = _zipf(first, _MIDDLE, exponent)
        weights *= start / weights[0]
        low, high = (exponent, high) if weights.sum() > mass else (low, exponent)
    return weights


def _further_names() -> list[str]:
    """Names below the published head in falling order: half minted, the rest from two packages."""
    listed = chain.from_iterable(zip_longest(faker_list("en_IE", "last_names"), mimesis_person()["surnames"]))
    mixed = chain.from_iterable(zip_longest(minted_list(2 * _MIDDLE), listed))
    return list({name.casefold(): name for name in mixed if name}.values())


def _british_body(own: dict[tuple[str, str], dict[str, float]]) -> tuple[list[str], F64]:
    """Names of the British body and their shares; what is missing to 1 is the minted tail."""
    foreign = {name for (community, _), names in own.items() for name in names if community in _FOREIGN}
    listed = faker_list("en_GB", "last_names")
    head = {name: share for name, share in listed.items() if name not in foreign or name in _SHARED}
    names = sorted(head, key=lambda name: (-head[name], name))
    shares = np.array([head[name] for name in names]) / 100 * _HEAD_SCALE / _BRITISH_HEAD_SHARE
    known = {name.casefold() for name in (*names, *foreign)}
    middle = [name for name in _further_names() if name.casefold() not in known][:_MIDDLE]
    weights = _fitted_middle(len(names) + 1, float(shares[-1]), 1 - _TAIL_MASS - float(shares.sum()))
    return names + middle, np.concatenate([shares, weights])


_FOREIGN = {"muslim", "hindu", "sikh", "chinese", "african", "eastern", "arabic", "southern"}
_SHARED = {"Lee", "Johnson", "Williams", "Davies", "Jan", "Mann", "Silva", "Costa", "Joseph"}


class FamilyNames:
    """The frequency tables; codes below ``body`` are listed names, those from it on are minted."""

    def __init__(self) -> None:
        own = _community_lists()
        self._names, shares = _british_body(own)
        self._code = {name: code for code, name in enumerate(self._names)}
        tables = [self._table(community, sex, own) for community in range(len(COMMUNITIES)) for sex in "FM"]
        self._first: I32 = np.concatenate(tables)
        tail = max(0.0, 1.0 - float(shares.sum()))
        self._body = choice_table([*shares, tail], _BODY_BITS)
        self._tail_code = len(shares)
        self.body = len(self._names)
        self._text = pl.Series(self._names, dtype=pl.String)

    def _register(self, name: str) -> int:
        if name not in self._code:
            self._code[name] = len(self._names)
            self._names.append(name)
        return self._code[name]

    def _table(self, community: int, sex: str, own: dict[tuple[str, str], dict[str, float]]) -> I32:
        """First-level table of one community and sex: codes, or _BODY_DRAW."""
        label = NAMES[community]
        if community == BRITISH:
            return np.full(1 << _FIRST_BITS, _BODY_DRAW, dtype=np.int32)
        names = own.get((label, "*")) or own[label, sex]
        coverage, locale = _COVERAGE[label]
        total = sum(names.values())
        options = [(self._register(name), coverage * weight / total) for name, weight in names.items()]
        rest = 1 - coverage
        if locale:
            attribute = "unisex_last_names" if locale == "pl_PL" else "last_names"
            filler = list(faker_list(locale, attribute))
            options += [(self._register(name), rest / len(filler)) for name in filler]
        else:
            options.append((_BODY_DRAW, rest))
        codes = np.array([code for code, _ in options], dtype=np.int32)
        return codes[choice_table([weight for _, weight in options], _FIRST_BITS)]

    def draw(self, draws: Draws, stream: str, where: I64, group: I64) -> I32:
        """A code a position; ``group`` is community * 2 + sex (0 female, 1 male)."""
        bits = draws.bits(stream, where)
        first = (bits >> np.uint64(64 - _FIRST_BITS)).astype(np.int64)
        codes = self._first[(group << _FIRST_BITS) + first]
        body = ((bits >> np.uint64(20)) & np.uint64((1 << _BODY_BITS) - 1)).astype(np.int64)
        codes = np.where(codes == _BODY_DRAW, self._body[body], codes)
        tail = np.flatnonzero(codes == self._tail_code)
        codes[tail] = self.body + self._tail_ranks(draws.unit(f"{stream}/tail", where[tail]))
        return codes

    def _tail_ranks(self, uniform: F64) -> I32:
        """Ranks in [0, SPELLINGS) by the inverse of the Zipf-Mandelbrot distribution function."""
        power = 1 - _TAIL_EXPONENT
        low, high = _MIDDLE + _OFFSET, _MIDDLE + _OFFSET + SPELLINGS - _MIDDLE
        ranks = (low**power + uniform * (high**power - low**power)) ** (1 / power)
        made: I32 = np.minimum(ranks, SPELLINGS - 1).astype(np.int32)
        return made

    def text(self, codes: I32) -> pl.Series:
        """The names of codes, as a polars Series."""
        listed = self._text.gather(np.minimum(codes, self.body - 1).astype(np.int64))
        tail = np.flatnonzero(codes >= self.body)
        if not len(tail):
            return listed
        return listed.scatter(tail, minted(codes[tail].astype(np.int64) - self.body))


@lru_cache(maxsize=1)
def family_names() -> FamilyNames:
    """The tables, made once a process."""
    return FamilyNames()
