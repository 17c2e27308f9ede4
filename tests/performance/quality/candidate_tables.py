"""Tables of what the index gives before anything is scored: by how many candidates are taken, and by kind of key.

Belongs here: the section of the page made from ``match.candidates.*`` and ``match.<set>.candidates.*`` of the store.
Does not belong here: counting (``candidates.py``, ``ours.py``), the rest of the page (``report.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tests.performance.figures import Store

START = "match.candidates."
_KIND = re.compile(r"match\.candidates\.(?P<kind>[a-z0-9_]+)\.bytes")
_LIMIT = re.compile(r"match\.candidates\.(?P<set>[a-z0-9_]+)\.recall_(?P<limit>[0-9]+)")
_WITHOUT = re.compile(r"match\.candidates\.(?P<set>[a-z0-9_]+)\.without_(?P<kind>[a-z0-9_]+)\.recall_(?P<limit>[0-9]+)")


def section(store: Store) -> Iterator[str]:
    """Both tables, each only where the store has its figures."""
    yield from _by_limit(store)
    yield from _by_kind(store)


def conditions(store: Store) -> str:
    """Under which conditions the figures were measured, from the first of them."""
    row = next((row for name, row in sorted(store.items()) if name.startswith(START)), None)
    return f"{row['hardware']}; commit {row['commit']}; seed {row['seed']}." if row else ""


def _by_limit(store: Store) -> Iterator[str]:
    found = [match for name in store if (match := _LIMIT.fullmatch(name))]
    limits = sorted({int(each["limit"]) for each in found})
    if not limits:
        return
    heads = [text for limit in limits for text in (f"among {limit}", "candidates")]
    yield from (
        "### By how many are taken",
        "",
        f"{conditions(store)} The first candidates in the index's own order.",
        "",
    )
    yield from (f"| set | {' | '.join(heads)} |", f"| --- |{' --- |' * len(heads)}")
    for name in dict.fromkeys(each["set"] for each in found):
        cells = [
            _of(store, f"{START}{name}.{part}_{limit}", form)
            for limit in limits
            for part, form in (("recall", _percent), ("mean", _number))
        ]
        yield _line([name.replace("_", ", "), *cells])
    yield ""


def _by_kind(store: Store) -> Iterator[str]:
    """Dearest kind first; a set's cell is what is still found when the kind is left out, and what that takes away."""
    kinds = {match["kind"]: store[name]["value"] for name in store if (match := _KIND.fullmatch(name))}
    if not kinds:
        return
    sets = dict.fromkeys(match["set"] for name in store if (match := _WITHOUT.fullmatch(name)))
    heads = ["people who have one", "words a person", "distinct words", "bytes a person"]
    heads += [f"{name.replace('_', ', ')}: found without it" for name in sets]
    yield from ("### By kind of key", "", "What a kind costs the index, and who is still a candidate without it.", "")
    yield from (f"| kind | {' | '.join(heads)} |", f"| --- |{' --- |' * len(heads)}")
    for kind in sorted(kinds, key=lambda each: (-kinds[each], each)):
        forms = (("people", _percent), ("words", _number), ("terms", _number), ("bytes", _number))
        cells = [_of(store, f"{START}{kind}.{part}", form) for part, form in forms]
        yield _line([kind.replace("_", " "), *cells, *_lost(store, kind, sets)])
    yield _line(["all", "", "", "", _number({"value": sum(kinds.values())}), *[""] * len(sets)])
    yield ""


def _lost(store: Store, kind: str, sets: Iterable[str]) -> Iterator[str]:
    """Of each set the share still found without a kind of key, with the loss in percentage points."""
    for name in sets:
        without = [row for key, row in store.items() if key.startswith(f"{START}{name}.without_{kind}.recall_")]
        whole = [row for key, row in store.items() if key.startswith(f"{START}{name}.recall_")]
        if not without or not whole:
            yield "–"
            continue
        most = max(row["value"] for row in whole)
        yield f"{_percent(without[0])} ({(without[0]['value'] - most) * 100:+.2f})"


def _of(store: Store, name: str, form: Callable[[Mapping[str, Any]], str]) -> str:
    return form(store[name]) if name in store else "–"


def _percent(row: Mapping[str, Any]) -> str:
    return f"{row['value'] * 100:.2f} %"


def _number(row: Mapping[str, Any]) -> str:
    return f"{row['value']:,.2f}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
