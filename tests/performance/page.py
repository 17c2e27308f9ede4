"""``docs/performance.md``: made from the store of figures and nothing else.

Belongs here: text and tables of the page. Does not belong here: measuring, the store (``figures.py``).
``python -m tests.performance.page`` makes the page anew from what is stored; a drift test compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.performance.figures import PAGE, Figure, Store, figure_of, keep, stored

SIZES = {"100k": "100,000 patients", "1m": "1 million patients"}
ENGINES = {
    "embedded": "embedded",
    "opensearch": "ours on OpenSearch",
    "plain_opensearch": "plain OpenSearch",
    "plain_birth_only": "plain, birth date only",
}

# How well people are found has a page of its own (``quality/report.py``).
ELSEWHERE = "match."

HEAD = """\
# Performance

Written by `make bench` from [figures.json](figures.json). Times are of one run on the hardware named, and machines are
shared: read them as an order of size. A promise is what the project set itself; a missed one stays in the table.
How well people are found: [match-quality.md](match-quality.md).
"""

SIDE_BY_SIDE = """\
## Three ways to search, side by side

The same people and the same 3,000 seeded questions of each mode (one or two mistakes a question: typing errors, nicknames,
exchanged names, day and month swapped, a wrong digit, an old name or postcode; none in `filter`). The engines are asked in
turn, a hundred questions at a time, after a warm-up of each. One thread asks; client and server share the machine.

| engine | what it is |
| --- | --- |
| embedded | in the process: our keys, our scorer |
| ours on OpenSearch | the same keys as exact terms, the same scorer; `NCRS_INDEX=https://…` |
| plain OpenSearch | as most people use it: `bool`, `must` a `match` with `fuzziness: AUTO` on the family name and one on the given name, `filter` a `term` on birth date, sex, and postcode where one is asked |
| plain, birth date only | the same with the birth date as the one filter: the kindest reading for what is found |

The plain index has the names (all of them, current and previous) as `text` with the stock analyser, the rest as `keyword`,
and the `_source`. Fuzziness has the defaults of the server (no `prefix_length`, 50 expansions). It is treated as well as ours:
one shard, no replica, refresh off while loading, merged to one segment as ours is; our client, its connection pool and its deadlines;
the answer asks for the 50 best by number from doc values, without `_source` and without counting hits. It scores nothing
outside the server and knows nothing of restricted patients; ours does both within the time shown.

- *search* is both tolerant modes, `wide` and `fuzzy`, together: from the question as typed to the ranked answer.
- *engine* is the part of it that the engine takes: the request and its answer, ours without keys and scoring.
- *right first*: the person meant is the first of the answer. *Found*: among the first 50.
- *load* is from rows to an index ready to be served: documents made, written, refreshed, merged.
- bytes a patient: for OpenSearch the primary store as `_cat/indices` tells it, for the embedded engine its folder.
"""

NOTE = "Ours on OpenSearch held against the plain query with every filter, and the whole way on a cluster:"

# A list of figures inside another page: these lines, with the names in the first, and a table between them.
_BEGIN, _END = re.compile(r"<!-- figures: ([a-z0-9_. ]+) -->"), "<!-- end of figures -->"

ROWS = (
    ("search_p50_ms", "search, p50"),
    ("search_p95_ms", "search, p95"),
    ("search_p99_ms", "search, p99"),
    ("engine_p50_ms", "engine, p50"),
    ("engine_p95_ms", "engine, p95"),
    ("engine_p99_ms", "engine, p99"),
    ("right_first", "right person first"),
    ("found_50", "found in 50"),
    *(
        (f"{mode}_{name}", f"{mode}: {text}")
        for mode in ("wide", "fuzzy", "filter")
        for name, text in (
            ("p50_ms", "p50"),
            ("p95_ms", "p95"),
            ("p99_ms", "p99"),
            ("right_first", "right person first"),
            ("found_50", "found in 50"),
        )
    ),
    ("load_per_s", "load"),
    ("bytes_patient", "bytes a patient"),
)


def page(store: Store) -> str:
    """The whole page as Markdown; every figure of the store is on it but those of ``match-quality.md``."""
    store = {name: row for name, row in store.items() if not name.startswith(ELSEWHERE)}
    lines = [*HEAD.splitlines(), ""]
    shown: set[str] = set()
    tables = [table for size in SIZES for table in _side_by_side(store, size, shown)]
    if tables:
        lines += [*SIDE_BY_SIDE.splitlines(), "", *tables]
    rest = [row for name, row in store.items() if name not in shown]
    for conditions, rows in _by_conditions(rest).items():
        lines += [f"## {conditions}", "", "| figure | what | measured | promise | |", "| --- | --- | --- | --- | --- |"]
        lines += [_row(figure_of(row)) for row in rows]
        lines.append("")
    return "\n".join(lines)


def _side_by_side(store: Store, size: str, shown: set[str]) -> list[str]:
    """One size: the engines in columns; ``shown`` gets the names that the table holds."""
    rows = []
    held = []
    for key, text in ROWS:
        names = [f"bench.{engine}.{size}.{key}" for engine in ENGINES]
        if any(name in store for name in names):
            rows.append(f"| {text} | {' | '.join(_cell(store, name) for name in names)} |")
            held += [name for name in names if name in store]
    if not rows:
        return []
    shown.update(held)
    head = [f"| {SIZES[size]} | {' | '.join(ENGINES.values())} |", f"| --- |{' --- |' * len(ENGINES)}"]
    conditions = _by_conditions(store[name] for name in held)
    return [
        f"### {SIZES[size]}",
        "",
        *(f"{each}." for each in conditions),
        "",
        *head,
        *rows,
        "",
        *_held(store, size, shown),
    ]


def _held(store: Store, size: str, shown: set[str]) -> list[str]:
    """What ours is held against the plain one for, at one size."""
    rows = [
        figure_of(row)
        for name, row in store.items()
        if name.startswith(f"bench.opensearch.{size}.") and name not in shown
    ]
    if not rows:
        return []
    shown.update(figure.name for figure in rows)
    head = ["| figure | what | measured | promise | |", "| --- | --- | --- | --- | --- |"]
    return [NOTE, "", *head, *map(_row, rows), ""]


def _by_conditions(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(f"{row['hardware']}; commit {row['commit']}; seed {row['seed']}", []).append(row)
    return groups


def _cell(store: Store, name: str) -> str:
    if name not in store:
        return "–"
    return _value(figure_of(store[name]))


def _value(figure: Figure) -> str:
    return f"{figure.value:.4g} {figure.unit}".strip()


def _row(figure: Figure) -> str:
    must = "" if figure.must is None else f"{'≥' if figure.more_is_better else '≤'} {figure.must:g} {figure.unit}"
    return f"| `{figure.name}` | {figure.meaning} | {_value(figure)} | {must} | {figure.verdict} |"


def filled(text: str, store: Store) -> str:
    """Another page with the figures that it lists as they are in the store."""
    parts = []
    while begin := _BEGIN.search(text):
        parts += [text[: begin.end()], "\n", *_listed(begin.group(1).split(), store)]
        text = text[text.index(_END, begin.end()) :]
    return "".join([*parts, text])


def _listed(names: Iterable[str], store: Store) -> list[str]:
    rows = [figure_of(store[name]) for name in names if name in store]
    lines = ["| figure | what | measured |", "| --- | --- | --- |"]
    return [f"{line}\n" for line in [*lines, *(f"| `{f.name}` | {f.meaning} | {_value(f)} |" for f in rows)]]


def write(figures: Iterable[Figure], *, seed: int) -> None:
    """Keep these figures and make every page anew that shows some."""
    keep(figures, seed=seed)
    main()


def main() -> None:
    """The pages from what is stored."""
    store = stored()
    PAGE.write_text(page(store))
    for path in pages_with_figures():
        path.write_text(filled(path.read_text(), store))


def pages_with_figures() -> list[Path]:
    """Pages other than the one of all figures that list some."""
    return [path for path in sorted(PAGE.parent.glob("*.md")) if path != PAGE and _BEGIN.search(path.read_text())]


if __name__ == "__main__":
    main()
