"""Whose summary there is, and what a summary says of its subject.

Belongs here: who has a summary, its permission, its author. Does not belong here: the sections.
The near-empty, the dead, the restricted, the invalidated and those without a practice have none
(for restricted patients: reference/pds.md 1.9, weak source).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import polars as pl

from sandbox.population.family_names import family_names
from sandbox.population.names import Names
from sandbox.population.people import People, Population
from sandbox.population.personas import PERMISSION_NO_NUMBER, PERSONAS, persona_rows
from sandbox.population.randomness import I64
from sandbox.population.traits import Traits

_PERMISSIONS = pl.Series(["Ask", "No", "Yes"], dtype=pl.String)


@dataclass(frozen=True)
class Subjects:
    """People with a summary: position, age, and texts.

    Columns of ``facts``: number, given and family (as JSON; where they are wanted), gender,
    birth_date, practice, permission, author.
    """

    index: I64
    age: I64
    facts: pl.DataFrame


def _as_json(values: pl.Series) -> pl.Series:
    """JSON text of each value (lists and texts), in ASCII; null becomes the text null."""
    return pl.Series(
        values.name, [json.dumps(value, ensure_ascii=True, separators=(",", ":")) for value in values.to_list()]
    )


def _facts(traits: Traits, named: bool) -> pl.DataFrame:
    """Facts of everyone in the chunk, from the same columns as their pds_patient row."""
    usual = Names(traits).usual() if named else _nameless(len(traits.people))
    return pl.DataFrame(
        {
            "number": pl.Series(traits.people.number).cast(pl.String),
            "given": usual["given"],
            "family": usual["family"],
            "gender": traits.genders(),
            "birth_date": traits.birth_dates(),
            "practice": traits.practices(),
        }
    )


def _nameless(count: int) -> pl.DataFrame:
    nothing = pl.lit(None)
    columns = [nothing.cast(pl.List(pl.String)).alias("given"), nothing.cast(pl.String).alias("family")]
    return pl.DataFrame({"row": np.arange(count)}).select(pl.col("row"), *columns)


def _facts_of_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """The same facts from pds_patient rows; no practice for the dead and the restricted."""
    name = pl.col("names").list.first().struct
    allowed = pl.col("deceased").is_null() & (pl.col("security") == "U")
    practice = pl.col("general_practitioner").struct.field("code")
    return rows.select(
        pl.col("nhs_number").alias("number"),
        name.field("given").alias("given"),
        name.field("family").alias("family"),
        "gender",
        "birth_date",
        pl.when(allowed).then(practice).alias("practice"),
    )


def subjects(
    people: People, population: Population, rows: pl.DataFrame | None = None, *, named: bool = True
) -> Subjects:
    """Everyone of these people who has a summary; ``rows`` are their pds_patient rows when those changed.

    Names cost more than all the rest: without ``named`` they are left out.
    """
    traits = Traits(people, population)
    keep = traits.chance("summary", traits.rates.summary) & ~traits.dead & ~traits.near_empty & (traits.security == 0)
    facts = _facts(traits, named) if rows is None else _facts_of_rows(rows)
    known = np.flatnonzero(people.index < len(PERSONAS))
    if len(known):
        facts, keep[known] = _with_personas(facts, known, people.index[known]), True
    keep &= facts["practice"].is_not_null().to_numpy()
    kept = np.flatnonzero(keep)
    index = people.index[kept]
    chosen = facts[kept].with_columns(_permissions(index, facts["number"].gather(kept), population))
    chosen = chosen.with_columns(_authors(index, chosen))
    if named:
        chosen = chosen.with_columns(_as_json(chosen["given"]), _as_json(chosen["family"]))
    return Subjects(index, traits.age[kept].astype(np.int64), chosen)


def _with_personas(facts: pl.DataFrame, rows: I64, positions: I64) -> pl.DataFrame:
    """Facts in which these rows are the personas of these positions."""
    numbered = facts.with_columns(row=pl.Series(np.arange(len(facts))))
    personas = _facts_of_rows(persona_rows())[positions].with_columns(row=pl.Series(rows))
    others = numbered.filter(~pl.col("row").is_in(pl.lit(pl.Series(rows)).implode()))
    return pl.concat([personas, others]).sort("row").drop("row")


def _permissions(index: I64, number: pl.Series, population: Population) -> pl.Series:
    uniform, rates = population.draws.unit("permission", index), population.rates
    code = np.where(uniform < rates.permission_no, 1, np.where(uniform > 1 - rates.permission_yes, 2, 0))
    code[index < len(PERSONAS)] = 0
    code[(number == PERMISSION_NO_NUMBER).to_numpy()] = 1
    return _PERMISSIONS.gather(code.astype(np.int64)).alias("permission")


def _authors(index: I64, facts: pl.DataFrame) -> pl.Series:
    """One of four doctors of the practice: "Dr A Hughes"."""
    practice = facts["practice"].str.slice(1).cast(pl.Int64).to_numpy()
    code = (practice * 4 + index % 4) * 48_271 % 2_147_483_647
    initial = pl.Series(list("ABCDEFGHJKLMNPRSTW"), dtype=pl.String).gather(code % 18)
    family = family_names().text((code % 380).astype(np.int32))
    frame = pl.DataFrame([initial.alias("initial"), family.alias("family")])
    return frame.select(pl.concat_str(pl.lit("Dr "), "initial", pl.lit(" "), "family").alias("author"))["author"]
