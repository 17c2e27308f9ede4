"""Splink 5 on DuckDB, set up as a careful user would: the reference of probabilistic linkage in Britain.

Belongs here: its comparisons, blocking rules, training and scoring. Does not belong here: the plain form
of people (``plain_people.py``), judging.

``link_only`` of the questions against the people. One row a person: current names, with everything ever
held in arrays, so that a move or a marriage is a level of its own and no second row. u by random
sampling, m by expectation maximisation over three blockings, each estimating what it does not block on;
term frequencies from Splink's own tables. DuckDB may use four gigabytes, and questions are scored in
chunks. Splink grades nothing: here a match is called certain at a probability of ``CERTAIN_PROBABILITY``
when the next person is ``CLEAR_GAP`` bits behind (NHS England's pipeline asks for a gap of five bits).
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on
from splink import comparison_library as cl
from splink.blocking_rule_library import CustomRule

from tests.performance.quality import plain_people as plain
from tests.performance.quality.cases import CERTAIN, MOST, Query, Ranked

CERTAIN_PROBABILITY = 0.9995
CLEAR_GAP = 5.0
MEMORY = "4GB"
CHUNK = 2_000
SEED = 1
U_PAIRS = 5e6
EM_PAIRS = 2e6
# Share of true pairs that the deterministic rules below are taken to find.
RECALL_OF_RULES = 0.8

_PEOPLE = """
    WITH n AS (
        SELECT nhs_number, first(family) FILTER (NOT historic) AS family, first(given) FILTER (NOT historic) AS given,
            list_distinct(list(family) FILTER (family IS NOT NULL)) AS families,
            list_distinct(list(given) FILTER (given IS NOT NULL)) AS givens,
            first(givens[2]) FILTER (NOT historic) AS middle
        FROM names GROUP BY nhs_number),
    p AS (
        SELECT nhs_number, first(postcode) FILTER (NOT historic) AS postcode,
            list_distinct(list(postcode)) AS postcodes, list_distinct(list(outcode)) AS outcodes
        FROM postcodes GROUP BY nhs_number)
    SELECT nhs_number AS unique_id, birth, sex, family, given, families, givens, middle,
        postcode, postcodes, outcodes
    FROM people LEFT JOIN n USING (nhs_number) LEFT JOIN p USING (nhs_number)
"""
_ASKED = """
    SELECT query AS unique_id, birth, sex, family, given, [family] AS families, [given] AS givens, givens[2] AS middle,
        postcode, [postcode] AS postcodes, [outcode] AS outcodes
    FROM asked
"""
# What every row gets besides: parts of the date, and sounds for blocking.
_DERIVED = """
    SELECT r.*, nullif(substr(birth, 1, 4), '') AS year, nullif(substr(birth, 5, 4), '') AS month_day,
        substr(birth, 1, 4) || substr(birth, 7, 2) || substr(birth, 5, 2) AS swapped_birth,
        f.sound AS family_sound, g.sound AS given_sound, substr(given, 1, 1) AS initial
    FROM ({rows}) r LEFT JOIN sounds f ON f.text = r.family LEFT JOIN sounds g ON g.text = r.given
"""
_BRITISH = "regexp_matches({side}, '^[A-Z]{{1,2}}[0-9][A-Z0-9]?[0-9][A-Z]{{2}}$')"


def _level(sql: str, label: str, **more: Any) -> dict[str, Any]:
    return {"sql_condition": sql, "label_for_charts": label, **more}


def _null(sql: str) -> dict[str, Any]:
    return _level(sql, "null", is_null_level=True)


_ELSE = _level("ELSE", "else")


def _name(column: str, array: str, other: str) -> cl.CustomComparison:
    """A name: exact by its own frequency, held before, near by three thresholds, exchanged with the other."""
    similarity = f"jaro_winkler_similarity({column}_l, {column}_r)"
    exact = f"{column}_l = {column}_r"
    return cl.CustomComparison(
        output_column_name=column,
        comparison_levels=[
            _null(f"{column}_l IS NULL OR {column}_r IS NULL"),
            _level(exact, "exact", tf_adjustment_column=column),
            _level(f"list_has_any({array}_l, {array}_r)", "held before"),
            _level(f"{similarity} >= 0.92", "0.92"),
            _level(f"{column}_l = {other}_r AND {other}_l = {column}_r", "exchanged"),
            _level(f"{similarity} >= 0.88", "0.88"),
            _level(f"{column}_l = {other}_r", "in the other's place"),
            _level(f"{similarity} >= 0.7", "0.70"),
            _ELSE,
        ],
    )


def _middle() -> cl.CustomComparison:
    return cl.CustomComparison(
        output_column_name="middle",
        comparison_levels=[
            _null("middle_l IS NULL OR middle_r IS NULL"),
            _level("middle_l = middle_r", "exact"),
            _level("substr(middle_l, 1, 1) = substr(middle_r, 1, 1)", "initial"),
            _ELSE,
        ],
    )


def _birth() -> cl.CustomComparison:
    year, month, day = (
        f"(substr(birth_l, {start}, {length}) = substr(birth_r, {start}, {length}))"
        for start, length in ((1, 4), (5, 2), (7, 2))
    )
    return cl.CustomComparison(
        output_column_name="birth",
        comparison_levels=[
            _null("birth_l IS NULL OR birth_r IS NULL"),
            _level("birth_l = birth_r", "exact"),
            _level("birth_l = swapped_birth_r", "day and month exchanged"),
            _level("damerau_levenshtein(birth_l, birth_r) <= 1", "one slip"),
            _level(f"{year}::INT + {month}::INT + {day}::INT >= 2", "two parts"),
            _level("damerau_levenshtein(birth_l, birth_r) <= 2", "two slips"),
            _level(year, "year"),
            _ELSE,
        ],
    )


def _postcode() -> cl.CustomComparison:
    british = f"{_BRITISH.format(side='postcode_l')} AND {_BRITISH.format(side='postcode_r')}"
    return cl.CustomComparison(
        output_column_name="postcode",
        comparison_levels=[
            _null("postcode_l IS NULL OR len(postcodes_r) IS NULL"),
            _level("postcode_l = postcode_r", "exact", tf_adjustment_column="postcode"),
            _level("list_has_any(postcodes_l, postcodes_r)", "held before"),
            _level("damerau_levenshtein(postcode_l, postcode_r) <= 1", "one slip"),
            _level(
                f"{british} AND substr(postcode_l, 1, len(postcode_l) - 2) = substr(postcode_r, 1, len(postcode_r) - 2)",
                "sector",
            ),
            _level("list_has_any(outcodes_l, outcodes_r)", "outcode"),
            _ELSE,
        ],
    )


def _comparisons() -> list[Any]:
    return [
        _name("given", "givens", "family"),
        _name("family", "families", "given"),
        _middle(),
        _birth(),
        _postcode(),
        cl.ExactMatch("sex"),
    ]


def _blocking() -> list[Any]:
    """Rules whose union finds a pair with a mistake in any one or two fields."""
    return [
        block_on("birth"),
        block_on("families", "givens", arrays_to_explode=["families", "givens"]),
        block_on("postcodes", arrays_to_explode=["postcodes"]),
        block_on("year", "family_sound", "given_sound"),
        block_on("month_day", "family_sound"),
        block_on("month_day", "given_sound"),
        CustomRule("l.birth = r.swapped_birth AND (l.family_sound = r.family_sound OR l.given_sound = r.given_sound)"),
        CustomRule("l.family = r.given AND l.given = r.family"),
        block_on("outcodes", "family_sound", "initial", arrays_to_explode=["outcodes"]),
    ]


_RULES = ("given", "family", "birth"), ("given", "birth", "postcode"), ("family", "birth", "postcode")
# Never postcode alone: people of one household agree in it and in family name, and would pass for true pairs.
_TRAINING = ("birth",), ("family", "given"), ("given", "postcode")


class SplinkRival:
    """Splink 5 as a rival; the model is trained on the first questions it is asked."""

    name = "Splink 5"

    def __init__(self, memory: str = MEMORY, chunk: int = CHUNK) -> None:
        self._memory, self._chunk = memory, chunk
        self._people = pl.DataFrame()
        self._names, self._postcodes = pl.DataFrame(), pl.DataFrame()
        self._model: dict[str, Any] | None = None

    def prepare(self, people: pl.DataFrame) -> None:
        """Flatten the people; a model of others is forgotten."""
        self._model = None
        self._people = plain.held_people(people)
        self._names, self._postcodes = plain.held_names(people), plain.held_postcodes(people)

    def rank(self, queries: Sequence[Query]) -> Iterator[list[Ranked]]:
        """Link all questions against the people; both stay in one database file until all are answered."""
        logging.getLogger("splink").setLevel(logging.ERROR)
        with tempfile.TemporaryDirectory() as folder:
            connection = duckdb.connect(str(Path(folder) / "splink.duckdb"))
            connection.execute(f"SET memory_limit = '{self._memory}'")
            connection.execute("SET threads = 2")
            connection.execute("SET enable_progress_bar = false")
            self._load(connection, queries)
            linker = _linker(connection, self._model or _settings())
            self._model = self._model or _trained(linker)
            for _ in _score(connection, linker, -(-len(queries) // self._chunk)):
                pass
            yield from _answers(connection, len(queries))
            connection.close()

    def _load(self, connection: duckdb.DuckDBPyConnection, queries: Sequence[Query]) -> None:
        asked = plain.asked(queries)
        asked = asked.with_columns(plain.mapped(asked["postcode"], plain.outcode).alias("outcode"))
        texts = pl.concat([asked["family"], asked["given"], self._names["family"], self._names["given"]]).unique()
        sounds = pl.DataFrame({"text": texts.drop_nulls()})
        sounds = sounds.with_columns(plain.mapped(sounds["text"], plain.soundex).alias("sound"))
        tables = {"asked": asked, "people": self._people, "names": self._names, "postcodes": self._postcodes}
        for table, frame in {**tables, "sounds": sounds}.items():
            connection.register(table, frame.to_arrow())
        for table, rows in (("a_asked", _ASKED), ("b_people", _PEOPLE)):
            connection.execute(f"CREATE TABLE {table} AS {_DERIVED.format(rows=rows)}")
        for table in (*tables, "sounds"):
            connection.unregister(table)


def _settings() -> SettingsCreator:
    return SettingsCreator(
        link_type="link_only",
        comparisons=_comparisons(),
        blocking_rules_to_generate_predictions=_blocking(),
        retain_matching_columns=False,
        max_iterations=50,
    )


def _linker(connection: duckdb.DuckDBPyConnection, settings: SettingsCreator | dict[str, Any]) -> Linker:
    api = DuckDBAPI(connection)
    tables = [api.register(table, dataset_display_name=table) for table in ("a_asked", "b_people")]
    return Linker(tables, settings, log_level=None)


def _trained(linker: Linker) -> dict[str, Any]:
    """Train the linker; the model, to be given to the linkers of later questions over the same people."""
    training = linker.training
    training.estimate_probability_two_random_records_match([block_on(*rule) for rule in _RULES], RECALL_OF_RULES)
    training.estimate_u_using_random_sampling(max_pairs=U_PAIRS, seed=SEED)
    for rule in _TRAINING:
        training.estimate_parameters_using_expectation_maximisation(
            block_on(*rule), estimate_without_term_frequencies=True, max_pairs=EM_PAIRS
        )
    model: dict[str, Any] = linker.misc.save_model_to_json()
    return model


def _score(connection: duckdb.DuckDBPyConnection, linker: Linker, chunks: int) -> Iterator[int]:
    """Score a chunk of the questions at a time, and keep the best of each."""
    connection.execute("CREATE TABLE ranked (query BIGINT, nhs_number BIGINT, weight DOUBLE, probability DOUBLE)")
    for chunk in range(1, chunks + 1):
        found = linker.inference.predict_chunk((chunk, chunks), (1, 1), warning_mode="never")
        connection.execute(
            f"""INSERT INTO ranked SELECT unique_id_l, unique_id_r, match_weight, match_probability
            FROM {found.physical_name} QUALIFY row_number()
            OVER (PARTITION BY unique_id_l ORDER BY match_weight DESC, unique_id_r) <= {MOST}"""
        )
        found.drop_table_from_database_and_remove_from_cache()
        yield chunk


def _answers(connection: duckdb.DuckDBPyConnection, queries: int) -> Iterator[list[Ranked]]:
    rows = connection.execute("SELECT * FROM ranked ORDER BY query, weight DESC, nhs_number")
    waiting: list[tuple[int, float, float]] = []
    place = 0
    while (row := rows.fetchone()) is not None:
        while place < row[0]:
            yield _graded(waiting)
            waiting, place = [], place + 1
        waiting.append((row[1], row[2], row[3]))
    while place < queries:
        yield _graded(waiting)
        waiting, place = [], place + 1


def _graded(ranked: list[tuple[int, float, float]]) -> list[Ranked]:
    """Grades by probability; the first is certain where it leads clearly."""
    clear = len(ranked) < 2 or ranked[0][1] - ranked[1][1] >= CLEAR_GAP
    found = []
    for place, (number, weight, probability) in enumerate(ranked):
        sure = not place and clear and probability >= CERTAIN_PROBABILITY
        grade = CERTAIN if sure else "probable" if probability >= 0.5 else "possible"
        found.append(Ranked(number, weight, probability, grade))
    return found
