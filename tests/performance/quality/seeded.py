"""Rows added to a population that has too few people of a stratum: relatives and look-alikes of people in it.

Belongs here: a person's row in, the row of one more person out. Does not belong here: who needs company
(``strata.py``), numbers already in use. The rows are a recipe: the same seed makes the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from schemas.identifiers import check_digit
from tests.performance.quality.errors import Hand, town, usual

Person = dict[str, Any]
_LAST_NINE = 999_999_999


@dataclass(frozen=True)
class Seeder:
    """``make``: one more person beside a model drawn from ``models``. Asked is either, or always the new one.

    ``weight``: how likely a model is; all alike without.
    """

    make: Callable[[Person, Hand], Person]
    models: pl.Expr
    weight: pl.Expr | None = None
    new_is_asked: bool = False


def models(seeder: Seeder, pool: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    """So many of those who may be a model, by their weights (Efraimidis and Spirakis: the largest u ** (1 / w))."""
    able = pool.filter(seeder.models).sort("nhs_number")
    weight = pl.lit(1.0) if seeder.weight is None else seeder.weight.cast(pl.Float64)
    luck = pl.Series("luck", np.random.default_rng(seed).random(able.height)).log()
    ranked = able.with_columns(luck).with_columns(pl.col("luck") / weight)
    return ranked.sort("luck", descending=True).head(count).drop("luck")


def numbers(taken: frozenset[int]) -> Iterator[int]:
    """Valid numbers that nobody has, from the end of the 999 range downwards."""
    for nine in range(_LAST_NINE, 0, -1):
        digit = check_digit(str(nine))
        if digit is not None and nine * 10 + digit not in taken:
            yield nine * 10 + digit


def twin(model: Person, hand: Hand) -> Person:
    """Born the same day, of one family, at one address, of either sex."""
    made = _companion(model)
    made["gender"] = hand.dice.choice(("male", "female"))
    others = [name for name in hand.pools.givens[made["gender"]] if name != usual(model)["given"][0]]
    made["names"][0]["given"] = [hand.dice.choice(others)]
    return made


def son(model: Person, hand: Hand) -> Person:
    """Of the father's names and address, born when he was 20 to 38; with another second name or none."""
    made = _companion(model)
    year = min(int(model["birth_date"][:4]) + hand.dice.randint(20, 38), 2025)
    made["birth_date"] = f"{year}-{hand.dice.randint(1, 12):02d}-{hand.dice.randint(1, 28):02d}"
    second = [hand.dice.choice(hand.pools.givens["male"])] if hand.dice.random() < 0.5 else []
    made["names"][0]["given"] = [usual(model)["given"][0], *second]
    return made


def look_alike(model: Person, hand: Hand) -> Person:
    """Nobody's relative: the same name, sex and birth date, elsewhere in the same town."""
    made = _companion(model)
    second = (
        [hand.dice.choice(hand.pools.givens.get(model["gender"] or "male", ("Lee",)))]
        if hand.dice.random() < 0.5
        else []
    )
    made["names"][0]["given"] = [usual(model)["given"][0], *second]
    for home in made["addresses"]:
        near = hand.pools.by_town.get(town(home["postcode"]), ())
        others = [code for code in near if code != home["postcode"]] or list(hand.pools.postcodes)
        home["postcode"], home["lines"] = hand.dice.choice(others), [f"{hand.dice.randint(1, 99)} Other Street"]
    return made


def single_name(model: Person, hand: Hand) -> Person:
    """A person of the model's community known by one name."""
    made = _companion(model)
    year = int(model["birth_date"][:4])
    made["birth_date"] = f"{year}-{hand.dice.randint(1, 12):02d}-{hand.dice.randint(1, 28):02d}"
    made["names"][0]["given"] = None
    return made


def baby(model: Person, hand: Hand) -> Person:
    """A newborn at its mother's address, under her family name, not yet named."""
    made = _companion(model)
    made["gender"] = hand.dice.choice(("male", "female"))
    made["birth_date"] = f"2025-{hand.dice.randint(1, 12):02d}-{hand.dice.randint(1, 28):02d}"
    text = hand.dice.choice(("Baby", "Infant", "Baby Girl" if made["gender"] == "female" else "Baby Boy"))
    made["names"][0]["given"] = [text]
    return made


def _companion(model: Person) -> Person:
    """A copy with the usual name and the current home alone: no history, no telephone, not dead."""
    name = deepcopy(dict(usual(model)))
    homes = [item for item in model["addresses"] or () if item["state"] == "current" and item["use"] == "home"]
    return {**model, "deceased": None, "names": [name], "addresses": deepcopy(homes), "telecoms": None}
