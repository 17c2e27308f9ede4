"""From pairs to proposed weights: u counted over random pairs, m by Splink, the prior where pairs are too few.

Belongs here: pure estimation, levels in and levels out. Does not belong here: pairs and their levels
(``pairs.py``), Splink's settings (``splink_model.py``), files and review (``review.py``).

A level's bits are believed when both sides saw it often enough (``Rules``); else it keeps the bits it had.
Kept always: ``name_order``, which corrects the scorer's choice between two pairings and is no observation
of its own, and levels worth the name's own frequency that only some questions can reach (``misspelt``):
their m is a share of those questions, which pairs of all questions do not give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import polars as pl

from assets.weights.pairs import HISTORY_TEACHES, SESSIONS, Session
from assets.weights.splink_model import Learnt, Levels, learn, only
from search_api.matching.weights import Level, Weights

KEPT = frozenset(("name_order",))
EXACT = "exact"
Key = tuple[str, str]


@dataclass(frozen=True)
class Rules:
    """When an estimate is believed, and how much is drawn.

    ``least_true``: true pairs expected at a level; ``least_random``: random pairs seen at it; ``most_bits``:
    how far one proposal may move a level.
    """

    people: int = 20_000
    random_pairs: int = 1_000_000
    records: int = 20_000
    least_true: float = 30.0
    least_random: int = 20
    most_bits: float = 6.0
    seed: int = 1


@dataclass(frozen=True)
class Counted:
    """Random pairs: how many said anything in a comparison, and how many reached each level."""

    said: dict[str, int]
    reached: dict[Key, int]

    def u(self, key: Key) -> float:
        """Share of the pairs that said something, never nothing at all."""
        return max(self.reached.get(key, 0), 0.5) / max(self.said.get(key[0], 0), 1)


@dataclass(frozen=True)
class Estimate:
    """One level as proposed: ``source`` is trained, or why the old bits are kept."""

    level: Level
    source: str
    true_pairs: float
    random_pairs: int


@dataclass(frozen=True)
class Estimates:
    """All levels, and what each kind of key gave: pairs and true ones among them."""

    levels: dict[Key, Estimate]
    sessions: dict[str, dict[str, float]] = field(default_factory=dict)


def count(pairs: Iterable[pl.DataFrame]) -> Counted:
    """Add up the levels of random pairs."""
    said: dict[str, int] = {}
    reached: dict[Key, int] = {}
    for table in pairs:
        for name in table.columns:
            for level, number in table[name].drop_nulls().value_counts().iter_rows():
                said[name] = said.get(name, 0) + number
                reached[name, level] = reached.get((name, level), 0) + number
    return Counted(said, reached)


def estimate(
    weights: Weights, counted: Counted, pairs_of: Callable[[Session], pl.DataFrame], rules: Rules, *, past: bool
) -> Estimates:
    """Every level of ``weights`` with what the data says of it. ``past``: only history taught m."""
    found: dict[Key, Estimate] = {}
    sessions: dict[str, dict[str, float]] = {}
    for session in SESSIONS:
        learnt_names = [name for name in session.learnt if not past or name in HISTORY_TEACHES]
        pairs = pairs_of(session) if learnt_names else pl.DataFrame()
        if not pairs.height:
            continue
        learnt, shares = _learn(weights, counted, pairs, session)
        sessions[session.name] = {"pairs": learnt.pairs, "true_pairs": round(learnt.matches, 1)}
        for name in learnt_names:
            for level in weights.levels[name].values():
                key = (name, level.name)
                true = learnt.m.get(key, 0.0) * learnt.matches * shares.get(name, 0.0)
                found[key] = _judged(level, learnt.m.get(key), true, counted, rules)
    for name, levels in weights.levels.items():
        for level in levels.values():
            key = (name, level.name)
            found.setdefault(key, Estimate(level, "kept: nothing taught it", 0.0, counted.reached.get(key, 0)))
    return Estimates(
        {(name, level): found[name, level] for name, each in weights.levels.items() for level in each}, sessions
    )


def _learn(
    weights: Weights, counted: Counted, pairs: pl.DataFrame, session: Session
) -> tuple[Learnt, dict[str, float]]:
    """m from one kind of key, and for each comparison the share of pairs in which it said something."""
    shares = {name: 1.0 - pairs[name].null_count() / pairs.height for name in session.used}
    used = [name for name in session.used if shares[name] > 0 and counted.said.get(name)]
    levels = starting(only(weights.levels, used), counted, pairs)
    return learn(pairs, levels, weights.frequency.steps), shares


def starting(levels: Levels, counted: Counted, pairs: pl.DataFrame) -> dict[str, dict[str, Level]]:
    """Levels as the maximisation starts: u as counted, m from the old file, both adding up to one.

    A level that neither random pairs nor these show is left out: nothing can be learnt of it here.
    """
    found = {}
    for name, each in levels.items():
        shown = set(pairs[name].drop_nulls().unique()) | {key[1] for key in counted.reached if key[0] == name}
        kept = [level for level in each.values() if level.name in shown]
        us = {level.name: _start_u(level, counted) for level in kept}
        whole_m, whole_u = sum(level.m for level in kept), sum(us.values())
        found[name] = {
            level.name: replace(level, m=level.m / whole_m, u=us[level.name] / whole_u, frequency=False)
            for level in kept
        }
    return found


def _start_u(level: Level, counted: Counted) -> float:
    """As counted; for what random pairs hardly show, as the old file has it, but no more than they allow."""
    seen, share = counted.reached.get((level.comparison, level.name), 0), counted.u((level.comparison, level.name))
    return share if seen >= 10 else min(level.u, max(share, 3.0 / max(counted.said.get(level.comparison, 0), 1)))


def _judged(level: Level, m: float | None, true: float, counted: Counted, rules: Rules) -> Estimate:
    key = (level.comparison, level.name)
    seen = counted.reached.get(key, 0)
    if level.comparison in KEPT or (level.frequency and level.name != EXACT):
        return Estimate(level, "kept: a rule of the scorer", true, seen)
    if m is None or true < rules.least_true:
        return Estimate(level, "kept: too few true pairs", true, seen)
    if level.frequency:
        return Estimate(replace(level, m=_bounded(m)), "trained", true, seen)
    if seen < rules.least_random:
        return Estimate(level, "kept: too few random pairs", true, seen)
    proposed = replace(level, m=_bounded(m), u=_bounded(counted.u(key)))
    if abs(proposed.weight - level.weight) > rules.most_bits:
        return Estimate(level, "kept: would move too far", true, seen)
    return Estimate(proposed, "trained", true, seen)


def _bounded(share: float) -> float:
    return float(f"{min(max(share, 1e-9), 1.0):.6g}")
