"""Which given names stand for each other: PyPI ``nicknames`` and a clerical list.

Belongs here: the relation. Does not belong here: how much it is worth (``weights.json``).
"""

from __future__ import annotations

import csv
from collections import defaultdict
from functools import cache, lru_cache
from importlib import resources

from nicknames import with_names_csv_path


@cache
def _relations() -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """Formal name to short forms, and short form to formal names, in capitals."""
    pairs: list[tuple[str, str]] = []
    with with_names_csv_path() as path, path.open(encoding="utf-8", newline="") as handle:
        pairs += [(row["name1"].upper(), row["name2"].upper()) for row in csv.DictReader(handle)]
    clerical = resources.files(__package__).joinpath("nicknames_clerical.csv").read_text("utf-8")
    pairs += [(row["formal"], row["short"]) for row in csv.DictReader(clerical.splitlines())]
    short: dict[str, set[str]] = defaultdict(set)
    formal: dict[str, set[str]] = defaultdict(set)
    for long_name, short_name in pairs:
        if long_name.isalpha() and short_name.isalpha() and min(len(long_name), len(short_name)) > 1:
            short[long_name].add(short_name)
            formal[short_name].add(long_name)
    return ({k: frozenset(v) for k, v in short.items()}, {k: frozenset(v) for k, v in formal.items()})


@lru_cache(maxsize=50_000)
def related(name: str) -> tuple[str, ...]:
    """Formal names of a short form, then short forms of a formal name; shortest first, steady."""
    short, formal = _relations()
    ordered = (*sorted(formal.get(name, ()), key=_order), *sorted(short.get(name, ()), key=_order))
    return tuple(dict.fromkeys(other for other in ordered if other != name))


def _order(name: str) -> tuple[int, str]:
    return len(name), name


@lru_cache(maxsize=20_000)
def kindred(name: str) -> frozenset[str]:
    """Names of which this one is a short form, its own short forms, and short forms of the same names; not itself."""
    short, formal = _relations()
    formals = formal.get(name, frozenset())
    return formals.union(short.get(name, ()), *(short[each] for each in formals)) - {name}


def alike(one: str, other: str) -> bool:
    """Whether one is a short form of the other, or both are short forms of one name; not of equals."""
    return other in kindred(one)
