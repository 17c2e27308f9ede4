"""Relatives and namesakes: what agreement cannot say because others share it by nature.

Belongs here: the patterns of one person and another like them, and the bits that each takes back. Does not belong
here: how many others there are (``weights.json``), levels (``comparisons.py``), the sum (``scoring.py``).

A sum of weights takes comparisons for independent. A household shares its home and its family name, twins their
birth date as well: where the given names differ, both names of the home say no more than "of this household", however
rare the name. So there is a bound: comparisons that single out a group of ``people`` others cannot give better odds than
one to ``people``. What they give beyond it is taken back, as evidence of its own, so that prior and evidence still
add up to the weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search_api.matching.questions import Evidence

COMPARISON = "relatives"
Levels = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Kind:
    """One pattern. ``agree`` and ``differ``: levels that must have been reached; ``home``: a place or contact agrees too.

    ``people``: how many others, on average, share what is ``counted`` with somebody.
    """

    level: str
    people: float
    home: bool
    agree: Levels
    differ: Levels
    counted: frozenset[str]

    def holds(self, reached: Mapping[str, Evidence], at_home: bool) -> bool:
        """Whether the levels reached are of this pattern."""
        if self.home and not at_home:
            return False
        wanted = (*self.differ.items(), *self.agree.items())
        return all(name in reached and reached[name].level in levels for name, levels in wanted)

    def excess(self, evidence: Sequence[Evidence], prior: float) -> float:
        """Bits beyond the bound; below zero where there are none."""
        return (
            prior
            + sum([item.weight for item in evidence if item.comparison in self.counted], 0.0)
            + math.log2(self.people)
        )


@dataclass(frozen=True)
class Relatives:
    """All patterns. Whoever has no more than ``least`` bits is no answer in any case, and is left as they are.

    ``home``: levels by which a place or contact agrees, as for grades. Without kinds (a file of an earlier release) nothing is taken back.
    """

    least: float = math.inf
    home: Levels = field(default_factory=dict)
    kinds: tuple[Kind, ...] = ()

    @classmethod
    def parse(cls, raw: Mapping[str, Any] | None, home: Levels) -> Relatives:
        """From the part of the weights file. Raises KeyError, TypeError or ValueError."""
        return cls(float(raw["least_bits"]), home, tuple(map(_kind, raw["kinds"]))) if raw else cls()

    def found(self, evidence: Sequence[Evidence], prior: float) -> tuple[Evidence, ...]:
        """What is taken back from this evidence: the most that any pattern does, if that is anything."""
        reached = {item.comparison: item for item in evidence}
        at_home = any(name in reached and reached[name].level in levels for name, levels in self.home.items())
        most, level = 0.0, ""
        for kind in self.kinds:
            if kind.holds(reached, at_home) and (excess := kind.excess(evidence, prior)) > most:
                most, level = excess, kind.level
        return (Evidence(COMPARISON, level, -most),) if level else ()


def _kind(raw: Mapping[str, Any]) -> Kind:
    people = float(raw["people"])
    if people <= 0:
        raise ValueError(f"{COMPARISON}.{raw['level']}: people must be above 0")
    agree, differ = _levels(raw["agree"]), _levels(raw["differ"])
    return Kind(str(raw["level"]), people, bool(raw["home"]), agree, differ, frozenset(raw["counted"]))


def _levels(raw: Mapping[str, Sequence[str]]) -> Levels:
    return {name: frozenset(raw[name]) for name in raw}
