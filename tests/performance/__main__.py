"""``make bench``: the whole way and the service at one size, the engines side by side; writes figures and page.

Belongs here: the order of the benchmarks. Does not belong here: how each is measured.
Example: python -m tests.performance --patients 100000
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from tests.performance import audit, bench_matching, bench_opensearch, cluster_way, served, trace, way
from tests.performance.figures import Figure, hardware
from tests.performance.node import a_node
from tests.performance.page import write
from tests.performance.place import bench_home

# The engines are put side by side at this size too, to see how they grow.
SMALL = 100_000


def main() -> None:
    """Measures, printing each figure as it comes, then writes them."""
    options = _options()
    print(hardware(), flush=True)
    with bench_home(options.home, options.patients) as home:
        for part in _parts(home, options):
            measured = [_shown(figure) for figure in part]
            if not options.dry:  # part by part: what was measured is kept when a later part fails
                write(measured, seed=options.seed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.performance", description=__doc__)
    parser.add_argument("--patients", type=int, default=way.MILLION)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="keep the data in this empty folder instead of a temporary one")
    parser.add_argument("--dry", action="store_true", help="print only; do not write docs/figures.json")
    return parser.parse_args()


def _parts(home: Path, options: argparse.Namespace) -> Iterator[Iterator[Figure]]:
    size = way.label(options.patients)
    yield way.figures(home, options.patients, options.seed)
    yield bench_matching.figures(home, size)
    yield served.figures(home, f"bench.{size}")
    yield trace.figures(home)
    yield _engines(home, options)
    yield audit.figures(home / "bench-audit")


def _engines(home: Path, options: argparse.Namespace) -> Iterator[Figure]:
    """Embedded, ours on OpenSearch and the plain one, over the people of the whole run and over fewer."""
    with a_node() as url:
        if options.patients > SMALL:
            small = home / "small"
            way.extract(small, SMALL, options.seed)
            yield from bench_opensearch.figures(small, way.label(SMALL), url)
        yield from bench_opensearch.figures(home, way.label(options.patients), url)
        yield from cluster_way.figures(home, options.patients, options.seed, url)


def _shown(figure: Figure) -> Figure:
    print(figure.line, flush=True)
    return figure


if __name__ == "__main__":
    main()
