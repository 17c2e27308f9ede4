"""Figures: a name, a value, a unit; kept in ``docs/figures.json``, shown in ``docs/performance.md``.

Belongs here: the store of figures and the page made from it. Does not belong here: measuring.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STORE = ROOT / "docs" / "figures.json"
PAGE = ROOT / "docs" / "performance.md"


@dataclass(frozen=True)
class Figure:
    """One measurement. ``must`` is the promise it is held against, in the same unit."""

    name: str
    value: float
    unit: str
    meaning: str
    must: float | None = None
    more_is_better: bool = False

    @property
    def verdict(self) -> str:
        """Whether the promise holds; empty where there is none."""
        if self.must is None:
            return ""
        good = self.value >= self.must if self.more_is_better else self.value <= self.must
        return "met" if good else "**missed**"


def hardware() -> str:
    """Processor, cores and memory of this machine, as the kernel tells them."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def commit() -> str:
    """The commit measured, with a mark when files differ from it."""
    run = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return run.stdout.strip() or "unknown"


def write(figures: Iterable[Figure], *, seed: int) -> None:
    """Replaces the figures of these names in the store and makes the page anew."""
    store = json.loads(STORE.read_text()) if STORE.exists() else {}
    conditions = {"hardware": hardware(), "commit": commit(), "seed": seed}
    for figure in figures:
        store[figure.name] = {**asdict(figure), **conditions}
    STORE.write_text(json.dumps(dict(sorted(store.items())), indent=1) + "\n")
    PAGE.write_text(page(store))


def page(store: dict[str, dict[str, object]]) -> str:
    """The report as Markdown; every row comes from the store."""
    lines = [
        "# Performance",
        "",
        "Written by `make bench` from `docs/figures.json`. Times are of one run on the hardware named; machines are shared,",
        "so read them as an order of size. A promise is what the project set itself; a missed one stays in the table.",
        "",
    ]
    groups: dict[str, list[dict[str, object]]] = {}
    for row in store.values():
        groups.setdefault(f"{row['hardware']}; commit {row['commit']}; seed {row['seed']}", []).append(row)
    for conditions, rows in groups.items():
        lines += [f"## {conditions}", "", "| figure | what | measured | promise | |", "| --- | --- | --- | --- | --- |"]
        lines += [_row(row) for row in rows]
        lines.append("")
    return "\n".join(lines)


def _row(row: dict[str, object]) -> str:
    names = ("name", "value", "unit", "meaning", "must", "more_is_better")
    figure = Figure(**{name: row[name] for name in names})  # type: ignore[arg-type]
    must = "" if figure.must is None else f"{'≥' if figure.more_is_better else '≤'} {figure.must:g} {figure.unit}"
    return f"| `{figure.name}` | {figure.meaning} | {figure.value:.4g} {figure.unit} | {must} | {figure.verdict} |"
