"""The labelled population: an extract with people held out and others added, and questions with their answers.

Belongs here: drawing people for each stratum, holding half of them out, and asking with a mix of mistakes. Does
not belong here: the strata (``strata.py``), mistakes (``errors.py``), judging.

Kinds of sets. ``own``: people drawn from everybody, so twins and namesakes come as often as they live; only
on such a set do shares and probabilities speak for a population. ``own_hard``: the hard strata in equal parts,
half as many questions. ``own_copies``: a few people of whom a copy with another address is added. Of each every second person is taken out of the population that is indexed; twin,
father, son, look-alike and household stay in. Both mixes ask about the same people, of one population.
Everything follows from extract and seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from tests.performance import bench_matching
from tests.performance.quality import seeded, strata
from tests.performance.quality.cases import Labelled, Query
from tests.performance.quality.errors import Hand, Pools
from tests.performance.quality.mixes import JUSTICE, NHS, Mix, plain, with_mistakes
from tests.performance.quality.seeded import Person, Seeder, numbers
from tests.performance.quality.strata import STRATA, Stratum

MIX_OF = {"own": NHS, "own_justice": JUSTICE}
HARD, COPIES = "_hard", "own_copies"
COPIED_SHARE = 20
_POOL, _NEAR = 4000, 40


@dataclass(frozen=True)
class Subject:
    """Somebody to ask about; ``absent``: not in the population that is indexed."""

    row: Person
    stratum: str
    forced: tuple[tuple[str, float], ...]
    absent: bool


@dataclass
class _Drawing:
    """What is drawn so far: who may no longer be drawn, rows added, and whom to ask about."""

    people: pl.DataFrame
    facts: pl.DataFrame
    pools: Pools
    seed: int
    chosen: list[tuple[int, Stratum | None, bool]] = field(default_factory=list)
    added: list[Person] = field(default_factory=list)

    def take(self, stratum: Stratum, count: int) -> None:
        """Draw for one stratum, adding people where there are too few."""
        pool = self.facts.filter(stratum.where)
        mixed = pool.sample(fraction=1.0, shuffle=True, seed=self.seed)
        drawn = mixed.unique(list(stratum.group) or ["nhs_number"], keep="first", maintain_order=True).head(count)
        asked = drawn["nhs_number"].to_list()
        self._spend(pool.join(drawn, on=list(stratum.group), how="semi") if stratum.group else drawn)
        if stratum.seeder is not None and len(asked) < count:
            asked += self._add(stratum.seeder, count - len(asked), f"{self.seed}/{stratum.name}")
        self.chosen += [(number, stratum, at % 2 == 1) for at, number in enumerate(asked)]

    def take_ordinary(self, count: int) -> None:
        """Draw from whoever is left."""
        pool = self.facts.filter(strata.ordinary())
        drawn = pool.sample(min(count, pool.height), shuffle=True, seed=self.seed)
        self.chosen += [(number, None, at % 2 == 1) for at, number in enumerate(drawn["nhs_number"].to_list())]

    def _spend(self, rows: pl.DataFrame) -> None:
        self.facts = self.facts.join(rows, on="nhs_number", how="anti")

    def _add(self, seeder: Seeder, count: int, seed: str) -> list[int]:
        models = seeded.models(seeder, self.facts, count, self.seed)
        self._spend(models)
        hand = Hand(random.Random(seed), self.pools)
        taken = frozenset(self.people["nhs_number"].to_list()) | {row["nhs_number"] for row in self.added}
        asked = []
        for model, number in zip(_rows(self.people, models["nhs_number"].to_list()), numbers(taken), strict=False):
            self.added.append({**seeder.make(model, hand), "nhs_number": number})
            new = seeder.new_is_asked or hand.dice.random() < 0.5
            asked.append(number if new else model["nhs_number"])
        return asked


def labelled(home: Path, count: int, seed: int) -> list[Labelled]:
    """For each mix a set of ``count`` questions and a hard one of half as many, over one and the same population.

    Raises:
        SystemExit: the home has no extract.
    """
    return from_people(bench_matching.people(home), superseding(home), count, seed)


def from_people(people: pl.DataFrame, replaced: frozenset[int], count: int, seed: int) -> list[Labelled]:
    """As ``labelled``, of a frame; ``replaced``: numbers that took the place of others."""
    facts = strata.facts(people, replaced)
    drawing = _Drawing(people, facts, pools(facts, seed), seed)
    for stratum in STRATA:
        drawing.take(stratum, count // 2 // len(STRATA))
    drawing.take(strata.COPIES, count // COPIED_SHARE)
    drawing.take_ordinary(count)
    added = pl.DataFrame(drawing.added, schema=people.schema, strict=False)
    everybody = pl.concat([people, added])
    subjects = list(_subjects(everybody, drawing.chosen))
    absent = [subject.row["nhs_number"] for subject in subjects if subject.absent]
    indexed = everybody.filter(~pl.col("nhs_number").is_in(absent))
    return list(_sets(indexed, subjects, drawing))


def _sets(indexed: pl.DataFrame, subjects: Sequence[Subject], drawing: _Drawing) -> Iterator[Labelled]:
    kinds = {"": strata.ORDINARY, HARD: tuple(stratum.name for stratum in STRATA)}
    groups = [(f"{name}{suffix}", mix, kinds[suffix]) for name, mix in MIX_OF.items() for suffix in kinds]
    for name, mix, about in [*groups, (COPIES, NHS, (strata.COPIES.name,))]:
        hand = Hand(random.Random(f"{drawing.seed}/{name}"), drawing.pools)
        asked = [subject for subject in subjects if subject.stratum in about]
        yield Labelled(name, indexed, tuple(_questions(name, asked, mix, hand)))


def superseding(home: Path) -> frozenset[int]:
    """Numbers of the full extract that took the place of others."""
    for stage in ("validated", "drop"):
        files = sorted((home / stage / "pds_number_change").glob("*/00000001/part-*.parquet"))
        if files:
            texts = pl.concat([pl.read_parquet(file, columns=["new_nhs_number"]) for file in files]).to_series()
            return frozenset(texts.drop_nulls().cast(pl.Int64).to_list())
    return frozenset()


def pools(facts: pl.DataFrame, seed: int) -> Pools:
    """Values as often as people have them."""
    given = {
        sex: tuple(_some(facts.filter(pl.col("gender").eq(sex) & pl.col("words").gt(0))["given"], seed))
        for sex in strata.SEXES
    }
    codes = facts.drop_nulls("postcode").select("outcode", "town", "postcode").unique().sort("outcode", "postcode")
    postcodes = tuple(_some(codes["postcode"], seed))
    return Pools(tuple(_some(facts["family"], seed)), given, postcodes, _near(codes, "outcode"), _near(codes, "town"))


def _near(codes: pl.DataFrame, column: str) -> dict[str, tuple[str, ...]]:
    """Some postcodes of each value of a column, spread over its whole range."""
    every = (pl.len() // _NEAR).clip(1)
    near = codes.group_by(column, maintain_order=True).agg(
        pl.col("postcode").filter(pl.int_range(pl.len()) % every == 0)
    )
    return {row[0]: tuple(row[1]) for row in near.iter_rows()}


def _some(values: pl.Series, seed: int) -> list[str]:
    kept = values.drop_nulls()
    return kept.sample(min(_POOL, len(kept)), shuffle=True, seed=seed).to_list()


def _rows(people: pl.DataFrame, asked: Sequence[int]) -> list[Person]:
    """Rows of these numbers, in this order."""
    found = {
        row["nhs_number"]: row for row in people.filter(pl.col("nhs_number").is_in(list(asked))).iter_rows(named=True)
    }
    return [found[number] for number in asked]


def _subjects(people: pl.DataFrame, chosen: Sequence[tuple[int, Stratum | None, bool]]) -> Iterator[Subject]:
    rows = _rows(people, [number for number, _, _ in chosen])
    for row, (_, stratum, absent) in zip(rows, chosen, strict=True):
        if stratum is None:
            yield Subject(row, strata.ordinary_name(row["gender"], row["birth_date"]), (), absent)
        else:
            yield Subject(row, stratum.name, tuple(stratum.forced.items()), absent)


def _questions(name: str, subjects: Sequence[Subject], mix: Mix, hand: Hand) -> Iterator[Query]:
    for serial, subject in enumerate(subjects):
        asked = plain(subject.row, hand)
        question, errors = with_mistakes(asked, subject.row, mix, hand, _forced(subject, hand))
        truth = None if subject.absent else int(subject.row["nhs_number"])
        yield Query(f"{name}-{serial}", question, truth, subject.stratum, errors)


def _forced(subject: Subject, hand: Hand) -> tuple[str, ...]:
    """At most one of the stratum's own mistakes, by their shares."""
    roll = hand.dice.random()
    for kind, share in subject.forced:
        if roll < share:
            return (kind,)
        roll -= share
    return ()
