"""How many people bear each name, and names of each sound: the safety mechanism of matching (anchors.md 2.2).

Belongs here: counting, storing, the quantised share, and lookup. Does not belong here: what a share is
worth as evidence (``matching/weights.json``) and in a key (``matching/rarity.py``), counting keys
(``crowding.py``).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import polars as pl

from schemas.errors import GenerationError
from schemas.fields import HIDDEN
from search_api.index.spelling import SpellingIndex
from search_api.matching.blocking import Codes
from search_api.matching.normalise import Name, family_name, given_name
from search_api.matching.phonetics import code
from search_api.matching.rarity import Rarities, Sounds
from search_api.matching.weights import FrequencyRule, shipped

FAMILY, GIVEN, POPULATION, CROWDED = "family", "given", "population", "crowded"
FAMILY_CODE, GIVEN_CODE, INITIAL = "family_code", "given_code", "given_initial"
_ROLES = (POPULATION, FAMILY, GIVEN, FAMILY_CODE, GIVEN_CODE, INITIAL, CROWDED)
_SCHEMA = {"role": pl.Utf8, "name": pl.Utf8, "count": pl.Int64}


@dataclass(frozen=True)
class Frequencies:
    """Bearers of each normalised (joined) family and given name, and how many people were counted.

    ``crowded``: blocking keys that many documents have, with how many (``crowding.py``). ``read``: the
    sounds as the file has them, so that opening a generation does not go through all names again. ``rule``: the
    frequency rule of the weights in force, None for that of the shipped ones.
    """

    population: int
    family: dict[str, int]
    given: dict[str, int]
    crowded: dict[str, int] = field(default_factory=dict)
    read: Sounds | None = field(default=None, compare=False, repr=False)
    rule: FrequencyRule | None = field(default=None, compare=False, repr=False)

    def __reduce__(self) -> tuple[type[Frequencies], tuple[object, ...]]:
        """What was worked out from the counts stays here: it is large, and another process may not need it."""
        return Frequencies, (self.population, self.family, self.given, self.crowded, self.read, self.rule)

    @classmethod
    def build(cls, frames: Iterable[pl.DataFrame]) -> Frequencies:
        """Count the names in frames that have a ``names`` column in row form; hidden names are left out."""
        family: dict[str, int] = {}
        given: dict[str, int] = {}
        population = 0
        for frame in frames:
            population += frame.height
            names = visible_names(frame.select("names"))
            _add(family, names["family"])
            _add(given, names["given"].list.get(0, null_on_oob=True))
        return cls(population, _joined(family, family_name), _joined(given, given_name))

    @classmethod
    def empty(cls) -> Frequencies:
        """Nothing counted: every name has the average share."""
        return cls(0, {}, {})

    def save(self, path: Path) -> None:
        """Write one parquet file, rows in steady order; a kill leaves the old content or the new."""
        sounds = self.sounds
        counts = (self.family, self.given, sounds.family, sounds.given, sounds.initial, self.crowded)
        rows = [(POPULATION, "", self.population)]
        for role, counted in zip(_ROLES[1:], counts, strict=True):
            rows += [(role, name, count) for name, count in sorted(counted.items())]
        written = path.with_name(f".{path.name}.new")
        pl.DataFrame(rows, schema=_SCHEMA, orient="row").write_parquet(written)
        with written.open("rb") as file:
            os.fsync(file.fileno())
        written.replace(path)

    @classmethod
    def load(cls, path: Path | bytes) -> Frequencies:
        """Read what ``save`` wrote, from the file or its bytes.

        Raises:
            GenerationError: the file is missing or is not a frequency table.
        """
        try:
            table = pl.read_parquet(path)
            parts = {role: table.filter(pl.col("role") == role) for role in _ROLES}
            population = int(parts[POPULATION]["count"][0])
        except (OSError, pl.exceptions.PolarsError, IndexError) as error:
            raise GenerationError(
                f"The name frequencies {path.name if isinstance(path, Path) else 'of the catalogue'} cannot be read.",
                remedy="Verify the generation; roll back if it is damaged.",
            ) from error
        family, given, *sounds, crowded = (_mapping(parts[role]) for role in _ROLES[1:])
        return cls(population, family, given, crowded, Sounds(*sounds))

    def family_steps(self, joined: str, rule: FrequencyRule | None = None) -> int:
        """-log2 of the share of people with this family name, in steps (four a bit)."""
        rule = rule or self.rule or shipped().frequency
        return self._steps(self.family.get(joined, 0), rule.family_average, rule.family_floor, rule)

    def given_steps(self, joined: str, rule: FrequencyRule | None = None) -> int:
        """The same for a given name."""
        rule = rule or self.rule or shipped().frequency
        return self._steps(self.given.get(joined, 0), rule.given_average, rule.given_floor, rule)

    def family_slip(self, joined: str) -> int:
        """From how many steps on a family name is one that hardly anybody bears, where this one is; else 0."""
        return self._slip(self.family, joined, self.family_steps) if joined else 0

    def given_slip(self, joined: str) -> int:
        """The same of a given name."""
        return self._slip(self.given, joined, self.given_steps) if joined else 0

    def _slip(self, bearers: dict[str, int], joined: str, steps: Callable[[str], int]) -> int:
        if not bearers or bearers.get(joined, 0) > self.population * (self.rule or shipped().frequency).slip_share:
            return 0
        return steps(joined)

    def _steps(self, count: int, average: float, floor: float, rule: FrequencyRule) -> int:
        share = (count + rule.shrink_people * average) / (self.population + rule.shrink_people)
        return round(-math.log2(max(share, floor)) * rule.steps)

    @cached_property
    def sounds(self) -> Sounds:
        """Bearers by how the joined name sounds."""
        if self.read is not None:
            return self.read
        return Sounds(
            _grouped(self.family, code), _grouped(self.given, code), _grouped(self.given, lambda name: name[:1])
        )

    @cached_property
    def rarities(self) -> Rarities:
        """What keys are worth in this population."""
        return Rarities(self.population, self.sounds)

    def prepare(self) -> None:
        """Make what is otherwise made when it is first asked for: at ten million patients it takes over a second."""
        for made in ("rarities", "family_spelling", "given_spelling"):
            getattr(self, made)

    @cached_property
    def kept_codes(self) -> dict[tuple[Name, ...], Codes]:
        """Codes of names asked for, which follow from these counts (``matching/blocking.py`` keeps them)."""
        return {}

    @cached_property
    def family_spelling(self) -> SpellingIndex:
        """Neighbours among family names; names almost nobody bears are left out as population grows."""
        return _spelling(self.family, self.population)

    @cached_property
    def given_spelling(self) -> SpellingIndex:
        """Neighbours among given names."""
        return _spelling(self.given, self.population)


def visible_names(frame: pl.DataFrame) -> pl.DataFrame:
    """One row a name that is not hidden: the name's fields, in source order."""
    names = frame.select("names").explode("names").unnest("names")
    return names.filter(pl.col("state").fill_null("").ne(HIDDEN))


def _add(totals: dict[str, int], values: pl.Series) -> None:
    """Count values as they are written: the same ones come in every frame, and need normalising once."""
    for text, count in values.drop_nulls().value_counts().iter_rows():
        totals[text] = totals.get(text, 0) + count


def _joined(written: dict[str, int], normaliser: Callable[[str], Name]) -> dict[str, int]:
    """Bearers by the joined form; placeholders are no names."""
    totals: dict[str, int] = {}
    for text, count in written.items():
        name = normaliser(text)
        if name.joined and not name.skip:
            totals[name.joined] = totals.get(name.joined, 0) + count
    return totals


def _grouped(counts: dict[str, int], of: Callable[[str], str]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for name, count in counts.items():
        group = of(name)
        totals[group] = totals.get(group, 0) + count
    return totals


def _mapping(table: pl.DataFrame) -> dict[str, int]:
    return dict(zip(table["name"].to_list(), table["count"].to_list(), strict=True))


def _spelling(counts: dict[str, int], population: int) -> SpellingIndex:
    least = 1 + population // 5_000_000
    kept = sorted((name, count) for name, count in counts.items() if count >= least)
    return SpellingIndex([name for name, _ in kept], [count for _, count in kept])
