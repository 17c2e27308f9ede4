"""People and questions as plain columns, for the rivals: folded text, arrays of everything ever held.

Belongs here: flattening with polars and DuckDB, and a small normaliser that shares no code with our
matcher, so that a fault of ours cannot flatter or harm a rival. Does not belong here: any rival's rules.

A hidden value is left out, as no rival may see it either. Restricted people keep their names and birth
date and lose what tells where they live.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

import jellyfish
import polars as pl

from tests.performance.quality.cases import Query

_SEX = {"male": "M", "female": "F"}
_OUTCODE = re.compile(r"([A-Z]{1,2}[0-9][A-Z0-9]?)[0-9][A-Z]{2}")
QUERY_SCHEMA = {
    "query": pl.Int64(),
    "family": pl.String(),
    "given": pl.String(),
    "givens": pl.List(pl.String()),
    "birth": pl.String(),
    "sex": pl.String(),
    "postcode": pl.String(),
}


def fold(text: str) -> str:
    """Capital letters and digits only; accents off."""
    plain = unicodedata.normalize("NFKD", text.upper())
    return "".join(char for char in plain if char.isalnum() and char.isascii())


def soundex(text: str) -> str:
    """American Soundex, as jellyfish has it; empty for no letters."""
    letters = "".join(char for char in text if char.isalpha())
    return jellyfish.soundex(letters) if letters else ""


def outcode(postcode: str) -> str:
    """Outward part of a British postcode; of any other code all but its last two characters."""
    found = _OUTCODE.fullmatch(postcode)
    return found[1] if found else postcode[:-2]


def mapped(values: pl.Series, function: Callable[[str], str]) -> pl.Series:
    """``function`` of each text, worked out once a distinct value; what comes to nothing becomes null."""
    distinct = values.drop_nulls().unique()
    table = {text: function(text) or None for text in distinct.to_list()}
    return values.replace_strict(table, default=None, return_dtype=pl.String())


def held_names(people: pl.DataFrame) -> pl.DataFrame:
    """One row a name: nhs_number, historic, family, given (the first), givens (all), folded."""
    long = _visible(people, "names")
    words = long["given"].list.join(" ", ignore_nulls=True).str.split(" ")
    exploded = pl.DataFrame({"row": range(long.height), "word": words}).explode("word")
    exploded = exploded.with_columns(mapped(exploded["word"], fold).alias("word")).drop_nulls()
    givens = exploded.group_by("row", maintain_order=True).agg(pl.col("word").alias("givens"))
    first = long["given"].list.get(0, null_on_oob=True)
    named = long.select("nhs_number", "historic").with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    named = named.with_columns(mapped(long["family"], fold).alias("family"), mapped(first, fold).alias("given"))
    return named.join(givens, on="row", how="left", maintain_order="left").drop("row")


def held_postcodes(people: pl.DataFrame) -> pl.DataFrame:
    """One row an address with a postcode: nhs_number, historic, postcode, outcode."""
    usual = people.filter(pl.col("security").fill_null("U").eq("U"))
    long = _visible(usual, "addresses")
    long = long.select("nhs_number", "historic", mapped(long["postcode"], fold).alias("postcode")).drop_nulls()
    return long.with_columns(mapped(long["postcode"], outcode).alias("outcode"))


def held_people(people: pl.DataFrame) -> pl.DataFrame:
    """One row a person who may be found: nhs_number, birth (yyyymmdd or shorter), sex, restricted."""
    kept = _findable(people)
    return kept.select(
        "nhs_number",
        pl.col("birth_date").str.slice(0, 10).str.replace_all("-", "").alias("birth"),
        pl.col("gender").replace_strict(_SEX, default=None, return_dtype=pl.String()).alias("sex"),
        pl.col("security").fill_null("U").ne("U").alias("restricted"),
    )


def asked(queries: Sequence[Query]) -> pl.DataFrame:
    """The questions in the same form; ``query`` is the place in the sequence."""
    rows = [_asked(place, query) for place, query in enumerate(queries)]
    return pl.DataFrame(rows, schema=QUERY_SCHEMA, orient="row")


def _asked(place: int, query: Query) -> tuple[object, ...]:
    question = query.question
    givens = [word for word in map(fold, " ".join(question.given).split()) if word]
    birth = (question.birth.single or "") if question.birth else ""
    return (
        place,
        fold(question.family or "") or None,
        fold(question.given[0]) or None if question.given else None,
        givens or None,
        birth.replace("-", "") or None,
        _SEX.get(question.gender or ""),
        fold(question.postcode or "") or None,
    )


def batches(queries: Sequence[Query], size: int) -> Iterable[Sequence[Query]]:
    """The questions in their order, ``size`` at a time."""
    return (queries[start : start + size] for start in range(0, len(queries), size))


def _findable(people: pl.DataFrame) -> pl.DataFrame:
    return people.filter(~pl.col("security").fill_null("U").is_in(["V", "REDACTED"]))


def _visible(people: pl.DataFrame, column: str) -> pl.DataFrame:
    """One row an item of a nested column that is not hidden, current ones first."""
    long = _findable(people).select("nhs_number", column).explode(column)
    long = long.filter(pl.col(column).is_not_null()).unnest(column)
    state = pl.col("state").fill_null("")
    return (
        long.filter(state.ne("hidden"))
        .with_columns(state.eq("historic").alias("historic"))
        .sort("nhs_number", "historic", maintain_order=True)
    )
