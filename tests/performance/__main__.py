"""``make bench``: the whole way and the service at one size; writes the figures and the page.

Belongs here: the order of the benchmarks. Does not belong here: how each is measured.
Example: python -m tests.performance --patients 100000
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.performance import audit, bench_matching, served, way
from tests.performance.figures import Figure, hardware, write

SPARE_BYTES_PER_PATIENT = 20_000


def main() -> None:
    """Measures, printing each figure as it comes, then writes them."""
    options = _options()
    print(hardware(), flush=True)
    home = options.home or Path(tempfile.mkdtemp(prefix="ncrs-bench-"))
    if shutil.disk_usage(home).free < options.patients * SPARE_BYTES_PER_PATIENT:
        sys.exit(f"Too little disk free in {home}. Free some, or name another folder with --home.")
    try:
        measured = [_shown(figure) for figure in _figures(home, options)]
    finally:
        if options.home is None:
            shutil.rmtree(home, ignore_errors=True)
    if not options.dry:
        write(measured, seed=options.seed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.performance", description=__doc__)
    parser.add_argument("--patients", type=int, default=way.MILLION)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="keep the data in this empty folder instead of a temporary one")
    parser.add_argument("--dry", action="store_true", help="print only; do not write docs/figures.json")
    return parser.parse_args()


def _figures(home: Path, options: argparse.Namespace) -> Iterator[Figure]:
    size = way.label(options.patients)
    yield from way.figures(home, options.patients, options.seed)
    yield from bench_matching.figures(home, size)
    yield from served.figures(home, size)
    yield from audit.figures(home / "bench-audit")


def _shown(figure: Figure) -> Figure:
    must = "" if figure.must is None else f"  (promise {figure.must:g}: {figure.verdict})"
    print(f"{figure.name:44} {figure.value:12.4g} {figure.unit}{must}", flush=True)
    return figure


if __name__ == "__main__":
    main()
