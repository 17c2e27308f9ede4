"""The weights file: comparison levels with m and u, name frequency rules, grades, relatives.

Belongs here: reading and checking ``weights.json``. Does not belong here: deciding which level a
pair reaches (``comparisons.py``), thresholds in code.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from schemas.errors import ConfigurationError
from search_api.matching.relatives import Relatives

_SHIPPED = resources.files(__package__).joinpath("weights.json")


@dataclass(frozen=True)
class Level:
    """One named level: shares among matches (m) and among random pairs (u), weight in bits.

    ``frequency``: u is replaced by the frequency of the value itself.
    """

    comparison: str
    name: str
    m: float
    u: float
    frequency: bool

    @property
    def weight(self) -> float:
        """log2(m / u)."""
        return math.log2(self.m / self.u)


@dataclass(frozen=True)
class FrequencyRule:
    """How a name's share of the population is estimated and stored (steps per bit).

    ``slip_share``: a spelling that no greater share of people bear is likely a slip of another.
    """

    shrink_people: float
    family_average: float
    family_floor: float
    given_average: float
    given_floor: float
    steps: int
    slip_share: float

    def __reduce__(self) -> tuple[type[FrequencyRule], tuple[float, ...]]:
        """A build hands it to its processes. What is compiled can only be made anew there, as it was made here."""
        return FrequencyRule, tuple([getattr(self, each.name) for each in fields(self)])


class NeededOdds(NamedTuple):
    """Bits of evidence and prior together, where name and birth date alone agree: of a name that too many bear to be
    counted, that some are counted to bear (None: they are not counted), that nobody else bears."""

    shared: float
    counted: float | None
    sole: float


@dataclass(frozen=True)
class GradeRule:
    """Thresholds of ``grading.py``.

    ``needs``: comparisons without which nothing is certain; ``never``: levels that forbid it.
    ``exact``: levels that are no slip, and ``most_slips``: how many comparisons may reach another one.
    ``corroborates``: levels of something else than name and birth date that agree; where none does, ``alone`` bits
    of evidence are asked for and ``alone_odds`` bits of evidence and prior together, by what place and contacts say
    (``near``, ``against``, ``silent``); a file of an earlier release asks for no such odds. ``sole_odds`` are enough
    where nobody else who is held bears the name, ``counted_odds`` (for what the count says of the name) where they
    can be counted; without these that is not looked at.
    ``unnamed_evidence``: what a wide search asks of whoever agrees in no name.
    ``settled``: a wide search looks a second time when nobody found first is so probable.
    """

    certain_posterior: float
    certain_evidence: float
    certain_alone: float
    certain_alone_odds: dict[str, float]
    certain_sole_odds: dict[str, float]
    certain_counted_odds: dict[str, float]
    certain_gap: float
    needs: frozenset[str]
    never: dict[str, frozenset[str]]
    corroborates: dict[str, frozenset[str]]
    exact: dict[str, frozenset[str]]
    most_slips: int
    probable: float
    possible: float
    wide_minimum: float
    wide_gap: float
    unnamed_evidence: float
    settled: float

    def odds_of(self, place: str) -> NeededOdds:
        """What is asked where place and contacts say this."""
        shared = self.certain_alone_odds.get(place, -math.inf)
        return NeededOdds(shared, self.certain_counted_odds.get(place), self.certain_sole_odds.get(place, math.inf))


@dataclass(frozen=True)
class PromiseRule:
    """What ``promise.py`` expects of a document by its keys; shares of whoever is meant, and bits.

    ``variant``: has a variant of the name asked for (a nickname, a near spelling); ``neither``: none of its sounds and
    yet a name that is near. Those of ``unknown``: where hardly anybody has the name asked for, which is then
    likely a slip. ``least_slips``: no share of slips in a date is reckoned smaller. ``kept_initial``: half the slips keep
    the initial. ``unsigned``: a key without a sign is one of many. ``exchanged``: day and month exchanged, among the slips of a
    date, reckoned generously. ``area``: an outward part says less than a whole postcode; ``elsewhere``: who is asked for with a
    postcode lives elsewhere in one of four. A file of an earlier release has none of it, and these values.
    """

    variant: float = 0.06
    family_neither: float = 0.02
    given_neither: float = 0.02
    unknown_variant: float = 0.6
    unknown_family_neither: float = 0.06
    unknown_given_neither: float = 0.06
    least_slips: float = 0.001
    kept_initial_bits: float = -1.0
    unsigned_bits: float = -6.0
    exchanged_bits: float = -3.0
    area_bits: float = 8.0
    elsewhere_bits: float = -2.0

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> PromiseRule:
        """From the part of the weights file. Raises TypeError or ValueError."""
        values = {name: float(value) for name, value in raw.items() if name != "about"}
        if any(value <= 0 for name, value in values.items() if not name.endswith("_bits")):
            raise ValueError("promise: shares must be above 0")
        return cls(**values)


@dataclass(frozen=True)
class Weights:
    """The whole file, checked. ``levels[comparison][level name]`` gives a level."""

    version: str
    minimum_population: int
    frequency: FrequencyRule
    grades: GradeRule
    levels: dict[str, dict[str, Level]]
    relatives: Relatives = field(default_factory=Relatives)
    promise: PromiseRule = field(default_factory=PromiseRule)

    def prior(self, population: int) -> float:
        """Bits before any evidence: log2 of the odds that one random person is the one meant."""
        return -math.log2(max(population, self.minimum_population))

    @classmethod
    def load(cls, path: Path | None = None) -> Weights:
        """Read a weights file, by default the one shipped.

        Raises:
            ConfigurationError: a level lacks m or u, or one is outside (0, 1].
        """
        return cls.parse((path or _SHIPPED).read_text("utf-8"))

    @classmethod
    def parse(cls, text: str) -> Weights:
        """The same from the text of a file."""
        try:
            raw = json.loads(text)
            rule = _grades(raw["grades"])
            return cls(
                version=raw["version"],
                minimum_population=int(raw["prior"]["minimum_population"]),
                frequency=_frequency(raw["frequency"]),
                grades=rule,
                levels={name: _levels(name, items) for name, items in raw["comparisons"].items()},
                relatives=Relatives.parse(raw.get("relatives"), rule.corroborates),
                promise=PromiseRule.parse(raw.get("promise", {})),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"The weights file is incomplete or has a wrong value: {error}.",
                remedy="Compare it with search_api/matching/weights.json.",
            ) from error


def _levels(comparison: str, items: list[dict[str, Any]]) -> dict[str, Level]:
    levels = {}
    for item in items:
        m, u = float(item["m"]), float(item["u"])
        if not (0 < m <= 1 and 0 < u <= 1):
            raise ValueError(f"{comparison}.{item['level']}: m and u must be above 0 and at most 1")
        levels[item["level"]] = Level(comparison, item["level"], m, u, bool(item.get("frequency", False)))
    return levels


def _frequency(raw: dict[str, Any]) -> FrequencyRule:
    return FrequencyRule(
        shrink_people=float(raw["shrink_people"]),
        family_average=float(raw["family"]["average"]),
        family_floor=float(raw["family"]["floor"]),
        given_average=float(raw["given"]["average"]),
        given_floor=float(raw["given"]["floor"]),
        steps=int(raw["steps_per_bit"]),
        slip_share=float(raw["slip_share"]),
    )


def _grades(raw: dict[str, Any]) -> GradeRule:
    return GradeRule(
        certain_posterior=float(raw["certain_posterior"]),
        certain_evidence=float(raw["certain_evidence_bits"]),
        certain_alone=float(raw["certain_evidence_alone_bits"]),
        certain_alone_odds=_bits(raw, "certain_alone_odds_bits"),
        certain_sole_odds=_bits(raw, "certain_sole_odds_bits"),
        certain_counted_odds=_bits(raw, "certain_counted_odds_bits"),
        certain_gap=float(raw["certain_gap_bits"]),
        needs=frozenset(raw["certain_needs"]),
        never={name: frozenset(levels) for name, levels in raw["certain_never_with"].items()},
        corroborates={name: frozenset(levels) for name, levels in raw["certain_corroborates"].items()},
        exact={name: frozenset(levels) for name, levels in raw["certain_exact"].items()},
        most_slips=int(raw["certain_most_slips"]),
        probable=float(raw["probable_posterior"]),
        possible=float(raw["possible_posterior"]),
        wide_minimum=float(raw["wide_minimum_posterior"]),
        wide_gap=float(raw["wide_minimum_gap_bits"]),
        unnamed_evidence=float(raw["wide_unnamed_evidence_bits"]),
        settled=float(raw["settled_posterior"]),
    )


def _bits(raw: dict[str, Any], name: str) -> dict[str, float]:
    """Bits by name; none where the file is of a release that did not have them."""
    return {key: float(bits) for key, bits in raw.get(name, {}).items()}


def shipped_text() -> str:
    """The text of the file that ships with the code."""
    return _SHIPPED.read_text("utf-8")


@cache
def shipped() -> Weights:
    """The weights that ship with the code, read once."""
    return Weights.load()
