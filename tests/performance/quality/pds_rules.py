"""PDS's own fuzzy search, emulated from what is published and observed of it: what staff have today.

Belongs here: who is found and in what order, in SQL over the people. Does not belong here: the plain form
of people (``plain_people.py``), our matcher, judging.

The rules: one of three minimum combinations must be asked ({given, family, birth date}; {family, birth
date, gender, postcode}; {given, birth date, gender, postcode}), and each that is asked is searched; where a
question or a record has no gender (FEBRL holds none) it counts as the portal's "Search all". Birth date
is hard: no other day, no swapped day and month. Names agree by Soundex, given and family also
exchanged, and in any name ever held; the given name asked for may be any of those held. No edit distance,
no short forms. Postcodes are of any address ever held; a pseudo postcode finds nothing; with a postcode
nobody restricted is found. More than fifty matches are too many, and none is shown.

PDS's formula is not published. The score is the mean likeness of the fields asked for, with likenesses
read off recorded answers (a homophone 0.9317, a middle name 0.8827 over three or four fields). Clients
take 0.95 for a match, when one person alone reaches it; that is graded certain here, for PDS has no grade.
When the fuzzy search finds nobody, the portal's basic search follows, as staff and cascading clients do:
not fuzzy, family name and birth date exact over history, and the gender where it is asked.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import polars as pl

from tests.performance.quality import plain_people as plain
from tests.performance.quality.cases import CERTAIN, Query, Ranked

MOST_SHOWN = 50
MATCH, POTENTIAL = 0.95, 0.85
HOMOPHONE, MIDDLE, EXCHANGED, SAME_OUTCODE = 0.8, 0.65, 0.9, 0.5
BATCH = 5_000
MEMORY = "4GB"

_LIKE = f"CASE WHEN {{a}} = {{n}} THEN 1.0 WHEN {{a}}_sound = {{n}}_sound THEN {HOMOPHONE} ELSE 0.0 END"
_FAMILY = _LIKE.format(a="a.family", n="n.family")
_MIDDLE = (
    f"CASE WHEN list_contains(n.givens, a.given) OR list_contains(n.givens_sounds, a.given_sound) THEN {MIDDLE}"
    " ELSE 0.0 END"
)
_GIVEN = f"greatest({_LIKE.format(a='a.given', n='n.given')}, {_LIKE.format(a='a.given', n='n.first')}, {_MIDDLE})"
_FAMILY_AS_GIVEN = _LIKE.format(a="a.family", n="n.given")
_GIVEN_AS_FAMILY = _LIKE.format(a="a.given", n="n.family")

# Every pair of one birth date. A partial date asked for means each day in it.
_SAME_DAY = """
    CREATE OR REPLACE TABLE pairs AS
    SELECT a.query, p.nhs_number FROM asked a JOIN people p ON a.birth = p.birth
    WHERE NOT (p.restricted AND a.postcode IS NOT NULL) AND coalesce(a.postcode NOT LIKE 'ZZ99%', true)
    UNION ALL
    SELECT a.query, p.nhs_number
    FROM (SELECT * FROM asked WHERE length(birth) BETWEEN 4 AND 6) a JOIN people p ON starts_with(p.birth, a.birth)
    WHERE NOT (p.restricted AND a.postcode IS NOT NULL) AND coalesce(a.postcode NOT LIKE 'ZZ99%', true)
"""
# Likeness of each pair's nearest name, and of its nearest address.
_NAMED = f"""
    CREATE OR REPLACE TABLE named AS
    WITH l AS (
        SELECT query, nhs_number, coalesce({_FAMILY}, 0.0) AS family, coalesce({_GIVEN}, 0.0) AS given, 1 AS straight
        FROM pairs JOIN asked a USING (query) JOIN names n USING (nhs_number)
        UNION ALL
        SELECT query, nhs_number, {_FAMILY_AS_GIVEN} * {EXCHANGED}, {_GIVEN_AS_FAMILY} * {EXCHANGED}, 0
        FROM pairs JOIN asked a USING (query) JOIN names n USING (nhs_number)
        WHERE {_FAMILY_AS_GIVEN} > 0 AND {_GIVEN_AS_FAMILY} > 0)
    SELECT query, nhs_number, arg_max(family, family + given) AS family, arg_max(given, family + given) AS given,
        max(family * straight) AS any_family, max(given * straight) AS any_given
    FROM l WHERE family > 0 OR given > 0 GROUP BY query, nhs_number
"""
_PLACED = f"""
    CREATE OR REPLACE TABLE placed AS
    SELECT query, nhs_number, max(CASE WHEN a.postcode = c.postcode THEN 1.0 ELSE {SAME_OUTCODE} END) AS postcode
    FROM named JOIN asked a USING (query) JOIN postcodes c USING (nhs_number)
    WHERE a.postcode = c.postcode OR a.outcode = c.outcode GROUP BY query, nhs_number
"""
# A combination that is not asked for in full is no search: its comparisons with null are not true.
_FUZZY = """
    CREATE OR REPLACE TABLE found AS
    SELECT n.query, n.nhs_number, round((1.0
            + CASE WHEN a.family IS NULL THEN 0.0 ELSE n.family END
            + CASE WHEN a.given IS NULL THEN 0.0 ELSE n.given END
            + CASE WHEN a.sex IS NULL THEN 0.0 WHEN a.sex = p.sex THEN 1.0 ELSE 0.0 END
            + CASE WHEN a.postcode IS NULL THEN 0.0 ELSE coalesce(c.postcode, 0.0) END)
        / (1 + (a.family IS NOT NULL)::INT + (a.given IS NOT NULL)::INT + (a.sex IS NOT NULL)::INT
            + (a.postcode IS NOT NULL)::INT), 4) AS score
    FROM named n JOIN asked a USING (query) JOIN people p USING (nhs_number)
    LEFT JOIN placed c ON c.query = n.query AND c.nhs_number = n.nhs_number
    WHERE (a.given IS NOT NULL AND a.family IS NOT NULL AND n.family > 0 AND n.given > 0)
        OR (coalesce(a.sex = p.sex, true) AND c.postcode = 1.0 AND (n.any_family > 0 OR n.any_given > 0))
"""
_BASIC = """
    INSERT INTO found
    SELECT DISTINCT query, nhs_number, 1.0
    FROM pairs JOIN asked a USING (query) JOIN people p USING (nhs_number) JOIN names n USING (nhs_number)
    WHERE query NOT IN (SELECT query FROM found) AND a.family = n.family AND coalesce(a.sex = p.sex, true)
"""
_SHOWN = f"""
    SELECT query, nhs_number, score FROM found
    QUALIFY count(*) OVER (PARTITION BY query) <= {MOST_SHOWN} ORDER BY query, score DESC, nhs_number
"""


class PdsRules:
    """PDS's rules as a rival. ``second_attempt``: the basic search follows where the fuzzy one finds nobody."""

    name = "PDS's rules"

    def __init__(self, *, second_attempt: bool = True, memory: str = MEMORY) -> None:
        self._second_attempt, self._memory = second_attempt, memory
        self._tables: dict[str, pl.DataFrame] = {}

    def prepare(self, people: pl.DataFrame) -> None:
        """Flatten the people, with the sound of each name."""
        names = plain.held_names(people)
        names = names.with_columns(pl.col("givens").list.get(0, null_on_oob=True).alias("first"))
        sounds = [
            plain.mapped(names[part], plain.soundex).alias(f"{part}_sound") for part in ("family", "given", "first")
        ]
        self._tables = {
            "people": plain.held_people(people),
            "names": names.with_columns(*sounds, _sounds_of(names["givens"])),
            "postcodes": plain.held_postcodes(people),
        }

    def rank(self, queries: Sequence[Query]) -> Iterator[list[Ranked]]:
        """Batch by batch over one database file."""
        with tempfile.TemporaryDirectory() as folder:
            connection = duckdb.connect(str(Path(folder) / "pds.duckdb"))
            connection.execute(f"SET memory_limit = '{self._memory}'")
            connection.execute("SET threads = 2")
            connection.execute("SET enable_progress_bar = false")
            for table, frame in self._tables.items():
                connection.register("frame", frame.to_arrow())
                connection.execute(f"CREATE TABLE {table} AS FROM frame")
            connection.unregister("frame")
            for batch in plain.batches(queries, BATCH):
                yield from self._batch(connection, batch)
            connection.close()

    def _batch(self, connection: duckdb.DuckDBPyConnection, batch: Sequence[Query]) -> Iterator[list[Ranked]]:
        asked = plain.asked(batch)
        # The first word only: how PDS reads more given names than one is not known (pds.md 1.4).
        asked = asked.with_columns(pl.col("givens").list.get(0, null_on_oob=True).alias("given"))
        asked = asked.with_columns(
            *(plain.mapped(asked[part], plain.soundex).alias(f"{part}_sound") for part in ("family", "given")),
            plain.mapped(asked["postcode"], plain.outcode).alias("outcode"),
        )
        connection.register("asked", asked.to_arrow())
        for step in (_SAME_DAY, _NAMED, _PLACED, _FUZZY, *((_BASIC,) if self._second_attempt else ())):
            connection.execute(step)
        found: dict[int, list[tuple[int, float]]] = {}
        for query, number, score in connection.execute(_SHOWN).fetchall():
            found.setdefault(query, []).append((number, score))
        connection.unregister("asked")
        return (_graded(found.get(place, [])) for place in range(len(batch)))


def _sounds_of(givens: pl.Series) -> pl.Series:
    long = pl.DataFrame({"row": range(givens.len()), "word": givens}).explode("word")
    long = long.with_columns(plain.mapped(long["word"], plain.soundex).alias("word"))
    return long.group_by("row", maintain_order=True).agg(pl.col("word").drop_nulls())["word"].alias("givens_sounds")


def _graded(found: list[tuple[int, float]]) -> list[Ranked]:
    """A match where one person alone reaches the score of one; PDS gives no weight, so its score stands for it."""
    alone = sum(score >= MATCH for _, score in found) == 1
    return [Ranked(number, score, score, _grade(score, alone=alone)) for number, score in found]


def _grade(score: float, *, alone: bool) -> str:
    if score >= MATCH:
        return CERTAIN if alone else "probable"
    return "probable" if score >= POTENTIAL else "possible"
