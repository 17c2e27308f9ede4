"""Figures: a name, a value, a unit, and under which conditions; kept in ``docs/figures.json``.

Belongs here: the store of figures. Does not belong here: measuring, the page (``page.py``).
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search_api import compiled

ROOT = Path(__file__).resolve().parents[2]
STORE = ROOT / "docs" / "figures.json"
PAGE = ROOT / "docs" / "performance.md"
# Names are steady: other pages, and whoever draws a line over releases, refer to them.
NAME = re.compile(r"(bench(\.[a-z0-9_]+){2,}|(match|national|trace)(\.[a-z0-9_]+)+)")

Store = Mapping[str, Mapping[str, Any]]
# What a figure of the file has where it does not say; its name is its key.
_LEFT_OUT: Mapping[str, Any] = {"must": None, "more_is_better": False}


@dataclass(frozen=True)
class Figure:
    """One measurement. ``must`` is the promise it is held against, in the same unit; ``of`` how many a share is of."""

    name: str
    value: float
    unit: str
    meaning: str
    must: float | None = None
    more_is_better: bool = False
    of: int | None = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name} is not a name of a figure: bench, match, national or trace, then small words parted by dots."
            )

    @property
    def verdict(self) -> str:
        """Whether the promise holds; empty where there is none."""
        if self.must is None:
            return ""
        good = self.value >= self.must if self.more_is_better else self.value <= self.must
        return "met" if good else "**missed**"

    @property
    def line(self) -> str:
        """As printed while measuring."""
        must = "" if self.must is None else f"  (promise {self.must:g}: {self.verdict})"
        return f"{self.name:52} {self.value:12.4g} {self.unit}{must}"


def hardware() -> str:
    """Processor, cores and memory of this machine, as the kernel tells them."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    form = ", matcher compiled" if compiled.used() else ""
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}{form}"


def commit() -> str:
    """The commit measured, with a mark when files differ from it; the pages that figures go into do not count."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)docs")
    return (_git("rev-parse", "--short", "HEAD") or "unknown") + ("-dirty" if changed else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def stored() -> dict[str, dict[str, Any]]:
    """Every figure kept, by name."""
    loaded: dict[str, dict[str, Any]] = json.loads(STORE.read_text()) if STORE.exists() else {}
    return {name: {"name": name, **_LEFT_OUT, **row} for name, row in loaded.items()}


def keep(figures: Iterable[Figure], *, seed: int, instead: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """Replace the figures of these names in the store, with the conditions of now; the whole store.

    ``instead``: every figure whose name begins so goes first, as the new ones take the place of all of them.
    A share keeps what it was ``before``.
    """
    old = stored()
    store = {name: row for name, row in old.items() if not name.startswith(instead or ("\0",))}
    conditions = {"hardware": hardware(), "commit": commit(), "seed": seed}
    for figure in figures:
        store[figure.name] = {**_row(figure), **conditions, **_before(figure, old)}
    store = dict(sorted(store.items()))
    STORE.write_text(text_of(store))
    return store


def text_of(store: Store) -> str:
    """The store as JSON, a line a figure; what is as in most figures is left out, for there are thousands."""
    lines = (f"{json.dumps(name)}: {json.dumps(_told(row))}" for name, row in store.items())
    return "{\n " + ",\n ".join(lines) + "\n}\n"


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "name" and (key, value) not in _LEFT_OUT.items()}


def _row(figure: Figure) -> dict[str, Any]:
    """The figure as kept; how many it is of stands only where it is a share."""
    return {name: value for name, value in asdict(figure).items() if name != "of" or value is not None}


def _before(figure: Figure, old: Store) -> dict[str, Any]:
    was = old.get(figure.name, {})
    if figure.of is None or "of" not in was:
        return {}
    return {"before": {name: was[name] for name in ("value", "of", "commit")}}


def figure_of(row: Mapping[str, Any]) -> Figure:
    """A figure of the store, its conditions left out."""
    names = ("name", "value", "unit", "meaning", "must", "more_is_better")
    return Figure(**{name: row[name] for name in names}, of=row.get("of"))
